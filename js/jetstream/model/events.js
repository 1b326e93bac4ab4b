import { span } from './sequence.js'
import { same } from './value.js'

/**
 * @typedef {import('./object.js').Node} Node
 * @typedef {import('./object.js').ModelObject} ModelObject
 * @typedef {import('./journal.js').Journal} Journal
 */

/**
 * Who made a change: this client, or somebody else. A change that the server refused is taken back
 * by `remote`.
 *
 * @typedef {'local' | 'remote'} Source
 */

/**
 * A property that has another value now.
 *
 * @typedef {object} Change
 * @property {any} object whose property it is
 * @property {string} property
 * @property {any} value that it has now
 * @property {any} previous that it had before
 * @property {any[]} added elements that the collection holds now
 * @property {any[]} removed elements that the collection held before
 * @property {Source} source
 */

/**
 * Tells everybody what is different since the journal was begun. Values that went to and fro in
 * between are not mentioned: that is what keeps views from flickering.
 *
 * @param {Journal} journal
 * @param {Source} source
 */
export function publish (journal, source) {
  /** @type {[Node, Change][]} */
  const changes = []
  /** @type {Node[]} */
  const moved = []
  for (const [node, { attached, values }] of journal.touched) {
    if (attached !== (node.graph !== null)) moved.push(node)
    // Of what a new object holds nobody can have heard before.
    if (!attached && node.graph && !node.emitter.has()) continue
    for (const [property, previous] of values) {
      const { added, removed, changed } = compare(property.collection, previous, node.values[property.index])
      if (!changed) continue
      const value = node.read(property)
      const { object } = node
      changes.push([node, { object, property: property.name, value, previous, added, removed, source }])
    }
  }
  const trees = ancestors(changes)
  for (const node of moved) node.emitter.emit(node.graph ? 'attached' : 'detached', node.object, source)
  for (const [node, change] of changes) tell(node, change)
  for (const [node, below] of trees) node.emitter.emit('treechange', below)
}

/**
 * @param {Node} node
 * @param {Change} change
 */
function tell ({ emitter }, change) {
  for (const [event, elements] of /** @type {const} */ ([['remove', change.removed], ['add', change.added]])) {
    for (const element of elements) {
      emitter.emit(`${event}:${change.property}`, element, change)
      emitter.emit(event, element, change)
    }
  }
  emitter.emit(`change:${change.property}`, change.value, change)
  emitter.emit('change', change)
}

/**
 * @param {boolean} collection
 * @param {any} before
 * @param {any} now
 */
function compare (collection, before, now) {
  if (!collection) return { added: [], removed: [], changed: !same(before, now) }
  const { start, fromEnd, toEnd } = span(before, now)
  const was = before.slice(start, fromEnd)
  const is = now.slice(start, toEnd)
  return { added: without(is, was), removed: without(was, is), changed: was.length + is.length > 0 }
}

/**
 * The elements of one list that the other has not, or not as often.
 *
 * @param {any[]} list
 * @param {any[]} other
 */
function without (list, other) {
  const counts = new Map()
  for (const element of other) counts.set(element, (counts.get(element) ?? 0) + 1)
  return list.filter(element => {
    const count = counts.get(element) ?? 0
    counts.set(element, count - 1)
    return count <= 0
  })
}

/**
 * The objects above the changed ones that somebody listens to, with what changed at or below them.
 *
 * @param {[Node, Change][]} changes
 */
function ancestors (changes) {
  /** @type {Map<Node, Change[]>} */
  const trees = new Map()
  for (const [changed, change] of changes) {
    const seen = new Set([changed])
    for (const node of seen) {
      if (node.emitter.has('treechange')) {
        const below = trees.get(node) ?? []
        trees.set(node, below)
        below.push(change)
      }
      for (const parent of node.parents.keys()) seen.add(parent)
    }
  }
  return trees
}

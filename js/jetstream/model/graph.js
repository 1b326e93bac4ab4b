import { nodeOf } from './object.js'
import { same } from './value.js'
import { span } from './sequence.js'

/**
 * @typedef {import('./object.js').Node} Node
 * @typedef {import('./schema.js').Property} Property
 * @typedef {import('./journal.js').Journal} Journal
 */

/**
 * The objects of a scope that the root reaches. An object enters when one of them refers to it and
 * leaves, when the graph settles, with its last way from the root.
 */
export class Graph {
  /** @type {Node | null} */
  root = null
  /** @type {Map<string, Node>} by uuid */
  nodes = new Map()
  /** @type {Journal | null} the ChangeSet that is being written */
  layer = null
  /** @type {Journal | null} for the events of the present step */
  watch = null

  /** @type {Set<Node>} lost a parent since the graph settled */
  #suspects = new Set()
  /** @type {Map<string, WeakRef<Node>>} objects that left and that somebody may still hold */
  #gone = new Map()
  #forgotten = new FinalizationRegistry(/** @param {string} uuid */ uuid => {
    if (!this.#gone.get(uuid)?.deref()) this.#gone.delete(uuid)
  })

  /** @param {import('../replica.js').Replica} replica whose copy it is */
  constructor (replica) {
    this.replica = replica
  }

  /**
   * Makes `node` the root, under the uuid that it has on the server.
   *
   * @param {Node} node
   */
  setRoot (node) {
    this.root = node
    this.#attach(node)
  }

  /**
   * The root was made anew on the server, under another uuid.
   *
   * @param {string} uuid
   */
  renameRoot (uuid) {
    const root = /** @type {Node} */ (this.root)
    this.nodes.delete(root.uuid)
    root.uuid = uuid
    this.nodes.set(uuid, root)
  }

  /**
   * The object with this uuid, if it is in the graph or was there and is still held by somebody.
   *
   * @param {string} uuid
   */
  recall (uuid) {
    return this.nodes.get(uuid) ?? this.#gone.get(uuid)?.deref()
  }

  /**
   * Sets a property of an object, which need not be in the graph (yet).
   *
   * @param {Node} node
   * @param {Property} property
   * @param {any} value
   */
  set (node, property, value) {
    const old = node.values[property.index]
    if (!property.collection) {
      if (same(old, value)) return
      this.#record(node, property)
      node.write(property, value)
      this.#relink(node, property, old === null ? [] : [old], value === null ? [] : [value])
      return
    }
    const { start, fromEnd, toEnd } = span(old, value)
    if (start === fromEnd && start === toEnd) return
    this.#record(node, property)
    const removed = old.slice(start, fromEnd)
    node.write(property, value)
    this.#relink(node, property, removed, value.slice(start, toEnd))
  }

  /** Lets go of what the root does not reach any more. */
  settle () {
    for (const node of this.#suspects) {
      if (node.graph === this && !this.#reaches(node)) this.#detach(node)
    }
    this.#suspects.clear()
  }

  /**
   * Puts everything back as it was before a ChangeSet, the latest one in the graph.
   *
   * @param {Journal} journal
   */
  undo (journal) {
    this.layer = null
    for (const [node, { values }] of journal.touched) {
      for (const [property, value] of values) this.set(node, property, value)
    }
    this.settle()
  }

  /**
   * The properties that hold an object.
   *
   * @param {Node} node
   * @returns {[Node, Property][]}
   */
  places (node) {
    return Array.from(node.parents.keys()).flatMap(parent =>
      parent.model.edges.filter(property => parent.holds(property, node.object))
        .map(property => /** @type {[Node, Property]} */ ([parent, property])))
  }

  /**
   * Takes an object out of a property, wherever it stands in it.
   *
   * @param {Node} parent
   * @param {Property} property
   * @param {Node} node
   */
  takeOut (parent, property, node) {
    const value = parent.values[property.index]
    this.set(parent, property, property.collection
      ? value.filter((/** @type {unknown} */ element) => element !== node.object)
      : null)
  }

  /**
   * @param {Node} node
   * @param {Property} property
   */
  #record (node, property) {
    if (!property.local) this.layer?.value(node, property)
    this.watch?.value(node, property)
  }

  /**
   * @param {Node} parent
   * @param {Property} property
   * @param {any[]} removed
   * @param {any[]} added
   */
  #relink (parent, property, removed, added) {
    if (!property.edge || parent.graph !== this) return
    for (const object of added) this.#link(parent, nodeOf(object))
    for (const object of removed) this.#unlink(parent, nodeOf(object))
  }

  /**
   * @param {Node} parent
   * @param {Node} child
   */
  #link (parent, child) {
    child.parents.set(parent, (child.parents.get(parent) ?? 0) + 1)
    if (child.graph !== this) this.#attach(child)
  }

  /**
   * @param {Node} parent
   * @param {Node} child
   */
  #unlink (parent, child) {
    const count = (child.parents.get(parent) ?? 0) - 1
    if (count > 0) child.parents.set(parent, count)
    else child.parents.delete(parent)
    this.#suspects.add(child)
  }

  /**
   * Takes in an object and all that it holds. Not by recursion: chains of objects can be long.
   *
   * @param {Node} first
   */
  #attach (first) {
    const waiting = [first]
    for (let node = waiting.pop(); node; node = waiting.pop()) {
      if (node.graph === this) continue
      if (node.graph) throw new Error(`${node} belongs to another scope`)
      if (this.nodes.has(node.uuid)) throw new Error(`another object with the uuid ${node.uuid} exists`)
      this.layer?.touch(node)
      this.watch?.touch(node)
      node.graph = node.home = this
      this.nodes.set(node.uuid, node)
      for (const child of node.children()) {
        child.parents.set(node, (child.parents.get(node) ?? 0) + 1)
        waiting.push(child)
      }
    }
  }

  /** @param {Node} node */
  #detach (node) {
    this.layer?.touch(node)
    this.watch?.touch(node)
    node.graph = null
    this.nodes.delete(node.uuid)
    this.#gone.set(node.uuid, new WeakRef(node))
    this.#forgotten.register(node, node.uuid)
    for (const child of node.children()) this.#unlink(node, child)
  }

  /** @param {Node} node */
  #reaches (node) {
    const seen = new Set([node])
    for (const ancestor of seen) {
      if (ancestor === this.root) return true
      for (const parent of ancestor.parents.keys()) seen.add(parent)
    }
    return false
  }
}

import { UNDO_GROUP_MS, UNDO_STEPS_MAX } from '../limits.js'
import { applyEdits, diff } from '../model/sequence.js'
import { sameValue } from '../model/value.js'

/**
 * @typedef {import('../model/journal.js').Journal} Journal
 * @typedef {import('../model/object.js').Node} Node
 * @typedef {import('../model/schema.js').Property} Property
 */

/**
 * One property that we changed: what it was and what we made of it, or, for collections of objects,
 * the edits that lead back.
 *
 * @typedef {{ node: Node, property: Property, from: any, to: any }} Entry
 */

/** @typedef {{ entries: Entry[], alone: boolean, at: number }} Step */

/**
 * Our own changes, to be undone and done again. What others did in the meantime stays: a value that is
 * not ours any more is left alone, and collections are edited rather than replaced.
 */
export class History {
  /** @type {Step[]} */
  #undo = []
  /** @type {Step[]} */
  #redo = []
  /** @type {Step[] | null} where the present changes are written while a step is undone or redone */
  #target = null
  #replica
  #clock

  /**
   * @param {import('../replica.js').Replica} replica
   * @param {import('./clock.js').Clock} clock
   */
  constructor (replica, clock) {
    this.#replica = replica
    this.#clock = clock
  }

  get canUndo () {
    return this.#undo.length > 0
  }

  get canRedo () {
    return this.#redo.length > 0
  }

  /** @returns {boolean} whether anything was undone */
  undo () {
    return this.#turn(this.#undo, this.#redo)
  }

  /** @returns {boolean} whether anything was done again */
  redo () {
    return this.#turn(this.#redo, this.#undo)
  }

  /**
   * @param {Journal} journal of a step of our own
   * @param {boolean} alone whether it is a transaction
   */
  record (journal, alone) {
    const entries = entriesOf(journal)
    if (entries.length === 0) return
    const at = this.#clock.now()
    if (this.#target) {
      this.#target.push({ entries, alone: true, at })
      return
    }
    this.#redo = []
    const last = this.#undo.at(-1)
    if (last && !alone && !last.alone && at - last.at <= UNDO_GROUP_MS) {
      last.at = at
      for (const entry of entries) merge(last.entries, entry)
      return
    }
    this.#undo.push({ entries, alone, at })
    if (this.#undo.length > UNDO_STEPS_MAX) this.#undo.shift()
  }

  /**
   * Takes steps back until one of them does something: others may have made the latest pointless.
   *
   * @param {Step[]} from
   * @param {Step[]} to
   */
  #turn (from, to) {
    const before = to.length
    this.#target = to
    try {
      while (to.length === before && from.length > 0) {
        const { entries } = /** @type {Step} */ (from.pop())
        this.#replica.edit(() => entries.reverse().forEach(entry => this.#takeBack(entry)))
      }
    } finally {
      this.#target = null
    }
    return to.length > before
  }

  /** @param {Entry} entry */
  #takeBack ({ node, property, from, to }) {
    if (!node.graph) return
    const now = node.values[property.index]
    if (!isEdited(property)) {
      if (sameValue(property, now, to)) this.#replica.graph.set(node, property, from)
      return
    }
    // Whoever was put back by somebody else already is not put in twice.
    const edits = from.filter((/** @type {any} */ edit) => 'remove' in edit || !now.includes(edit.insert) ||
      from.some((/** @type {any} */ other) => other.remove === edit.insert))
    this.#replica.graph.set(node, property, applyEdits(now, edits))
  }
}

/** @param {Property} property */
const isEdited = property => property.edge && property.collection

/**
 * @param {Journal} journal
 * @returns {Entry[]}
 */
function entriesOf (journal) {
  /** @type {Entry[]} */
  const entries = []
  for (const [node, { values }] of journal.touched) {
    for (const [property, from] of values) {
      const to = node.values[property.index]
      if (property.local) continue
      if (isEdited(property)) {
        const { edits } = diff(to, from)
        if (edits.length > 0) entries.push({ node, property, from: edits, to: null })
      } else if (!sameValue(property, from, to)) {
        entries.push({ node, property, from, to: to })
      }
    }
  }
  return entries
}

/**
 * Adds an entry to a group: of a value that changes again and again only the first and the last count.
 *
 * @param {Entry[]} entries
 * @param {Entry} entry
 */
function merge (entries, entry) {
  const earlier = isEdited(entry.property)
    ? undefined
    : entries.find(({ node, property }) => node === entry.node && property === entry.property)
  if (earlier) earlier.to = entry.to
  else entries.push(entry)
}

import { nodeOf } from './object.js'
import { diff } from './sequence.js'
import { encode, sameValue } from './value.js'

/**
 * @typedef {import('./journal.js').Journal} Journal
 * @typedef {import('./object.js').Node} Node
 * @typedef {import('./object.js').ModelObject} ModelObject
 * @typedef {import('./schema.js').Property} Property
 * @typedef {import('../wire/message.js').Fragment} Fragment
 * @typedef {import('../wire/message.js').FragmentReply} FragmentReply
 * @typedef {import('../wire/message.js').Rejection} Rejection
 */

/** Why the server refused a ChangeSet, or a part of it. */
export class Refused extends Error {
  /**
   * @param {{ fragment: Fragment, error: Rejection }[]} reasons one for each fragment that failed
   */
  constructor (reasons) {
    super(reasons[0]?.error.message ?? 'the server refused the changes')
    this.name = 'Refused'
    this.type = reasons.find(({ error }) => error.type !== 'transaction-aborted')?.error.type
    this.reasons = reasons
  }
}

/**
 * Changes that are judged and applied together, from when they are made until the server answers.
 */
export class ChangeSet {
  /** @type {'pending' | 'accepted' | 'refused'} */
  state = 'pending'
  /** @type {number | null} the message that carried it; `null`: not sent yet */
  index = null
  /** Sent by a session that is over or by the page before a reload: its answer does not confirm anything here. */
  foreign = false
  /** @type {Journal | null} what it did to the graph when it was last put on top */
  journal = null
  /** Whether it went into the graph as a whole when it was last put on top. */
  whole = true
  /** @type {() => void} */
  #accept = () => {}
  /** @type {(reason: Refused) => void} */
  #refuse = () => {}

  /**
   * @param {Fragment[]} fragments
   * @param {{ atomic?: boolean, procedure?: string }} [options]
   */
  constructor (fragments, { atomic = false, procedure } = {}) {
    this.fragments = fragments
    this.atomic = atomic
    this.procedure = procedure
    /**
     * Settles when the server has answered: rejects with {@link Refused} if it refused any part.
     *
     * @type {Promise<void>}
     */
    this.accepted = new Promise((resolve, reject) => {
      this.#accept = resolve
      this.#refuse = reject
    })
    // Nobody has to look at it.
    this.accepted.catch(() => {})
  }

  /** @param {{ fragment: Fragment, error: Rejection }[]} reasons */
  settle (reasons) {
    if (this.state !== 'pending') return
    this.state = reasons.length > 0 ? 'refused' : 'accepted'
    if (reasons.length > 0) this.#refuse(new Refused(reasons))
    else this.#accept()
  }

  /**
   * What is needed to send it after a reload.
   *
   * @returns {{ index: number | null, fragments: Fragment[], atomic: boolean, procedure?: string }}
   */
  save () {
    const { index, fragments, atomic, procedure } = this
    return { index, fragments, atomic, procedure }
  }

  /**
   * Refuses every fragment for the same reason.
   *
   * @param {Rejection} error
   */
  settleAll (error) {
    this.settle(this.fragments.map(fragment => ({ fragment, error })))
  }
}

/**
 * Writes down what a journal saw, as the fewest fragments: what went to and fro is not in them.
 *
 * @param {Journal} journal
 * @param {Set<Node>} removed objects that were taken out of everything, by name
 * @param {boolean} atomic
 * @returns {Fragment[]}
 */
export function record (journal, removed, atomic) {
  const moves = new Moves()
  /** @type {Fragment[]} */
  const changes = []
  /** @type {Fragment[]} */
  const adds = []
  for (const [node, { attached, values }] of journal.touched) {
    if (!node.graph) {
      if (attached && removed.has(node)) changes.push(fragment('remove', node))
    } else if (attached) {
      changes.push(...changesOf(node, values, journal, removed, moves, atomic))
    } else {
      adds.push(additionOf(node, moves))
    }
  }
  return [...adds, ...changes, ...moves.fragments()]
}

/**
 * @param {Node} node
 * @param {Moves} moves
 */
function additionOf (node, moves) {
  const made = fragment('add', node)
  made.properties = {}
  for (const property of node.model.properties) {
    const value = node.values[property.index]
    if (property.local || (property.collection ? value.length === 0 : property.edge && value === null)) continue
    // What is unset is said, too: the server's idea of a new object may be another.
    made.properties[property.name] = encode(property, value)
    if (property.edge) moves.gain(node, property, property.collection ? value : [value])
  }
  return made
}

/**
 * One fragment if all is to fail together. Else each insertion is a fragment of its own: an object
 * that is refused, or gone by then, takes nothing with it that was put beside it.
 *
 * @param {Node} node
 * @param {Map<Property, any>} before
 * @param {Journal} journal
 * @param {Set<Node>} removed
 * @param {Moves} moves
 * @param {boolean} atomic
 */
function changesOf (node, before, journal, removed, moves, atomic) {
  const change = fragment('change', node)
  /** @type {Fragment[]} */
  const insertions = []
  for (const [property, old] of before) {
    const now = node.values[property.index]
    if (property.edge && property.collection) {
      // Whoever was removed by name needs no edits.
      const rest = old.filter((/** @type {any} */ element) => !isGone(nodeOf(element)))
      const { edits, anew } = diff(rest, now)
      for (const edit of edits) {
        if ('insert' in edit) moves.gain(node, property, [edit.insert])
        else if (!anew || !now.includes(edit.remove)) moves.lose(edit.remove)
        // What is written anew only makes sense in one piece.
        const target = atomic || anew || 'remove' in edit ? change : fragment('change', node)
        if (target !== change) insertions.push(target)
        const collections = target.collections ??= {}
        const made = collections[property.name] ??= []
        // Somebody else may be putting it in the same place; it shall not stand there twice.
        if ('insert' in edit && !isNew(edit.insert) && isOnce(now, edit.insert)) made.push({ remove: edit.insert.uuid })
        made.push(encodeEdit(edit))
      }
    } else if (!sameValue(property, old, now)) {
      if (property.edge && now === null && isGone(nodeOf(old))) continue
      change.properties = { ...change.properties, [property.name]: encode(property, now) }
      if (property.edge && old) moves.lose(old)
      if (property.edge && now) moves.gain(node, property, [now])
    }
  }
  return change.properties || change.collections ? [change, ...insertions] : insertions

  /** @param {ModelObject} object */
  function isNew (object) {
    return journal.touched.get(nodeOf(object))?.known === false
  }

  /** @param {Node} node */
  function isGone (node) {
    return !node.graph && removed.has(node)
  }
}

/**
 * @param {any[]} list
 * @param {ModelObject} object
 */
const isOnce = (list, object) => list.indexOf(object) === list.lastIndexOf(object)

/**
 * Which objects went from one place to another.
 */
class Moves {
  /** @type {Set<ModelObject>} */
  #lost = new Set()
  /** @type {Map<ModelObject, Set<string>>} */
  #gained = new Map()

  /** @param {ModelObject} object */
  lose (object) {
    this.#lost.add(object)
  }

  /**
   * @param {Node} parent
   * @param {Property} property
   * @param {ModelObject[]} objects
   */
  gain (parent, property, objects) {
    for (const object of objects) {
      this.#gained.set(object, (this.#gained.get(object) ?? new Set()).add(`${parent.uuid} ${property.index}`))
    }
  }

  /**
   * Objects all of whose parents are new ones are moved: if somebody else moves them, too, they shall
   * not end up in both places. Objects that keep an old parent are only put somewhere else besides.
   */
  fragments () {
    return [...this.#lost].map(nodeOf)
      .filter(node => node.graph && this.#gained.get(node.object)?.size === node.graph.places(node).length)
      .map(node => fragment('movechange', node))
  }
}

/**
 * @param {Fragment['type']} type
 * @param {Node} node
 * @returns {Fragment}
 */
function fragment (type, { uuid, model }) {
  return { type, uuid, clsName: model.name }
}

/**
 * @param {import('./sequence.js').Edit<ModelObject>} edit
 * @returns {import('../wire/message.js').Edit}
 */
function encodeEdit (edit) {
  return 'remove' in edit
    ? { remove: edit.remove.uuid }
    : { insert: edit.insert.uuid, after: edit.after?.uuid ?? null }
}

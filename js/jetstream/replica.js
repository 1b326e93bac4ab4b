import { PAUSED_MESSAGES_MAX } from './limits.js'
import { ChangeSet, record } from './model/change_set.js'
import { Draft, Inconsistent } from './model/draft.js'
import { publish } from './model/events.js'
import { Graph } from './model/graph.js'
import { Journal } from './model/journal.js'
import { nodeOf } from './model/object.js'
import { classesFrom } from './model/schema.js'

/**
 * @typedef {import('./model/object.js').ModelObject} ModelObject
 * @typedef {import('./model/object.js').Node} Node
 * @typedef {import('./model/schema.js').ModelClass<any, any>} ModelClass
 * @typedef {import('./wire/message.js').Fragment} Fragment
 * @typedef {import('./wire/message.js').ScopeMessage} ScopeMessage
 * @typedef {import('./wire/message.js').ScopeState} ScopeState
 * @typedef {import('./wire/message.js').ScopeSyncReply} ScopeSyncReply
 */

/**
 * What a replica tells its scope.
 *
 * @typedef {object} Hooks
 * @property {() => void} edited there is something to send
 * @property {() => number} objectsMax how many objects a ChangeSet may touch
 * @property {(changeSet: ChangeSet) => void} settled the server has answered
 * @property {(journal: Journal, alone: boolean) => void} recorded a step that can be undone
 */

/**
 * The client's copy of one scope: what the server confirmed, with our own edits on top.
 *
 * There is one graph. Each pending ChangeSet lies on it as a layer that can be taken off: when a
 * message comes, the layers are taken off, the confirmed state takes it in, and they are put back.
 * Nobody is told of what is the same afterwards.
 */
export class Replica {
  /** @type {import('./client/scope.js').Scope | null} */
  scope = null
  graph = new Graph(this)

  /** @type {ChangeSet[]} edits that the server has not answered yet, oldest first */
  #pending = []
  /** @type {Journal} what was edited since the last of them */
  #open = new Journal()
  /** @type {Fragment[]} the same, while it is taken off */
  #taken = []
  /** @type {Set<Node>} what was removed by name since then */
  #removed = new Set()
  /** @type {{ changes: ChangeSet } | null} the transaction in which we are */
  #transaction = null
  #depth = 0
  /** @type {ChangeSet[]} answered, and not told yet */
  #settled = []
  /** @type {ScopeMessage[] | null} what came while we pause */
  #paused = null
  /** @type {Set<string>} objects of models that we do not know */
  #ignored = new Set()
  #classes
  #hooks

  /**
   * @param {ModelClass} root the root's model
   * @param {Hooks} hooks
   */
  constructor (root, hooks) {
    this.#classes = classesFrom(root)
    this.#hooks = hooks
    this.graph.layer = this.#open
  }

  /** @returns {ModelObject | null} */
  get root () {
    return this.graph.root?.object ?? null
  }

  /** How many ChangeSets the server has not answered, the one that is being written included. */
  get pendingCount () {
    return this.#pending.length + (this.#open.touched.size > 0 ? 1 : 0)
  }

  /** Whether what comes is kept waiting. */
  get paused () {
    return this.#paused !== null
  }

  // -- Our own edits

  /**
   * Edits the graph. If it throws, nothing has happened.
   *
   * @param {() => void} change
   */
  edit (change) {
    if (this.#depth > 0) return change()
    this.#step(change, false)
    if (this.#open.touched.size > this.#hooks.objectsMax()) this.#seal()
  }

  /** @param {Node} node */
  remove (node) {
    if (node === this.graph.root) throw new Error(`${node} is the root and cannot be removed`)
    this.edit(() => {
      this.#removed.add(node)
      for (const [parent, property] of this.graph.places(node)) this.graph.takeOut(parent, property, node)
    })
  }

  /**
   * @param {() => void} change
   * @param {string} [procedure]
   * @returns {ChangeSet}
   */
  transaction (change, procedure) {
    if (this.#transaction) {
      if (procedure) throw new Error('a procedure is not called within a transaction')
      change()
      return this.#transaction.changes
    }
    this.#seal()
    const changes = new ChangeSet([], { atomic: true, procedure })
    this.#transaction = { changes }
    try {
      this.#step(change, true, () => this.#close(changes))
    } finally {
      this.#transaction = null
      this.#begin()
    }
    this.#hooks.edited()
    return changes
  }

  /**
   * @param {() => unknown} change
   * @param {boolean} alone is a step of its own when it is undone
   * @param {() => void} [finish] before anybody is told
   */
  #step (change, alone, finish) {
    const { graph } = this
    const watch = graph.watch = new Journal()
    const removed = new Set(this.#removed)
    this.#depth++
    try {
      const result = /** @type {any} */ (change())
      if (typeof result?.then === 'function') throw new TypeError('a transaction is not asynchronous')
      graph.settle()
      finish?.()
    } catch (error) {
      graph.undo(watch)
      graph.layer = this.#open
      this.#removed = removed
      throw error
    } finally {
      this.#depth--
      graph.watch = null
    }
    if (watch.touched.size === 0) return
    this.#hooks.recorded(watch, alone)
    this.#hooks.edited()
    publish(watch, 'local')
  }

  /** What was edited so far becomes a ChangeSet; what comes next, another. */
  #seal () {
    if (this.#open.touched.size === 0) return
    const changes = new ChangeSet([])
    this.#close(changes)
    this.#begin()
  }

  /** @param {ChangeSet} changes */
  #close (changes) {
    changes.fragments = record(this.#open, this.#removed, changes.atomic)
    changes.journal = this.#open
    if (changes.fragments.length > 0 || changes.procedure) this.#pending.push(changes)
    else changes.settle([])
  }

  #begin () {
    this.graph.layer = this.#open = new Journal()
    this.#removed = new Set()
  }

  /**
   * The ChangeSets that were not sent yet. The sender gives each its index.
   *
   * @returns {ChangeSet[]}
   */
  unsent () {
    this.#seal()
    return this.#pending.filter(({ index, foreign }) => index === null && !foreign)
  }

  /**
   * All that is pending, to be stored; also what is being written, as it is now.
   *
   * @returns {ReturnType<ChangeSet['save']>[]}
   */
  save () {
    const pending = this.#pending.map(changes => changes.save())
    const fragments = record(this.#open, this.#removed, false)
    return fragments.length > 0 ? [...pending, { index: null, fragments, atomic: false }] : pending
  }

  // -- What the server says

  /**
   * The server's word on this scope, in its order. All that comes at once makes one step.
   *
   * @param {ScopeMessage[]} messages
   * @throws {Inconsistent} if a fresh state is needed
   */
  receive (messages) {
    if (this.#paused && this.#paused.length < PAUSED_MESSAGES_MAX) {
      this.#paused.push(...messages)
      return
    }
    const waiting = this.#paused ? [...this.#paused.splice(0), ...messages] : messages
    const first = waiting.findIndex(message => !this.#confirms(message))
    this.#report()
    if (first < 0) return
    /** @type {unknown} */
    let misfit
    this.#rebase(() => {
      for (const message of waiting.slice(first)) {
        try {
          this.#take(message)
        } catch (error) {
          // The answers behind it count all the same.
          misfit ??= error
        }
      }
    })
    if (misfit) throw misfit
  }

  /** Keeps what comes waiting, for as long as an animation runs, say. */
  pause () {
    this.#paused ??= []
  }

  /** Takes in what has come in the meantime. */
  resume () {
    const messages = this.#paused ?? []
    this.#paused = null
    this.receive(messages)
  }

  /**
   * The scope's state after its fetch. `lost`: the session in which we sent what is pending is over.
   * What it has done already is settled; the rest is to be sent again.
   *
   * @param {ScopeState} state
   * @param {{ lost: boolean, adopted?: ChangeSet[] }} options `adopted`: edits from before a reload
   */
  start (state, { lost, adopted = [] }) {
    this.#rebase(() => {
      this.#pending.unshift(...adopted)
      // Answers may be among what was kept waiting.
      for (const message of this.#paused?.splice(0) ?? []) {
        if (message.type === 'ScopeSyncReply') this.#answer({ ...message, settled: true })
      }
      this.#replace(state)
      if (lost) for (const changes of [...this.#pending]) this.#askAgain(changes)
    })
  }

  /**
   * Takes back a ChangeSet that was not sent.
   *
   * @param {ChangeSet} changes
   * @param {import('./wire/message.js').Rejection} error
   */
  refuse (changes, error) {
    this.#rebase(() => {
      this.#pending.splice(this.#pending.indexOf(changes), 1)
      this.#settleAll(changes, error)
    })
  }

  /**
   * Answers everything that is pending: the scope is lost.
   *
   * @param {import('./wire/message.js').Rejection} error
   */
  abandon (error) {
    this.#seal()
    this.#rebase(() => {
      for (const changes of this.#pending.splice(0)) this.#settleAll(changes, error)
    })
  }

  /**
   * The common case costs nothing: the server applied the oldest pending ChangeSet as it lies there.
   *
   * @param {ScopeMessage} message
   */
  #confirms (message) {
    const [first] = this.#pending
    if (message.type !== 'ScopeSyncReply' || message.replyTo !== first?.index || message.error) return false
    if (first.foreign || !first.whole) return false
    if (message.fragmentReplies.some(({ error, modifications }) => error || modifications)) return false
    this.#pending.shift()
    this.#settle(first, [])
    return true
  }

  /** @param {ScopeMessage} message */
  #take (message) {
    if (message.type === 'ScopeSync') this.#apply(message.fragments)
    else if (message.type === 'ScopeSyncReply') this.#answer(message)
    else if (message.type === 'ScopeState') this.#replace(message)
  }

  /** @param {Fragment[]} fragments */
  #apply (fragments) {
    const draft = new Draft(this.graph, fragments)
    draft.applyAll()
  }

  /** @param {ScopeSyncReply & { settled?: boolean }} reply `settled`: a state that comes holds it already */
  #answer ({ replyTo, fragmentReplies = [], error, settled = false }) {
    const place = this.#pending.findIndex(({ index }) => index === replyTo)
    if (place < 0) return
    const [changes] = this.#pending.splice(place, 1)
    const { fragments } = changes
    const replies = fragments.map((_, i) => error ? { error } : fragmentReplies[i] ?? {})
    const accepted = fragments.filter((_, i) => !replies[i].error)
    this.#settle(changes, fragments.flatMap((fragment, i) => {
      const { error } = replies[i]
      return error ? [{ fragment, error }] : []
    }))
    if (!settled && !changes.foreign && !new Draft(this.graph, accepted).repeats) {
      const modified = fragments.flatMap(({ uuid, clsName }, i) => {
        const properties = replies[i].modifications
        return properties && !replies[i].error ? [{ type: /** @type {const} */ ('change'), uuid, clsName, properties }] : []
      })
      this.#apply(accepted)
      this.#apply(modified)
    }
  }

  /** @param {ScopeState} state */
  #replace ({ rootUUID, fragments }) {
    const { graph } = this
    this.#ignored = new Set(fragments.flatMap(({ uuid, clsName }) => this.#classes.has(clsName) ? [] : uuid))
    if (!graph.root) {
      const first = fragments.find(({ uuid }) => uuid === rootUUID)
      graph.setRoot(nodeOf(this.#make(rootUUID, first?.clsName ?? '')))
    } else if (graph.root.uuid !== rootUUID) {
      this.#renameRoot(rootUUID)
    }
    const draft = new Draft(graph, fragments)
    draft.replaceAll()
  }

  /**
   * Pending edits of the old root are edits of the new one.
   *
   * @param {string} uuid
   */
  #renameRoot (uuid) {
    const old = /** @type {Node} */ (this.graph.root).uuid
    const renamed = (/** @type {Fragment[]} */ fragments) => JSON.parse(JSON.stringify(fragments).replaceAll(old, uuid))
    for (const changes of this.#pending) changes.fragments = renamed(changes.fragments)
    this.#taken = renamed(this.#taken)
    this.graph.renameRoot(uuid)
  }

  /**
   * After a session was lost nobody knows which of the ChangeSets on the way have arrived.
   *
   * @param {ChangeSet} changes
   */
  #askAgain (changes) {
    if (changes.index === null) return
    const applied = new Draft(this.graph, changes.fragments).repeats
    if (!applied && !changes.procedure) {
      changes.index = null
      changes.foreign = false
      return
    }
    this.#pending.splice(this.#pending.indexOf(changes), 1)
    // Objects that it adds are there: it was applied. A procedure may have had effects that nobody sees
    // here, so it is not called a second time.
    if (applied) this.#settle(changes, [])
    else this.#settleAll(changes, { type: 'outcome-unknown', message: 'the session ended before the answer came' })
  }

  /**
   * @param {ChangeSet} changes
   * @param {{ fragment: Fragment, error: import('./wire/message.js').Rejection }[]} reasons
   */
  #settle (changes, reasons) {
    changes.journal = null
    changes.settle(reasons)
    this.#settled.push(changes)
  }

  /**
   * @param {ChangeSet} changes
   * @param {import('./wire/message.js').Rejection} error
   */
  #settleAll (changes, error) {
    this.#settle(changes, changes.fragments.map(fragment => ({ fragment, error })))
  }

  /** Says what was answered, when everything is in its place again: whoever hears it may edit. */
  #report () {
    for (const changes of this.#settled.splice(0)) this.#hooks.settled(changes)
  }

  /**
   * Takes the layers off, lets `confirm` change what is below them, and puts them back.
   *
   * @param {() => void} confirm
   */
  #rebase (confirm) {
    const { graph } = this
    this.#taken = record(this.#open, this.#removed, false)
    const ghosts = this.#ghosts()
    const watch = graph.watch = new Journal()
    graph.undo(this.#open)
    for (const { journal } of this.#pending.toReversed()) if (journal) graph.undo(journal)
    try {
      confirm()
    } finally {
      for (const changes of this.#pending) {
        const { journal, refused } = new Draft(graph, changes.fragments).tryAll(changes.atomic)
        changes.journal = journal
        changes.whole = refused.length === 0
      }
      const { journal, refused } = new Draft(graph, this.#taken).tryAll(false)
      graph.layer = this.#open = journal
      for (const [node, values] of ghosts) if (!node.graph) this.#restore(node, values)
      graph.watch = null
      this.#lose(refused)
      publish(watch, 'remote')
      this.#report()
    }
  }

  /**
   * Objects that a layer took out keep what was done to them since, although they come back for a
   * moment when it is taken off.
   *
   * @returns {[Node, any[]][]}
   */
  #ghosts () {
    const layers = [...this.#pending.map(({ journal }) => journal), this.#open]
    const nodes = layers.flatMap(journal => Array.from(journal?.touched.keys() ?? []))
    return nodes.filter(node => !node.graph)
      .map(node => [node, node.values.slice()])
  }

  /**
   * @param {Node} node
   * @param {any[]} values
   */
  #restore (node, values) {
    const layer = this.layerOf(node)
    for (const property of node.model.properties) {
      if (!property.local) layer?.value(node, property)
      node.write(property, values[property.index])
    }
  }

  /**
   * Edits that were never sent, of objects that somebody else has taken away meanwhile.
   *
   * @param {Fragment[]} fragments
   */
  #lose (fragments) {
    if (fragments.length === 0) return
    this.#settleAll(new ChangeSet(fragments),
      { type: 'could-not-apply-sync-message', message: 'an object that was edited is gone' })
  }

  /**
   * The latest layer that touched an object, if it is still to be confirmed.
   *
   * @param {Node} node
   */
  layerOf (node) {
    const layers = [...this.#pending.map(({ journal }) => journal), this.#open]
    return layers.findLast(journal => journal?.touched.has(node))
  }

  // -- Objects

  /**
   * The object that a fragment adds: the one that we know by this uuid, or a new one.
   *
   * @param {string} uuid
   * @param {string} clsName
   */
  objectFor (uuid, clsName) {
    const known = this.graph.recall(uuid)
    if (known?.model.name === clsName && known.graph === null) return known
    if (this.#classes.has(clsName)) return nodeOf(this.#make(uuid, clsName))
    this.#ignored.add(uuid)
    return null
  }

  /**
   * Whether an object is missing on purpose.
   *
   * @param {string} uuid
   */
  ignores (uuid) {
    return this.#ignored.has(uuid)
  }

  /**
   * @param {string} uuid
   * @param {string} clsName
   * @returns {ModelObject}
   */
  #make (uuid, clsName) {
    const Class = this.#classes.get(clsName)
    if (!Class) throw new TypeError(`the scope holds a "${clsName}", of which the root's model knows nothing`)
    return new Class({}, uuid)
  }
}

export { Inconsistent }

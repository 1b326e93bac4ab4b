import { Emitter } from '../emitter.js'
import { ChangeSet } from '../model/change_set.js'
import { Inconsistent } from '../model/draft.js'
import { Replica } from '../replica.js'
import { History } from './history.js'

/**
 * @typedef {import('../model/object.js').ModelObject} ModelObject
 * @typedef {import('../model/schema.js').ModelClass<any, any>} ModelClass
 * @typedef {import('../wire/message.js').Rejection} Rejection
 * @typedef {import('../wire/message.js').ScopeMessage} ScopeMessage
 * @typedef {import('../wire/message.js').ScopeState} ScopeState
 * @typedef {import('./session.js').Session} Session
 * @typedef {ReturnType<Replica['save']>[number]} SavedChanges
 */

/**
 * Edits of a scope from before a reload, and the index under which the session has them on the way.
 *
 * @typedef {{
 *   name: string, params: Record<string, unknown>, scopeIndex: number | null, pending: SavedChanges[]
 * }} SavedScope
 */

/** The server did not let us have a scope, or took it away. */
export class Denied extends Error {
  /** @param {Rejection} error */
  constructor ({ message, type }) {
    super(message)
    this.name = 'Denied'
    this.type = type
  }
}

/**
 * A scope that was fetched: its place in the session, its replica, and what its user can do with the
 * whole of it.
 */
export class Scope {
  /** @type {number | null} the message that asked for it; `null`: it is to be asked for */
  fetchIndex = null
  /** @type {number | null} under which the server sends it */
  scopeIndex = null
  /** @type {Promise<ModelObject>} */
  ready
  /** @type {(root: ModelObject) => void} */
  #arrive = () => {}
  /** @type {(error: Error) => void} */
  #fail = () => {}
  #emitter = new Emitter()
  #lost = false
  /** @type {ChangeSet[]} */
  #adopted = []
  #session
  #Root
  #history
  #replica

  /**
   * @param {Session} session
   * @param {string} name
   * @param {ModelClass} Root
   * @param {Record<string, unknown>} params
   */
  constructor (session, name, Root, params) {
    this.#session = session
    this.#Root = Root
    /** Under which the server knows it. */
    this.name = name
    this.params = params
    this.#replica = new Replica(Root, {
      edited: () => this.#session.schedule(),
      objectsMax: () => this.#session.objectsMax,
      settled: changes => this.#settled(changes),
      recorded: (journal, alone) => this.#history.record(journal, alone)
    })
    this.#replica.scope = this
    this.#history = new History(this.#replica, session.clock)
    this.ready = new Promise((resolve, reject) => {
      this.#arrive = resolve
      this.#fail = reject
    })
  }

  /** The session that fetched it. */
  get session () {
    return this.#session
  }

  /** The root, as soon as it is there. */
  get root () {
    return this.#replica.root
  }

  /** How many ChangeSets wait for the server's answer. */
  get pendingCount () {
    return this.#replica.pendingCount + this.#adopted.length
  }

  /**
   * Listens to `refused` (a ChangeSet that the server refused, or a part of it; what it did is taken back),
   * `accepted` (a ChangeSet) and `closed` (the scope is lost).
   *
   * @param {string} events
   * @param {import('../emitter.js').Listener} listener
   * @returns {() => void} ends it
   */
  on (events, listener) {
    return this.#emitter.on(events, listener)
  }

  /**
   * @param {string} events
   * @param {import('../emitter.js').Listener} [listener]
   */
  off (events, listener) {
    this.#emitter.off(events, listener)
  }

  /** Takes back our latest change that can still be taken back. Others' changes stay. */
  undo () {
    return this.#history.undo()
  }

  /** Does again what was undone last. */
  redo () {
    return this.#history.redo()
  }

  get canUndo () {
    return this.#history.canUndo
  }

  get canRedo () {
    return this.#history.canRedo
  }

  /** Keeps what others change waiting, while something is animated, say. Our own edits go on. */
  pause () {
    this.#replica.pause()
  }

  /** Takes in what others have changed since `pause`, as one step. */
  resume () {
    this.#guard(() => this.#replica.resume())
  }

  /** Whether others' changes are kept waiting. */
  get paused () {
    return this.#replica.paused
  }

  /** Leaves the scope, when what is pending is answered. Its objects stay as they are. */
  async unfetch () {
    await this.#session.synced()
    this.#session.forget(this)
  }

  // -- For the session

  /**
   * @param {SavedScope} saved edits from before a reload
   * @param {boolean} resumed whether the session still is the one that sent them
   */
  adopt ({ pending }, resumed) {
    this.#adopted = pending.map(saved => {
      const changes = new ChangeSet(saved.fragments, saved)
      changes.index = saved.index
      changes.foreign = resumed && saved.index !== null
      return changes
    })
    this.#lost ||= !resumed
  }

  /** What waits to be sent; nothing before it is known what the session that was lost has done. */
  unsent () {
    return this.root && !this.#lost ? this.#replica.unsent() : []
  }

  /**
   * @param {ChangeSet} changes that cannot even be sent
   * @param {Rejection} error
   */
  refuse (changes, error) {
    this.#replica.refuse(changes, error)
  }

  /** @returns {SavedScope} */
  save () {
    const { name, params, scopeIndex } = this
    const adopted = this.#adopted.map(changes => changes.save())
    return { name, params, scopeIndex, pending: [...adopted, ...this.#replica.save()] }
  }

  /** The session is another one: the scope is to be fetched again. */
  lose () {
    this.fetchIndex = this.scopeIndex = null
    this.#lost = true
    for (const changes of this.#adopted) changes.foreign = false
  }

  /** The replica has missed something: the scope's state is needed afresh. */
  refetch () {
    this.fetchIndex = this.scopeIndex = null
  }

  /**
   * @param {Rejection} error
   * @param {boolean} [keep] what is pending is stored for another page
   */
  deny (error, keep = false) {
    const denied = new Denied(error)
    if (!keep) this.#abandon(error)
    this.#fail(denied)
    this.#emitter.emit('closed', denied)
  }

  /** @param {Rejection} error */
  #abandon (error) {
    if (this.root) this.#replica.abandon(error)
    for (const changes of this.#adopted.splice(0)) {
      changes.settleAll(error)
      this.#settled(changes)
    }
  }

  /** @param {ScopeMessage[]} messages */
  receive (messages) {
    const begin = this.root && !this.#lost ? -1 : messages.findIndex(({ type }) => type === 'ScopeState')
    if (!this.root && begin < 0) return this.#answerAdopted(messages)
    if (begin >= 0) {
      this.#answerAdopted(messages.slice(0, begin))
      if (!this.#begin(/** @type {any} */ (messages[begin]))) return
    }
    const rest = messages.slice(begin + 1)
    if (rest.length > 0) this.#guard(() => this.#replica.receive(rest))
  }

  /** @param {ScopeState} state */
  #begin (state) {
    const first = state.fragments.find(({ uuid }) => uuid === state.rootUUID)
    if (!this.root && first?.clsName !== this.#Root.model.name) {
      this.deny({ message: `the root of "${this.name}" is a "${first?.clsName}", not a "${this.#Root.model.name}"` })
      this.#session.forget(this)
      return false
    }
    this.#guard(() => this.#replica.start(state, { lost: this.#lost, adopted: this.#adopted.splice(0) }))
    this.#lost = false
    this.#arrive(/** @type {ModelObject} */ (this.root))
    return true
  }

  /**
   * Answers to edits from before a reload that come before the state does.
   *
   * @param {ScopeMessage[]} messages
   */
  #answerAdopted (messages) {
    for (const message of messages) {
      if (message.type !== 'ScopeSyncReply') continue
      const place = this.#adopted.findIndex(({ index }) => index === message.replyTo)
      if (place < 0) continue
      const [changes] = this.#adopted.splice(place, 1)
      changes.settle(changes.fragments.flatMap((fragment, i) => {
        const error = message.error ?? message.fragmentReplies[i]?.error
        return error ? [{ fragment, error }] : []
      }))
      this.#settled(changes)
    }
  }

  /** @param {() => void} receive */
  #guard (receive) {
    try {
      receive()
    } catch (error) {
      if (!(error instanceof Inconsistent)) throw error
      this.#session.refetch(this)
    }
  }

  /** @param {ChangeSet} changes */
  #settled (changes) {
    this.#emitter.emit(changes.state, changes)
    this.#session.settled(changes, this)
  }
}

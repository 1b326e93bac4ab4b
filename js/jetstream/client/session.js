import { Emitter } from '../emitter.js'
import { CHANGE_SET_OBJECTS_MAX, SOCKET_BYTES_MAX } from '../limits.js'
import { ClientSession } from '../session/client.js'
import { byteLength } from '../session/reliable.js'
import { schedule, systemClock } from './clock.js'
import { Denied, Scope } from './scope.js'
import { Socket } from './socket.js'

/**
 * @typedef {import('../session/client.js').Input} Input
 * @typedef {import('../session/client.js').Output} Output
 * @typedef {import('../session/client.js').Status} Status
 * @typedef {import('../wire/message.js').Message} Message
 * @typedef {import('../wire/message.js').Rejection} Rejection
 * @typedef {import('./scope.js').SavedScope} SavedScope
 */

/**
 * Gives what says who the user is, such as a token, that is good at the moment; nothing: the user is nobody.
 *
 * @typedef {() => string | null | undefined | Promise<string | null | undefined>} Credential
 */

/**
 * @typedef {object} Options
 * @property {Record<string, unknown>} [params] for the application, with the session's creation
 * @property {Credential} [credential] asked before each connection, and again before what it gave expires
 * @property {import('./clock.js').Batch} [batch] when edits are sent; `tick` if not said
 * @property {import('./storage.js').Storage} [storage] keeps what is pending over a reload
 * @property {import('./socket.js').SocketConstructor} [WebSocket] the platform's own, if not given
 * @property {import('./clock.js').Clock} [clock]
 * @property {() => number} [random] from 0 to 1
 * @property {EventTarget | null} [network] tells `online` and `offline`; the page, if not said
 * @property {(status: Status) => void} [onStatus] hears of the status also before there is a session
 */

/**
 * What is stored.
 *
 * @typedef {{ session?: NonNullable<ReturnType<ClientSession['save']>>, scopes: SavedScope[] }} Saved
 */

/**
 * Connects to a server.
 *
 * The session comes as soon as the server has made it, however long it takes to reach it; it fails if
 * the server denies it.
 *
 * @param {string | URL} url `ws://` or `wss://`
 * @param {Options} [options]
 * @returns {Promise<Session>}
 */
export async function connect (url, options = {}) {
  const saved = /** @type {Saved | undefined} */ (await options.storage?.load())
  return new Session(String(url), options, saved).ready
}

/** A client's standing with a server: what it does with connections, and the scopes that it fetched. */
export class Session {
  /** @type {Promise<Session>} */
  ready
  #emitter = new Emitter()
  /** @type {Set<Scope>} */
  #scopes = new Set()
  /** @type {SavedScope[]} from before a reload, until somebody fetches them */
  #saved
  /** @type {number[]} scopes of the page before a reload, to be left */
  #toLeave = []
  #resumed
  #machine
  #socket
  #clock
  #options
  #storing = false
  #scheduled = false
  /** Whether the user wants a connection. */
  #wanted = true
  /** Whether there was a session. */
  #met = false
  /** The connection that is about to be made, for which the credential is awaited. @type {object | null} */
  #attempt = null
  /** Who waits for a renewal. @type {{ resolve: () => void, reject: (error: unknown) => void }[]} */
  #renewals = []
  /** @type {any} */
  #timer = null
  /** @type {(session: Session) => void} */
  #arrive = () => {}
  /** @type {(error: Error) => void} */
  #fail = () => {}

  /**
   * @param {string} url
   * @param {Options} options
   * @param {Saved} [saved]
   */
  constructor (url, options, saved) {
    const { clock = systemClock, random = Math.random, params, onStatus, network = pageOf(globalThis) } = options
    this.#options = options
    this.#clock = clock
    this.#saved = saved?.scopes ?? []
    this.#resumed = saved?.session !== undefined
    const renews = options.credential !== undefined
    this.#machine = new ClientSession({ params, random, renews, saved: saved?.session })
    this.#socket = new Socket(url, options.WebSocket, input => this.#handle(input))
    this.ready = new Promise((resolve, reject) => {
      this.#arrive = resolve
      this.#fail = reject
    })
    if (onStatus) this.on('status', onStatus)
    this.#listen(network)
    this.#handle({ type: 'Start' })
  }

  /** @returns {Status} */
  get status () {
    return this.#machine.status
  }

  get clock () {
    return this.#clock
  }

  /** How many objects a ChangeSet may touch. */
  get objectsMax () {
    // An object can need three fragments: its own, its place, and its move there.
    return Math.min(CHANGE_SET_OBJECTS_MAX, Math.floor(this.#machine.limits.fragments / 3))
  }

  /** How many ChangeSets wait for the server's answer, in all scopes. */
  get pendingCount () {
    return [...this.#scopes].reduce((sum, scope) => sum + scope.pendingCount, 0)
  }

  /**
   * Listens to `status` (its name), `pending` (how many ChangeSets wait), `accepted` and `refused` (a
   * ChangeSet and its scope), `expiring` (in how many seconds the credential does) and `closed` (why).
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

  /**
   * Fetches a scope. Fails with {@link Denied} if the server says no.
   *
   * @template {import('../model/schema.js').ModelClass<any, any>} M
   * @param {string} name
   * @param {M} Root the root's model
   * @param {Record<string, unknown>} [params] for the application
   * @returns {Promise<InstanceType<M>>} the root
   */
  fetch (name, Root, params = {}) {
    if (this.status === 'closed') return Promise.reject(new Error('the session is closed'))
    const scope = new Scope(this, name, Root, params)
    const place = this.#saved.findIndex(saved => saved.name === name)
    if (place >= 0) {
      const [saved] = this.#saved.splice(place, 1)
      scope.adopt(saved, this.#resumed)
      if (this.#resumed && saved.scopeIndex !== null) this.#toLeave.push(saved.scopeIndex)
    }
    this.#scopes.add(scope)
    this.#pump()
    return /** @type {Promise<any>} */ (scope.ready)
  }

  /** Resolves as soon as the server has answered everything. */
  async synced () {
    while (this.pendingCount > 0) {
      await new Promise(resolve => {
        const off = this.on('pending closed', () => resolve(off()))
      })
      if (this.status === 'closed') return
    }
  }

  /**
   * Shows who the user is anew, over the connection that there is: for when its rights have changed. Fails if
   * there is no credential, or with {@link Denied} if the server does not take it; then all is as before.
   *
   * @returns {Promise<void>}
   */
  renew () {
    if (!this.#options.credential) return Promise.reject(new TypeError('the session has no option `credential`'))
    if (this.status === 'closed') return Promise.reject(new Error('the session is closed'))
    return new Promise((resolve, reject) => {
      this.#renewals.push({ resolve, reject })
      this.#handle({ type: 'Renew' })
    })
  }

  /** Goes offline until `reconnect`; edits wait. */
  disconnect () {
    this.#wanted = false
    this.#handle({ type: 'Offline' })
  }

  /** Connects now, without waiting for the next attempt. */
  reconnect () {
    this.#wanted = true
    this.#handle({ type: 'Online' })
  }

  /** Ends the session for good. Edits that are still pending are refused, unless they are stored for another page. */
  dispose () {
    if (this.status === 'closed') return
    const keep = this.#options.storage !== undefined
    if (!keep) this.#send()
    this.#handle({ type: 'End', keep })
    this.#transmit()
    this.#hangUp()
    this.#close({ message: 'the session was disposed of', type: 'session-closed' })
  }

  // -- For scopes

  /** There is something to send, or to store, before long. */
  schedule () {
    this.#emitter.emit('pending', this.pendingCount)
    if (this.#scheduled || this.status === 'closed') return
    this.#scheduled = true
    schedule(this.#clock, this.#options.batch ?? 'tick', () => {
      this.#scheduled = false
      this.#pump()
    })
  }

  /**
   * @param {import('../model/change_set.js').ChangeSet} changes
   * @param {Scope} scope
   */
  settled (changes, scope) {
    this.#emitter.emit(changes.state, changes, scope)
    this.schedule()
  }

  /** @param {Scope} scope */
  refetch (scope) {
    // It may be under way already.
    if (scope.scopeIndex === null) return
    this.#leave(scope)
    scope.refetch()
    this.#pump()
  }

  /** @param {Scope} scope */
  forget (scope) {
    this.#leave(scope)
    this.#scopes.delete(scope)
    this.#pump()
  }

  /** @param {Scope} scope */
  #leave ({ scopeIndex }) {
    if (scopeIndex !== null) this.#toLeave.push(scopeIndex)
  }

  // -- What happens

  /** @param {Input} input */
  #handle (input) {
    /** @type {Output[]} */
    const out = []
    this.#machine.handle(this.#clock.now(), input, out)
    /** @type {Message[]} */
    const messages = []
    for (const output of out) {
      if (output.type === 'Receive') messages.push(output.message)
      else this.#do(output)
    }
    this.#receive(messages)
    if (!this.#options.storage) this.#machine.settle()
    this.#pump()
  }

  /** @param {Exclude<Output, { type: 'Receive' }>} output */
  #do (output) {
    switch (output.type) {
      case 'Dial': return void this.#dial(output.token)
      case 'Hangup': return this.#hangUp()
      case 'Lost': return this.#lose()
      case 'Denied': return this.#close(output.error)
      case 'Expiring': return this.#emitter.emit('expiring', output.seconds)
      case 'Ask': return void this.#ask()
      case 'Renewed': return this.#renewed(output.error && new Denied(output.error))
      case 'Status':
        if (output.status === 'online') {
          this.#met = true
          this.#arrive(this)
        }
        this.#emitter.emit('status', output.status)
    }
  }

  /**
   * Connects, as soon as it is known what to show.
   *
   * @param {string | null} token
   */
  async #dial (token) {
    const { credential } = this.#options
    if (!credential) return this.#socket.dial(token)
    const attempt = this.#attempt = {}
    let shown
    try {
      shown = await credential()
    } catch (error) {
      if (this.#attempt === attempt) this.#undialled(error)
      return
    }
    if (this.#attempt === attempt) this.#socket.dial(token, shown)
  }

  /**
   * There is nothing to show. At first that is for the application to know; later it may be better soon.
   *
   * @param {any} error
   */
  #undialled (error) {
    if (this.#met || this.#resumed) return this.#handle({ type: 'Disconnected', code: 1006 })
    this.#fail(error)
    this.#handle({ type: 'End', keep: true })
    this.#close({ message: String(error?.message ?? error) })
  }

  #hangUp () {
    this.#attempt = null
    this.#socket.close()
  }

  async #ask () {
    try {
      const credential = await this.#options.credential?.()
      if (!credential) throw new Error('there is no credential')
      this.#handle({ type: 'Credential', credential })
    } catch (error) {
      this.#handle({ type: 'NoCredential' })
      this.#renewed(error)
    }
  }

  /** @param {unknown} [error] */
  #renewed (error) {
    for (const { resolve, reject } of this.#renewals.splice(0)) {
      if (error) reject(error)
      else resolve()
    }
  }

  /** The server has forgotten us. */
  #lose () {
    this.#resumed = false
    this.#toLeave = []
    for (const scope of this.#scopes) scope.lose()
  }

  /** @param {Rejection} error */
  #close (error) {
    this.#clock.clearTimeout(this.#timer)
    this.#listen(null)
    const denied = new Denied(error)
    this.#fail(denied)
    this.#renewed(denied)
    for (const scope of this.#scopes) scope.deny(error, this.#options.storage !== undefined)
    this.#emitter.emit('closed', denied)
  }

  /**
   * Hands messages to their scopes, those that came together in one piece.
   *
   * @param {Message[]} messages
   */
  #receive (messages) {
    /** @type {Map<Scope, any[]>} */
    const byScope = new Map()
    for (const message of messages) {
      for (const scope of this.#addressees(message)) {
        const pile = byScope.get(scope) ?? []
        byScope.set(scope, pile)
        pile.push(message)
      }
    }
    for (const [scope, pile] of byScope) scope.receive(pile)
  }

  /**
   * @param {Message} message
   * @returns {Scope[]}
   */
  #addressees (message) {
    const scopes = [...this.#scopes]
    if (message.type === 'ScopeSyncReply') {
      for (const { pending } of this.#saved) remove(pending, ({ index }) => index === message.replyTo)
      return scopes
    }
    if (message.type !== 'ScopeFetchReply') return scopes.filter(scope => scope.scopeIndex === message.scopeIndex)
    const scope = scopes.find(({ fetchIndex }) => fetchIndex === message.replyTo)
    if (!scope) return []
    if (message.error) {
      this.#scopes.delete(scope)
      scope.deny(message.error)
    } else {
      scope.scopeIndex = message.scopeIndex
    }
    return []
  }

  // -- Sending

  /** Sends what there is to send; if it is to survive a reload, after it is stored. */
  #pump () {
    if (this.#storing) return
    this.#send()
    const { storage } = this.#options
    if (!storage || this.status === 'closed') return this.#flush()
    this.#storing = true
    const saved = this.#save()
    const received = saved.session?.reliable.lastReceived
    storage.save(saved).then(() => {
      this.#machine.settle(received)
    }, error => {
      this.#machine.unsettle()
      queueMicrotask(() => { throw error })
    }).then(() => {
      this.#storing = false
      this.#flush()
      if (this.#stale(saved)) this.#pump()
    })
  }

  /** @param {Saved} saved */
  #stale (saved) {
    return JSON.stringify(saved) !== JSON.stringify(this.#save())
  }

  /** @returns {Saved} */
  #save () {
    const scopes = [...this.#saved, ...Array.from(this.#scopes, scope => scope.save())]
    return { session: this.#machine.save(), scopes }
  }

  /** Gives the machine what waits. Offline it stays in the scopes, where new edits join it. */
  #send () {
    if (this.status !== 'online' || this.#socket.waitingBytes > SOCKET_BYTES_MAX) return
    for (const scope of this.#scopes) {
      const { name, params, scopeIndex } = scope
      scope.fetchIndex ??= this.#machine.send({ type: 'ScopeFetch', name, params })
      if (scopeIndex === null) continue
      for (const changes of scope.unsent()) {
        const { fragments, atomic, procedure } = changes
        if (this.#tooLong(fragments)) {
          scope.refuse(changes, { type: 'too-large', message: 'the changes are more than fits into a message' })
          continue
        }
        const how = atomic ? { atomic, procedure } : {}
        changes.index = this.#machine.send({ type: 'ScopeSync', scopeIndex, fragments, ...how })
      }
    }
    if (this.#toLeave.length > 0 && this.pendingCount === 0) {
      for (const scopeIndex of this.#toLeave.splice(0)) this.#machine.send({ type: 'ScopeUnfetch', scopeIndex })
    }
  }

  /** @param {unknown} fragments */
  #tooLong (fragments) {
    return byteLength(JSON.stringify(fragments)) + ENVELOPE_BYTES > this.#machine.limits.messageBytes
  }

  #flush () {
    this.#transmit()
    this.#emitter.emit('pending', this.pendingCount)
    this.#clock.clearTimeout(this.#timer)
    const deadline = this.#machine.deadline()
    if (this.status === 'closed') return
    const full = this.#socket.waitingBytes > SOCKET_BYTES_MAX
    const pause = Math.min(deadline - this.#clock.now(), full ? FULL_MS : Infinity)
    if (pause === Infinity) return
    this.#timer = this.#clock.setTimeout(() => this.#handle({ type: 'Deadline' }), Math.max(0, pause))
  }

  #transmit () {
    while (this.#socket.waitingBytes <= SOCKET_BYTES_MAX) {
      const frame = this.#machine.nextFrame()
      if (frame === null) return
      this.#socket.send(frame)
    }
  }

  // -- The network

  /** @type {(() => void) | null} */
  #unlisten = null

  /** @param {EventTarget | null} network */
  #listen (network) {
    this.#unlisten?.()
    // Whoever disconnected on purpose is not connected by a network that comes back.
    const online = () => this.#wanted && this.#handle({ type: this.status === 'online' ? 'Probe' : 'Online' })
    const offline = () => this.#handle({ type: 'Offline' })
    network?.addEventListener('online', online)
    network?.addEventListener('offline', offline)
    this.#unlisten = () => {
      network?.removeEventListener('online', online)
      network?.removeEventListener('offline', offline)
    }
  }
}

/** What a message needs beside its fragments, in bytes. */
const ENVELOPE_BYTES = 300

/** How long to wait for a socket that is full, in milliseconds. */
const FULL_MS = 50

/**
 * @param {any} global
 * @returns {EventTarget | null} Node has no such events
 */
const pageOf = global => typeof global.addEventListener === 'function' ? global : null

/**
 * @template T
 * @param {T[]} list
 * @param {(element: T) => boolean} which
 */
function remove (list, which) {
  const place = list.findIndex(which)
  if (place >= 0) list.splice(place, 1)
}

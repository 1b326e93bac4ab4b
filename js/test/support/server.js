/** @file A little model server: the protocol as its text says it, on the naive scope. */

/**
 * @typedef {import('./scope.js').NaiveScope} NaiveScope
 * @typedef {{ send: (text: string) => void, close: (code: number, reason?: string) => void }} Connection
 */

/** One client's standing. */
class ServerSession {
  lastReceived = 0
  lastSent = 0
  /** @type {{ index: number }[]} */
  unacked = []
  /** @type {any[]} what the server was asked, in order */
  received = []
  /** @type {(NaiveScope | null)[]} by scopeIndex */
  scopes = []
  /** @type {Connection | null} */
  connection = null
  /** @type {[NaiveScope, any][]} what leaves with it: the removal of each such object, and where */
  leaves = []

  /** @param {string} token */
  constructor (token) {
    this.token = token
  }

  /** @param {Record<string, unknown>} message */
  send (message) {
    const numbered = { ...message, index: ++this.lastSent, ack: this.lastReceived }
    this.unacked.push(numbered)
    this.connection?.send(JSON.stringify(numbered))
  }

  /** @param {number} ack */
  acknowledge (ack) {
    this.unacked = this.unacked.filter(({ index }) => index > ack)
  }
}

export class ModelServer {
  /** @type {Map<string, ServerSession>} */
  sessions = new Map()
  /** @type {Map<string, NaiveScope>} */
  scopes = new Map()
  /** @type {string[]} broken rules of the protocol, as the server sees them */
  complaints = []
  /** @type {((answer: () => void) => void) | null} holds back answers to procedure calls */
  holdProcedures = null
  /** Models whose objects live as long as the session that added them. @type {string[]} */
  sessionModels = []
  /** What connections have shown, and what was shown later. @type {(string | null)[]} */
  shown = []
  /** What is not taken when it is shown later. @type {string[]} */
  refused = []
  /** Denies sessions for a reason that may pass. */
  undecided = false
  /** Swallows what arrives, as a machine does that is no more. */
  dead = false
  #tokens = 0

  /**
   * A client has opened a connection.
   *
   * @param {string} url
   * @param {Connection} connection
   * @param {string[]} [protocols]
   * @returns {{ frame: (text: string) => void, closed: () => void }}
   */
  connect (url, connection, protocols = []) {
    const credential = protocols.find(protocol => protocol.startsWith('jetstream.authorization.'))
    this.shown.push(credential ? decodeURIComponent(credential.slice('jetstream.authorization.'.length)) : null)
    const token = new URL(url).searchParams.get('x-jetstream-sessiontoken')
    let session = token ? this.sessions.get(token) : null
    const denied = token !== null && !session
    if (denied) {
      connection.close(4096, '{"type":"session-token-unrecognized","message":"no such session"}')
    }
    if (session) {
      session.connection?.close(1000, 'replaced')
      session.connection = connection
    }
    return {
      frame: text => {
        if (this.dead || denied) return
        for (const message of [].concat(JSON.parse(text))) {
          if (!session) session = this.#create(message, connection)
          else if (session.connection === connection) this.#message(session, message)
        }
      },
      closed: () => {
        if (session?.connection === connection) session.connection = null
      }
    }
  }

  /** Ends all sessions, as a restart without a memory of them does. */
  forgetSessions () {
    const sessions = [...this.sessions.values()]
    this.sessions.clear()
    for (const session of sessions) {
      session.connection?.close(4097, '{"type":"session-closed","message":"forgotten"}')
      session.connection = null
    }
  }

  /**
   * What was shown is good for so long.
   *
   * @param {number} seconds
   */
  warn (seconds) {
    for (const { connection } of this.sessions.values()) {
      connection?.send(JSON.stringify({ type: 'SessionExpiring', index: 0, seconds }))
    }
  }

  /** Keep-alive of all sessions. */
  ping () {
    if (this.dead) return
    for (const { connection, lastReceived } of this.sessions.values()) {
      connection?.send(JSON.stringify({ type: 'Ping', index: 0, ack: lastReceived, resendMissing: false }))
    }
  }

  /**
   * @param {any} message
   * @param {Connection} connection
   */
  #create (message, connection) {
    if (message.type !== 'SessionCreate') this.complaints.push(`${message.type} before a session`)
    if (message.params.deny) {
      connection.send(JSON.stringify({ type: 'SessionCreateReply', index: 0, error: { type: 'rejected', message: 'no' } }))
      return null
    }
    if (this.undecided) {
      connection.send(JSON.stringify({ type: 'SessionCreateReply', index: 0, error: { type: 'internal', message: 'later' } }))
      return null
    }
    const session = new ServerSession(`token${++this.#tokens}`)
    session.connection = connection
    this.sessions.set(session.token, session)
    connection.send(JSON.stringify({ type: 'SessionCreateReply', index: 0, sessionToken: session.token }))
    return session
  }

  /**
   * @param {ServerSession} session
   * @param {any} message
   */
  #message (session, message) {
    if (message.ack > session.lastSent) this.complaints.push(`ack ${message.ack} of ${session.lastSent}`)
    if (message.ack !== undefined) session.acknowledge(message.ack)
    if (message.type === 'Ping') {
      if (!message.resendMissing) return
      this.#ask(session)
      for (const missed of session.unacked) session.connection?.send(JSON.stringify(missed))
      return
    }
    if (message.index <= session.lastReceived) return
    if (message.index > session.lastReceived + 1) return this.#ask(session)
    session.lastReceived = message.index
    session.received.push(message)
    this.#request(session, message)
  }

  /** @param {ServerSession} session */
  #ask ({ connection, lastReceived }) {
    connection?.send(JSON.stringify({ type: 'Ping', index: 0, ack: lastReceived, resendMissing: true }))
  }

  /**
   * @param {ServerSession} session
   * @param {any} message
   */
  #request (session, message) {
    const replyTo = message.index
    switch (message.type) {
      case 'ScopeFetch': {
        const scope = this.scopes.get(message.name)
        if (!scope || message.params.deny) {
          session.send({ type: 'ScopeFetchReply', replyTo, error: { type: 'forbidden', message: `no scope "${message.name}"` } })
          return
        }
        const scopeIndex = session.scopes.push(scope) - 1
        session.send({ type: 'ScopeFetchReply', replyTo, scopeIndex })
        session.send({ type: 'ScopeState', scopeIndex, ...scope.state() })
        return
      }
      case 'ScopeSync':
        if (message.procedure && this.holdProcedures) this.holdProcedures(() => this.#sync(session, message))
        else this.#sync(session, message)
        return
      case 'ScopeUnfetch':
        if (!session.scopes[message.scopeIndex]) this.complaints.push(`unfetch of ${message.scopeIndex}`)
        session.scopes[message.scopeIndex] = null
        return
      case 'SessionRenew': {
        const { token } = message.params
        this.shown.push(token)
        const error = { type: 'unauthorized', message: `not ${token}` }
        session.send({ type: 'Reply', replyTo, ...this.refused.includes(token) && { error } })
        return
      }
      case 'SessionClose':
        this.sessions.delete(session.token)
        for (const [scope, removal] of session.leaves) {
          if (scope.sync([removal], false).applied.length > 0) this.tell(scope, [removal])
        }
        session.connection?.close(4097, '{"type":"session-closed","message":"closed"}')
        return
      default: this.complaints.push(`a message of type ${message.type}`)
    }
  }

  /**
   * @param {ServerSession} session
   * @param {any} message
   */
  #sync (session, { index: replyTo, scopeIndex, fragments, atomic = false }) {
    const scope = session.scopes[scopeIndex]
    if (!scope) {
      this.complaints.push(`sync to ${scopeIndex}`)
      return
    }
    const { replies, applied } = scope.sync(fragments, atomic)
    session.send({ type: 'ScopeSyncReply', replyTo, fragmentReplies: replies })
    if (applied.length > 0) this.tell(scope, applied, session, scopeIndex)
    for (const { type, uuid, clsName } of applied) {
      if (type === 'add' && this.sessionModels.includes(clsName)) session.leaves.push([scope, { type: 'remove', uuid, clsName }])
    }
  }

  /**
   * @param {NaiveScope} scope
   * @param {any[]} fragments
   * @param {ServerSession} [author]
   * @param {number} [authorIndex]
   */
  tell (scope, fragments, author, authorIndex) {
    for (const session of this.sessions.values()) {
      session.scopes.forEach((other, scopeIndex) => {
        if (other !== scope || (session === author && scopeIndex === authorIndex)) return
        session.send({ type: 'ScopeSync', scopeIndex, fragments })
      })
    }
  }
}

import {
  CHANGE_SET_OBJECTS_MAX, CONNECT_MS_MAX, FRAME_MESSAGES_MAX, GAP_MS_MAX, MESSAGE_BYTES_MAX, PING_INTERVAL_MS,
  PROBE_MS_MAX, RENEW_MS_MIN, RETRY_MS_MAX, RETRY_MS_MIN, SILENCE_MS_MAX, UNACKNOWLEDGED_MAX
} from '../limits.js'
import { decodeFrame } from '../wire/decode.js'
import { VERSION } from '../wire/message.js'
import { Reliable, byteLength } from './reliable.js'

/**
 * @typedef {import('../wire/message.js').Message} Message
 * @typedef {import('../wire/message.js').Rejection} Rejection
 */

/**
 * Where a session is.
 *
 * - `connecting`: a connection is being opened, or has not heard the server yet
 * - `online`: what is edited reaches the server
 * - `waiting`: the connection is lost; the next attempt comes by itself
 * - `offline`: there is no network, or the user wants none
 * - `closed`: it is over
 *
 * @typedef {'connecting' | 'online' | 'waiting' | 'offline' | 'closed'} Status
 */

/**
 * What the shell tells the session. `keep`: another page may resume it.
 *
 * @typedef {{ type: 'Start' } | { type: 'Connected' } | { type: 'Frame', text: string }
 *   | { type: 'Disconnected', code: number, reason?: string } | { type: 'Deadline' }
 *   | { type: 'Online' } | { type: 'Offline' } | { type: 'Probe' } | { type: 'End', keep: boolean }
 *   | { type: 'Renew' } | { type: 'Credential', credential: string } | { type: 'NoCredential' }} Input
 */

/**
 * What the session wants done. `Dial` and `Hangup` are about the one connection that it has; `Lost`: the
 * server has forgotten the session, and another one is begun; `Denied`: there will be none. `Expiring`: what
 * was shown to say who the user is, is good for so long; `Ask`: another is needed, to be told with `Credential`
 * or `NoCredential`; `Renewed`: the server has looked at it.
 *
 * @typedef {{ type: 'Dial', token: string | null } | { type: 'Hangup' } | { type: 'Status', status: Status }
 *   | { type: 'Receive', message: Message } | { type: 'Lost' } | { type: 'Denied', error: Rejection }
 *   | { type: 'Expiring', seconds: number } | { type: 'Ask' } | { type: 'Renewed', error?: Rejection }
 * } Output
 */

/**
 * The client's end of a session: it outlives connections, and knows nothing of what is in its scopes.
 */
export class ClientSession {
  #reliable
  /** @type {string | null} */
  #token
  /** @type {Status} */
  #status = 'offline'
  /** @type {string[]} texts that wait for the next frame */
  #outbox = []
  /** Whether the connection is open. */
  #open = false
  #ended = false
  #attempts = 0
  #gap = false
  /** Whether the server has to be asked on this connection what it has. */
  #asks = false
  /** Whether what is received will be stored some time. */
  #stores = true
  /** How much came since we last said what we have. */
  #unacknowledged = 0
  /** The longest frame that was sent on this connection, in bytes. */
  #longest = 0
  /** @type {Record<Timer, number>} when each timer runs out; `Infinity`: it does not run */
  #timers = {
    retry: Infinity, connect: Infinity, ping: Infinity, silence: Infinity, probe: Infinity, gap: Infinity, renew: Infinity
  }

  /** When what this connection has shown is no longer good, as far as we were told. */
  #expiresAt = Infinity
  /** Whether somebody was asked for a new credential. */
  #asking = false
  /** The message that showed it, while it has no answer. @type {number | null} */
  #renewal = null
  #renews
  #params
  #random

  /**
   * @param {object} options
   * @param {Record<string, unknown>} [options.params] for the application
   * @param {() => number} options.random from 0 to 1
   * @param {boolean} [options.renews] whether somebody can be asked for a new credential
   * @param {{ token: string, reliable: import('./reliable.js').Saved }} [options.saved] from before a reload
   */
  constructor ({ params = {}, random, renews = false, saved }) {
    this.#params = params
    this.#renews = renews
    this.#random = random
    this.#token = saved?.token ?? null
    this.#reliable = new Reliable(saved?.reliable)
  }

  /** @returns {Status} */
  get status () {
    return this.#status
  }

  /** What the server holds us to, as far as we know. */
  limits = { messageBytes: MESSAGE_BYTES_MAX, fragments: CHANGE_SET_OBJECTS_MAX * 4 }

  /**
   * @param {number} now
   * @param {Input} input
   * @param {Output[]} out
   */
  handle (now, input, out) {
    switch (input.type) {
      case 'Start':
      case 'Online': return this.#dial(now, out)
      case 'Offline': return this.#goOffline(out)
      case 'Connected': return this.#connected(now)
      case 'Frame': return this.#frame(now, input.text, out)
      case 'Disconnected': return this.#disconnected(now, input, out)
      case 'Probe': return this.#probe(now)
      case 'Deadline': return this.#deadlines(now, out)
      case 'End': return this.#end(input.keep, out)
      case 'Renew': return this.#renew(out)
      case 'Credential': return this.#show(input.credential, out)
      case 'NoCredential': return this.#unshown(now)
    }
  }

  /** @returns {number} when `Deadline` is due; `Infinity`: never */
  deadline () {
    return Math.min(...Object.values(this.#timers))
  }

  /**
   * Takes a message for the server, as soon as the session is online.
   *
   * @param {Record<string, unknown>} message
   * @returns {number} its index
   */
  send (message) {
    const { index, text } = this.#reliable.send(message)
    this.#outbox.push(text)
    return index
  }

  /**
   * What is to be sent next, to be pulled when the socket has room.
   *
   * @returns {string | null} the text of a frame
   */
  nextFrame () {
    if (!this.#open) return null
    if (this.#asks) {
      // A server that was gone counts on from what we say here: from less than we have, and we would take
      // what it sends for repetitions.
      if (this.#stores && this.#reliable.ack < this.#reliable.lastReceived) return null
      this.#asks = false
      this.#outbox.unshift(this.#ping(true))
    }
    if (this.#outbox.length === 0) return null
    let count = 0
    for (let length = 0; count < Math.min(this.#outbox.length, FRAME_MESSAGES_MAX); count++) {
      length += byteLength(this.#outbox[count]) + 1
      if (count > 0 && length > this.limits.messageBytes / 2) break
    }
    const texts = this.#outbox.splice(0, count)
    const frame = texts.length === 1 ? texts[0] : `[${texts.join()}]`
    this.#longest = Math.max(this.#longest, byteLength(frame))
    return frame
  }

  /** What was received until now is stored, so that the server may forget it. */
  settle (index = this.#reliable.lastReceived) {
    this.#reliable.settle(index)
    this.#stores = true
  }

  /** What was received cannot be stored. The server keeps it, but nothing waits for it any more. */
  unsettle () {
    this.#stores = false
  }

  /** What is needed to resume after a reload; nothing as long as there is no session. */
  save () {
    return this.#token === null ? undefined : { token: this.#token, reliable: this.#reliable.save() }
  }

  // -- Connecting

  /**
   * @param {number} now
   * @param {Output[]} out
   */
  #dial (now, out) {
    if (this.#ended || this.#status === 'online' || this.#status === 'connecting') return
    this.#timers.retry = Infinity
    this.#timers.connect = now + CONNECT_MS_MAX
    out.push({ type: 'Dial', token: this.#token })
    this.#become('connecting', out)
  }

  /** @param {number} now */
  #connected (now) {
    this.#open = true
    this.#longest = 0
    if (this.#token === null) {
      this.#outbox = [JSON.stringify({ type: 'SessionCreate', index: 0, params: this.#params, version: VERSION })]
    } else {
      this.#asks = true
    }
    this.#timers.ping = this.#pingTime(now)
  }

  /**
   * @param {number} now
   * @param {{ code: number, reason?: string }} closing
   * @param {Output[]} out
   */
  #disconnected (now, { code, reason }, out) {
    this.#drop()
    // What was too long for the server once would be so again and again.
    if (code === TOO_LONG) this.limits.messageBytes = Math.floor(this.#longest / 2)
    const forgotten = code === 4096 || code === 4097 || code === TOO_LONG
    if (this.#ended || this.#status === 'offline') return
    if (forgotten && this.#token === null) return this.#deny(explain(reason), out)
    if (forgotten) {
      this.#token = null
      this.#reliable = new Reliable()
      out.push({ type: 'Lost' })
      // The next session is begun with what is shown then.
      if (this.#renewal !== null) out.push({ type: 'Renewed' })
      this.#renewal = null
    }
    this.#wait(now, out)
  }

  /**
   * @param {number} now
   * @param {Output[]} out
   */
  #wait (now, out) {
    const pause = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#attempts++)
    // Half of it at random, so that the clients of a server that comes back do not come all at once.
    this.#timers.retry = now + pause * (0.5 + this.#random() / 2)
    this.#become('waiting', out)
  }

  /** @param {Output[]} out */
  #goOffline (out) {
    if (this.#ended || this.#status === 'offline') return
    this.#drop()
    out.push({ type: 'Hangup' })
    this.#become('offline', out)
  }

  /**
   * @param {boolean} keep
   * @param {Output[]} out
   */
  #end (keep, out) {
    if (this.#ended) return
    this.#ended = true
    if (!keep && this.#open && this.#token !== null) this.send({ type: 'SessionClose' })
    this.#stopTimers()
    this.#become('closed', out)
  }

  /**
   * @param {Rejection} error
   * @param {Output[]} out
   */
  #deny (error, out) {
    this.#ended = true
    this.#drop()
    out.push({ type: 'Denied', error }, { type: 'Hangup' })
    this.#become('closed', out)
  }

  /** The connection is no more. */
  #drop () {
    this.#open = false
    this.#asks = false
    this.#outbox = []
    this.#gap = false
    this.#expiresAt = Infinity
    this.#stopTimers()
  }

  #stopTimers () {
    for (const timer of /** @type {Timer[]} */ (Object.keys(this.#timers))) this.#timers[timer] = Infinity
  }

  /**
   * @param {Status} status
   * @param {Output[]} out
   */
  #become (status, out) {
    if (this.#status === status) return
    this.#status = status
    out.push({ type: 'Status', status })
  }

  // -- Messages

  /**
   * @param {number} now
   * @param {string} text
   * @param {Output[]} out
   */
  #frame (now, text, out) {
    if (!this.#open || this.#ended) return
    this.#timers.silence = now + SILENCE_MS_MAX
    this.#timers.probe = Infinity
    for (const message of decodeFrame(text)) {
      if (!this.#ended) this.#message(now, message, out)
    }
    this.#unacknowledged += text.length
    if (this.#unacknowledged > UNACKNOWLEDGED_MAX) this.#timers.ping = now
  }

  /**
   * @param {number} now
   * @param {Message} message
   * @param {Output[]} out
   */
  #message (now, message, out) {
    if (message.type === 'SessionCreateReply' || message.type === 'SessionCreateResponse') {
      return this.#created(now, message, out)
    }
    if (this.#token === null) return
    if (Number.isSafeInteger(message.ack)) this.#reliable.acknowledge(message.ack)
    if (message.type === 'Ping') return this.#pinged(message, out)
    if (message.type === 'SessionExpiring') return this.#expiring(now, message.seconds, out)
    if (message.index === 0) return
    // On a resumed connection what the server has for us may come before it answers our Ping.
    const arrival = this.#reliable.receive(message.index)
    if (arrival === 'gap') this.#missed(now)
    if (arrival !== 'new') return
    this.#gap = false
    this.#timers.gap = Infinity
    if (message.type === 'ScopeSyncReply') this.#reliable.answered(message.replyTo)
    if (message.type === 'Reply') return this.#renewed(now, message, out)
    out.push({ type: 'Receive', message })
  }

  /**
   * @param {number} now
   * @param {Message} reply
   * @param {Output[]} out
   */
  #created (now, { sessionToken, error, limits }, out) {
    if (this.#token !== null) return
    if (error?.type === 'internal') {
      // It could not be found out who we are, or the server is at fault: that may be better soon.
      this.#drop()
      out.push({ type: 'Hangup' })
      return this.#wait(now, out)
    }
    if (error) return this.#deny(error, out)
    this.#token = sessionToken
    this.limits.messageBytes = Math.min(this.limits.messageBytes, limits?.messageBytes || Infinity)
    this.limits.fragments = Math.min(this.limits.fragments, limits?.fragments || Infinity)
    this.#establish(out)
  }

  /**
   * @param {Message} ping
   * @param {Output[]} out
   */
  #pinged ({ resendMissing }, out) {
    // Any other is only a sign of life.
    if (!resendMissing) return
    // Acknowledged ones are gone from it, so nothing waits that is not in it.
    this.#outbox = this.#reliable.missing()
    if (this.#status === 'connecting') this.#establish(out)
  }

  /** @param {Output[]} out */
  #establish (out) {
    this.#attempts = 0
    this.#timers.connect = Infinity
    this.#become('online', out)
  }

  /** @param {number} now */
  #missed (now) {
    if (this.#gap) return
    this.#gap = true
    this.#timers.gap = now + GAP_MS_MAX
    this.#outbox.push(this.#ping(true))
  }

  /** @param {boolean} resendMissing */
  #ping (resendMissing) {
    this.#unacknowledged = 0
    return JSON.stringify({ type: 'Ping', index: 0, ack: this.#reliable.ack, resendMissing })
  }

  // -- Who the user is

  /**
   * @param {number} now
   * @param {number} seconds
   * @param {Output[]} out
   */
  #expiring (now, seconds, out) {
    this.#expiresAt = now + seconds * 1000
    out.push({ type: 'Expiring', seconds })
    if (this.#renews) this.#ask(out)
  }

  /**
   * The user wants to be looked at anew.
   *
   * @param {Output[]} out
   */
  #renew (out) {
    // The next connection shows it by itself.
    if (this.#status === 'online') this.#ask(out)
    else out.push({ type: 'Renewed' })
  }

  /** @param {Output[]} out */
  #ask (out) {
    this.#timers.renew = Infinity
    if (this.#asking || this.#renewal !== null) return
    this.#asking = true
    out.push({ type: 'Ask' })
  }

  /**
   * @param {string} credential
   * @param {Output[]} out
   */
  #show (credential, out) {
    this.#asking = false
    if (this.#status === 'online') this.#renewal = this.send({ type: 'SessionRenew', params: { token: credential } })
    else out.push({ type: 'Renewed' })
  }

  /** @param {number} now */
  #unshown (now) {
    this.#asking = false
    this.#renewLater(now)
  }

  /**
   * @param {number} now
   * @param {Message} reply
   * @param {Output[]} out
   */
  #renewed (now, { replyTo, error }, out) {
    if (replyTo !== this.#renewal) return
    this.#renewal = null
    // Not kept for longer than it has to be.
    this.#reliable.answered(replyTo)
    if (error) this.#renewLater(now)
    else this.#expiresAt = Infinity
    out.push({ type: 'Renewed', error })
  }

  /**
   * There is another attempt after a quarter of the time that is left, until there is none left.
   *
   * @param {number} now
   */
  #renewLater (now) {
    const left = this.#expiresAt - now
    if (this.#renews && left > 0 && left < Infinity) this.#timers.renew = now + Math.max(RENEW_MS_MIN, left / 4)
  }

  // -- Time

  /**
   * @param {number} now
   * @param {Output[]} out
   */
  #deadlines (now, out) {
    const due = (/** @type {Timer} */ timer) => this.#timers[timer] <= now
    if (due('connect') || due('probe')) {
      this.#drop()
      out.push({ type: 'Hangup' })
      return this.#wait(now, out)
    }
    if (due('retry')) return this.#dial(now, out)
    if (due('ping')) {
      this.#timers.ping = this.#pingTime(now)
      this.#outbox.push(this.#ping(false))
    }
    if (due('gap')) {
      this.#gap = false
      this.#missed(now)
    }
    if (due('silence')) this.#probe(now)
    if (due('renew')) this.#ask(out)
  }

  /**
   * Asks for a sign of life.
   *
   * @param {number} now
   */
  #probe (now) {
    if (this.#status !== 'online') return
    this.#timers.silence = Infinity
    this.#timers.probe = now + PROBE_MS_MAX
    this.#outbox.push(this.#ping(true))
  }

  /** @param {number} now */
  #pingTime (now) {
    return now + PING_INTERVAL_MS * (0.9 + this.#random() / 5)
  }
}

/** The close code of a frame that is too long. */
const TOO_LONG = 1009

/**
 * The error that stands in a close reason.
 *
 * @param {string} [reason]
 * @returns {Rejection}
 */
function explain (reason = '') {
  try {
    const { message, type } = JSON.parse(reason)
    return { message: String(message), type }
  } catch {
    return { message: reason || 'the server denied the session' }
  }
}

/** @typedef {'retry' | 'connect' | 'ping' | 'silence' | 'probe' | 'gap' | 'renew'} Timer */

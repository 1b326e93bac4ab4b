// A WebSocket behind a link that delays what goes either way, in order, and that can be cut: what the
// original's client gets in place of the browser's.

import { createRequire } from 'node:module'

const Socket = createRequire(import.meta.url)('ws')

/** Numbers that a seed determines (mulberry32, Tommy Ettinger). */
export function random (seed) {
  let state = seed >>> 0
  return bound => {
    state = (state + 0x6D2B79F5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % bound
  }
}

/** One direction of a link. What is sent later never arrives earlier. */
class Lane {
  #free = 0
  #queue = []
  #isCut = false
  static waiting = 0

  constructor (delay) {
    this.delay = delay
  }

  carry (deliver) {
    this.#free = Math.max(this.#free, Date.now() + this.delay())
    Lane.waiting++
    this.#queue.push(deliver)
    // Timers that are due in the same millisecond may fire in any order: whichever does takes the next.
    setTimeout(() => {
      Lane.waiting--
      const deliver = this.#queue.shift()
      if (!this.#isCut) deliver()
    }, this.#free - Date.now())
  }

  /** What is under way is lost, and so is what is sent after. */
  cut () {
    this.#isCut = true
  }
}

/**
 * The delays are in the URL: `from` and `to` in milliseconds for each way, and the `seed` that draws them.
 */
export class DelayedWebSocket {
  /** The objects whose `add` the server accepted, whoever sent it. */
  static acceptedAdds = new Set()
  /** How many sessions clients asked for. */
  static sessionsBegun = 0
  /** The adds of each message that is not answered yet. The answer may come over a later connection. */
  static #adds = new Map()
  /** The link that each client, told apart by its seed, talks over at present. */
  static #present = new Map()

  #socket
  #seed
  #up
  #down

  constructor (url) {
    const link = new URL(url).searchParams
    this.#seed = link.get('seed')
    DelayedWebSocket.#present.set(this.#seed, this)
    const [from, to] = [Number(link.get('from')), Number(link.get('to'))]
    const draw = random(Number(this.#seed))
    const delay = () => from + (to > from ? draw(to - from) : 0)
    this.#up = new Lane(delay)
    this.#down = new Lane(delay)
    this.#socket = new Socket(url)
    this.#socket.on('open', () => this.#down.carry(() => this.onopen?.({})))
    this.#socket.on('close', (code, reason) => this.#down.carry(() => this.onclose?.({ code, reason: String(reason) })))
    this.#socket.on('error', error => this.onerror?.(error))
    this.#socket.on('message', data => this.#down.carry(() => {
      this.#note(JSON.parse(String(data)))
      this.onmessage?.({ data: String(data) })
    }))
  }

  /** Whether nothing is under way on any link. */
  static isQuiet () {
    return Lane.waiting === 0
  }

  /** Cuts the link that the client of this seed talks over. Client and server learn of it at once. */
  static cut (seed) {
    const link = DelayedWebSocket.#present.get(String(seed))
    link.#up.cut()
    link.#down.cut()
    link.#socket.removeAllListeners('close')
    link.#socket.on('error', () => {})
    link.#socket.terminate()
    link.onclose?.({ code: 1006, reason: '' })
  }

  send (text) {
    for (const { type, index, fragments } of [JSON.parse(text)].flat()) {
      if (type === 'SessionCreate') DelayedWebSocket.sessionsBegun++
      if (type !== 'ScopeSync') continue
      const adds = fragments.map(({ type, uuid }) => type === 'add' ? uuid : null)
      DelayedWebSocket.#adds.set(`${this.#seed} ${index}`, adds)
    }
    this.#up.carry(() => {
      if (this.#socket.readyState === Socket.OPEN) this.#socket.send(text)
    })
  }

  close (code, reason) {
    this.#socket.close(code, reason)
  }

  #note (messages) {
    for (const { type, replyTo, fragmentReplies } of [messages].flat()) {
      if (type !== 'ScopeSyncReply') continue
      const adds = DelayedWebSocket.#adds.get(`${this.#seed} ${replyTo}`) ?? []
      adds.forEach((uuid, place) => {
        if (uuid && !fragmentReplies[place].error) DelayedWebSocket.acceptedAdds.add(uuid)
      })
    }
  }
}

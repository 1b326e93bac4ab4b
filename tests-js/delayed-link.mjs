// A WebSocket behind a link that delays what goes either way, in order: what the original's client gets in
// place of the browser's.

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
      this.#queue.shift()()
    }, this.#free - Date.now())
  }
}

/**
 * The delays are in the URL: `from` and `to` in milliseconds for each way, and the `seed` that draws them.
 */
export class DelayedWebSocket {
  /** The objects whose `add` the server accepted, whoever sent it. */
  static acceptedAdds = new Set()

  #socket
  #up
  #down
  /** The adds of each message that is not answered yet. */
  #adds = new Map()

  constructor (url) {
    const link = new URL(url).searchParams
    const [from, to] = [Number(link.get('from')), Number(link.get('to'))]
    const draw = random(Number(link.get('seed')))
    const delay = () => from + (to > from ? draw(to - from) : 0)
    this.#up = new Lane(delay)
    this.#down = new Lane(delay)
    this.#socket = new Socket(url)
    this.#socket.on('open', () => this.onopen?.({}))
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

  send (text) {
    const message = JSON.parse(text)
    if (message.type === 'ScopeSync') {
      this.#adds.set(message.index, message.fragments.map(({ type, uuid }) => type === 'add' ? uuid : null))
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
      const adds = this.#adds.get(replyTo) ?? []
      this.#adds.delete(replyTo)
      adds.forEach((uuid, place) => {
        if (uuid && !fragmentReplies[place].error) DelayedWebSocket.acceptedAdds.add(uuid)
      })
    }
  }
}

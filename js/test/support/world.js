/** @file A small world without a clock or a network of its own: seeded, and as fast as it is driven. */

import { connect } from '../../jetstream.js'
import { ModelServer } from './server.js'

/**
 * Numbers from 0 to 1, the same for the same seed (mulberry32).
 *
 * @param {number} seed
 */
export function randomFrom (seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * One end of a connection with a latency; in order, as TCP is.
 */
class Link {
  /** @type {((event: any) => void) | null} */
  onopen = null
  /** @type {((event: any) => void) | null} */
  onmessage = null
  /** @type {((event: any) => void) | null} */
  onclose = null
  /** @type {((event: any) => void) | null} */
  onerror = null
  bufferedAmount = 0
  /** Whether bytes still arrive. */
  alive = true
  #leaving = false
  #up = 0
  #down = 0

  /**
   * @param {World} world
   * @param {string} url
   * @param {string[]} [protocols]
   */
  constructor (world, url, protocols) {
    this.world = world
    const { server } = world
    /** @type {ReturnType<ModelServer['connect']> | undefined} */
    let end
    this.#later('up', () => {
      if (world.unreachable) return this.fail()
      end = server.connect(url, {
        send: text => this.#later('down', () => this.onmessage?.({ data: text })),
        close: (code, reason = '') => this.#later('down', () => this.#close(code, reason))
      }, protocols)
      this.#later('down', () => this.onopen?.({}))
    })
    this.end = () => end
    world.links.add(this)
  }

  /** @param {string} text */
  send (text) {
    this.world.frames++
    this.#later('up', () => {
      if (text.length <= this.world.frameBytesMax) return this.end()?.frame(text)
      this.end()?.closed()
      this.#later('down', () => this.#close(1009, 'too long'))
    })
  }

  /** What was sent before still arrives. */
  close () {
    if (!this.alive) return
    this.#later('up', () => this.end()?.closed())
    this.alive = false
    this.#leaving = true
    this.world.links.delete(this)
  }

  /** The connection is lost, with what is on the way. */
  fail () {
    if (!this.alive) return
    this.alive = false
    this.world.links.delete(this)
    this.end()?.closed()
    this.world.clock.setTimeout(() => this.onclose?.({ code: 1006, reason: '' }), 0)
  }

  /** Nothing arrives any more, and nobody is told. */
  freeze () {
    this.alive = false
    this.world.links.delete(this)
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #close (code, reason) {
    this.alive = false
    this.world.links.delete(this)
    this.onclose?.({ code, reason })
  }

  /**
   * @param {'up' | 'down'} way
   * @param {() => void} arrive
   */
  #later (way, arrive) {
    const { world } = this
    const at = Math.max(way === 'up' ? this.#up : this.#down, world.clock.now() + world.latency())
    if (way === 'up') this.#up = at
    else this.#down = at
    const arrives = () => this.alive || (this.#leaving && way === 'up')
    world.clock.setTimeout(() => arrives() && arrive(), at - world.clock.now())
  }
}

export class World {
  server = new ModelServer()
  /** @type {Set<Link>} */
  links = new Set()
  unreachable = false
  frames = 0
  frameBytesMax = Infinity
  #now = 0
  /** @type {{ at: number, order: number, wake: () => void }[]} */
  #timers = []
  #order = 0

  /**
   * @param {number} [seed]
   * @param {{ latency?: [number, number] }} [options] in milliseconds, each way
   */
  constructor (seed = 1, { latency: [least, most] = [5, 5] } = {}) {
    this.random = randomFrom(seed)
    this.latency = () => least + this.random() * (most - least)
    const world = this
    this.WebSocket = class extends Link {
      /**
       * @param {string} url
       * @param {string[]} [protocols]
       */
      constructor (url, protocols) {
        super(world, url, protocols)
      }
    }
    const ping = () => {
      this.server.ping()
      this.clock.setTimeout(ping, 10_000)
    }
    this.clock.setTimeout(ping, 10_000)
  }

  /** @type {import('../../jetstream/client/clock.js').Clock} */
  clock = {
    now: () => this.#now,
    setTimeout: (wake, milliseconds) => {
      const timer = { at: this.#now + milliseconds, order: this.#order++, wake }
      this.#timers.push(timer)
      return timer
    },
    clearTimeout: timer => { this.#timers = this.#timers.filter(other => other !== timer) },
    soon: wake => this.clock.setTimeout(wake, 0)
  }

  /** @param {import('../../jetstream.js').Options} [options] */
  async connect (options = {}) {
    const { WebSocket, clock, random } = this
    let session
    let failure
    connect('ws://world', { WebSocket, clock, random, network: null, ...options })
      .then(made => { session = made }, error => { failure = error })
    for (let turn = 0; turn < 100 && !session && !failure; turn++) await this.run(100)
    if (failure) throw failure
    return /** @type {import('../../jetstream.js').Session} */ (/** @type {unknown} */ (session))
  }

  /**
   * Lets time pass.
   *
   * @param {number} milliseconds
   */
  async run (milliseconds) {
    const end = this.#now + milliseconds
    for (;;) {
      // Promises that the last step resolved go on first.
      for (let turn = 0; turn < 10; turn++) await null
      let next = null
      for (const timer of this.#timers) {
        if (timer.at <= end && (!next || timer.at < next.at || (timer.at === next.at && timer.order < next.order))) next = timer
      }
      if (!next) break
      this.#timers.splice(this.#timers.indexOf(next), 1)
      this.#now = Math.max(this.#now, next.at)
      next.wake()
    }
    this.#now = end
  }

  /** Loses all connections. */
  cut () {
    for (const link of [...this.links]) link.fail()
  }
}

/**
 * @callback Listener
 * @param {...any} details
 * @returns {unknown}
 */

/** Who wants to hear of what. */
export class Emitter {
  /** @type {Map<string, Set<Listener>>} */
  #listeners = new Map()

  /**
   * @param {string} events one name or several with blanks between
   * @param {Listener} listener
   * @returns {() => void} ends it
   */
  on (events, listener) {
    for (const event of names(events)) {
      const listeners = this.#listeners.get(event) ?? new Set()
      this.#listeners.set(event, listeners.add(listener))
    }
    return () => this.off(events, listener)
  }

  /**
   * @param {string} events
   * @param {Listener} [listener] all of them, if none is named
   */
  off (events, listener) {
    for (const event of names(events)) {
      const listeners = this.#listeners.get(event)
      if (listener) listeners?.delete(listener)
      if (!listener || listeners?.size === 0) this.#listeners.delete(event)
    }
  }

  /**
   * @param {string} [event] any, if none is named
   * @returns {boolean} whether anybody listens
   */
  has (event) {
    return event === undefined ? this.#listeners.size > 0 : this.#listeners.has(event)
  }

  /**
   * Tells everybody. What a listener throws is reported as an uncaught error: it may not keep the
   * others from hearing, nor leave a replica half changed.
   *
   * @param {string} event
   * @param {...any} details
   */
  emit (event, ...details) {
    for (const listener of [...this.#listeners.get(event) ?? []]) {
      try {
        listener(...details)
      } catch (error) {
        queueMicrotask(() => { throw error })
      }
    }
  }
}

/** @param {string} events */
const names = events => events.split(' ').filter(Boolean)

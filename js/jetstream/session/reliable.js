/**
 * What one side knows about the messages it sent and received: numbering, repeats, gaps and what to
 * send again. It makes a stream of messages out of connections that break.
 */
export class Reliable {
  /** @type {[number, string][]} sent and not yet acknowledged, oldest first; indices are consecutive */
  #unacked
  #lastSent
  #lastReceived
  #settled

  /** @param {Saved} [saved] */
  constructor ({ unacked = [], lastSent = 0, lastReceived = 0 } = {}) {
    this.#unacked = unacked
    this.#lastSent = lastSent
    this.#lastReceived = lastReceived
    this.#settled = lastReceived
  }

  /** The highest index whose message needs not be sent to us again. */
  get ack () {
    return this.#settled
  }

  /** The highest index that was received. */
  get lastReceived () {
    return this.#lastReceived
  }

  /**
   * Numbers a message and keeps it until it is acknowledged.
   *
   * @param {Record<string, unknown>} message
   * @returns {{ index: number, text: string }}
   */
  send (message) {
    const index = ++this.#lastSent
    const text = JSON.stringify({ ...message, index, ack: this.#settled })
    this.#unacked.push([index, text])
    return { index, text }
  }

  /**
   * Sorts an arriving index into news, repetition or gap. A repetition is normal after a resume. A gap
   * means that frames were lost on the way: nothing behind it may be delivered.
   *
   * @param {number} index
   * @returns {'new' | 'repeated' | 'gap'}
   */
  receive (index) {
    if (index <= this.#lastReceived) return 'repeated'
    if (index > this.#lastReceived + 1) return 'gap'
    this.#lastReceived = index
    return 'new'
  }

  /**
   * What was received up to here is safe with us, so that the other side may forget it.
   *
   * @param {number} index
   */
  settle (index) {
    this.#settled = Math.max(this.#settled, index)
  }

  /**
   * The other side has everything up to here.
   *
   * @param {number} index
   */
  acknowledge (index) {
    const first = this.#unacked.findIndex(([sent]) => sent > index)
    this.#unacked.splice(0, first < 0 ? this.#unacked.length : first)
  }

  /**
   * A change that has its answer must not be made again: a server that was gone may not know what it told
   * us, if it could not store that. Its place in the numbering is held by a message that says nothing.
   *
   * @param {number} index
   */
  answered (index) {
    const place = this.#unacked.findIndex(([sent]) => sent === index)
    if (place >= 0) this.#unacked[place] = [index, JSON.stringify({ type: 'Reply', replyTo: 0, index })]
  }

  /** Everything that was not acknowledged, in order. */
  missing () {
    return this.#unacked.map(([, text]) => text)
  }

  /**
   * All that is needed to go on after a reload.
   *
   * @returns {Saved}
   */
  save () {
    return { unacked: [...this.#unacked], lastSent: this.#lastSent, lastReceived: this.#lastReceived }
  }
}

/**
 * How long a text is in UTF-8.
 *
 * @param {string} text
 */
export const byteLength = text => new TextEncoder().encode(text).length

/** @typedef {{ unacked?: [number, string][], lastSent?: number, lastReceived?: number }} Saved */

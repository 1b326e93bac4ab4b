/**
 * What we need of a WebSocket.
 *
 * @typedef {object} SocketLike
 * @property {number} bufferedAmount
 * @property {(text: string) => void} send
 * @property {(code?: number) => void} close
 * @property {string} [binaryType]
 * @property {((event: any) => void) | null} onopen
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 */

/** @typedef {new (url: string, protocols?: string[]) => SocketLike} SocketConstructor */

/** The one connection that a session has at a time. What older ones still say is not heard. */
export class Socket {
  /** @type {SocketLike | null} */
  #socket = null
  #url
  #WebSocket
  #tell

  /**
   * @param {string} url
   * @param {SocketConstructor | undefined} WebSocket
   * @param {(input: import('../session/client.js').Input) => void} tell
   */
  constructor (url, WebSocket = /** @type {any} */ (globalThis).WebSocket, tell) {
    if (!WebSocket) throw new TypeError('this platform has no WebSocket: pass one as the option `WebSocket`')
    this.#url = url
    this.#WebSocket = WebSocket
    this.#tell = tell
  }

  /** How much waits to be sent, in bytes. */
  get waitingBytes () {
    return this.#socket?.bufferedAmount ?? 0
  }

  /**
   * @param {string | null} token
   * @param {string | null} [credential] what says who the user is; it never stands in the URL
   */
  dial (token, credential) {
    this.close()
    const url = new URL(this.#url)
    if (token !== null) url.searchParams.set('x-jetstream-sessiontoken', token)
    const protocols = credential ? ['jetstream', `jetstream.authorization.${encode(credential)}`] : undefined
    const socket = this.#socket = new this.#WebSocket(url.href, protocols)
    const ifCurrent = (/** @type {(event: any) => void} */ act) => (/** @type {any} */ event) => {
      if (this.#socket === socket) act(event)
    }
    socket.onopen = ifCurrent(() => this.#tell({ type: 'Connected' }))
    socket.onmessage = ifCurrent(({ data }) => {
      if (typeof data === 'string') this.#tell({ type: 'Frame', text: data })
    })
    socket.onclose = ifCurrent(({ code, reason }) => {
      this.#socket = null
      this.#tell({ type: 'Disconnected', code, reason })
    })
    // `onclose` follows.
    socket.onerror = () => {}
  }

  /** @param {string} frame */
  send (frame) {
    this.#socket?.send(frame)
  }

  close () {
    const socket = this.#socket
    this.#socket = null
    socket?.close(1000)
  }
}

/**
 * As the name of a subprotocol, in which parentheses cannot stand either.
 *
 * @param {string} text
 */
const encode = text => encodeURIComponent(text).replace(/[()]/g, char => char === '(' ? '%28' : '%29')

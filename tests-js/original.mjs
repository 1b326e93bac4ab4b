// The original's JavaScript client, unmodified, with the models of its shapes demo.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/**
 * Loads the client. It takes its WebSocket from the global scope, as in a browser, when it connects.
 *
 * @param {unknown} WebSocket
 */
export function loadOriginal (WebSocket) {
  globalThis.WebSocket = WebSocket
  globalThis.window = { DEBUG: false }
  const Jetstream = require('jetstream/client')
  const Shape = Jetstream.model('Shape', function () {
    this.has('x', Number)
    this.has('y', Number)
    this.has('width', Number, { defaultValue: 100 })
    this.has('height', Number, { defaultValue: 100 })
    this.has('color', Number)
  })
  const Canvas = Jetstream.model('Canvas', function () {
    this.has('name', String)
    this.has('shapes', [Shape])
  })
  return { Jetstream, Shape, Canvas }
}

// ShareDB: one JSON document, changed by operations that are transformed against each other.

import { Duplex } from 'node:stream'

import ShareDB from 'sharedb'
import { WebSocketServer } from 'ws'

import { edit, everyChange, objects, shape, target, tell, uuid } from './job.mjs'
import { listen } from './listen.mjs'

const shapes = Object.fromEntries(
  Array.from({ length: objects }, (_, place) => [uuid(place), shape(place)])
)
const backend = new ShareDB()
const document = backend.connect().get('canvas', 'main')
await new Promise((resolve, reject) => {
  document.create({ shapes }, error => error ? reject(error) : resolve(undefined))
})

/** A connection as the stream of objects that ShareDB wants. */
class Messages extends Duplex {
  /** @param {import('ws').WebSocket} socket */
  constructor (socket) {
    super({ objectMode: true })
    this.socket = socket
    socket.on('message', text => this.push(JSON.parse(String(text))))
    socket.on('close', () => this.push(null))
  }

  _read () {}

  _write (message, encoding, done) {
    this.socket.send(JSON.stringify(message), done)
  }
}

const { server, port } = await listen()
new WebSocketServer({ server }).on('connection', socket => backend.listen(new Messages(socket)))

const place = { c: 'canvas', d: 'main' }
const before = new Map()
tell({
  port,
  hello: [
    { send: JSON.stringify({ a: 'hs', id: null, protocol: 1, protocolMinor: 2 }), until: '"hs"' },
    { send: JSON.stringify({ a: 's', ...place, v: null }), until: '"a":"s"' }
  ],
  changes: everyChange(number => {
    const id = uuid(target(number))
    const present = before.get(id) ?? shape(target(number))
    const next = edit(number)
    before.set(id, next)
    const op = Object.entries(next).map(([property, oi]) => {
      return { p: ['shapes', id, property], od: present[property], oi }
    })
    return JSON.stringify({ a: 'op', ...place, v: 1 + number, seq: 1 + number, x: {}, op })
  })
})

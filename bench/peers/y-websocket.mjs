// y-websocket: a document of Yjs, whose updates the server applies and passes on.

import { createRequire } from 'node:module'

import { WebSocketServer } from 'ws'

import { edit, everyChange, objects, shape, target, tell, uuid } from './job.mjs'
import { listen } from './listen.mjs'

const require = createRequire(import.meta.url)
const Y = require('yjs')
const { getYDoc, setupWSConnection } = require('y-websocket/bin/utils')

const { server, port } = await listen()
new WebSocketServer({ server }).on('connection', (socket, request) => {
  setupWSConnection(socket, request, { docName: 'canvas' })
})

const document = getYDoc('canvas')
const shapes = document.getMap('shapes')
document.transact(() => {
  for (let place = 0; place < objects; place++) {
    shapes.set(uuid(place), new Y.Map(Object.entries(shape(place))))
  }
})

/** The writer's own copy, in which the changes are made. */
const copy = new Y.Doc()
Y.applyUpdate(copy, Y.encodeStateAsUpdate(document))
/** @type {Uint8Array} */
let update = new Uint8Array()
copy.on('update', latest => { update = latest })

// 0: a message of the sync protocol. In it, 0: what I have; 2: an update. Lengths are varints.
const whatIHave = Y.encodeStateVector(new Y.Doc())
tell({
  port,
  binary: true,
  hello: [{ send: hex([0, 0, ...bytes(whatIHave)]), until: uuid(0) }],
  changes: everyChange(number => {
    copy.transact(() => {
      const one = copy.getMap('shapes').get(uuid(target(number)))
      for (const [property, value] of Object.entries(edit(number))) one.set(property, value)
    })
    return hex([0, 2, ...bytes(update)])
  })
})

/** @param {Uint8Array} array with its length before it */
function bytes (array) {
  const length = []
  let rest = array.length
  for (; rest > 127; rest >>>= 7) length.push(128 | (rest & 127))
  return [...length, rest, ...array]
}

/** @param {number[]} bytes */
function hex (bytes) {
  return Buffer.from(bytes).toString('hex')
}

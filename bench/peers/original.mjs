// The original server, without its logging, which would more than double what it costs.

import { createRequire } from 'node:module'

import { objects, rootUUID, shape, tell, uuid } from './job.mjs'
import { listen } from './listen.mjs'

const require = createRequire(import.meta.url)
const jetstream = require('jetstream')

jetstream.logger.transports.console.silent = true

const Shape = jetstream.model('Shape', function () {
  for (const property of ['x', 'y', 'width', 'height', 'color']) this.has(property, Number)
  this.has('tag', String)
})
const Canvas = jetstream.model('Canvas', function () {
  this.has('name', String)
  this.has('shapes', [Shape])
})

const canvas = new Canvas({ uuid: rootUUID })
canvas.name = 'Bench'
canvas.shapes = Array.from({ length: objects }, (_, place) => {
  return Object.assign(new Shape({ uuid: uuid(place) }), shape(place))
})
const scope = jetstream.scope({ name: 'Canvas' })
scope.setRoot(canvas)

const { server: http, port } = await listen()
const transport = jetstream.transport.WebsocketTransport.configure({ server: http })
const server = jetstream({ transports: [transport] })
server.on('session', (session, connection, params, accept) => {
  session.on('fetch', (name, params, answer) => answer(null, scope))
  accept()
})
tell({ port, speech: 'original' })

// Colyseus: a room whose state is sent on as patches, at an interval.

import { getMessageBytes, matchMaker, Protocol, Room, Server } from '@colyseus/core'
import { MapSchema, schema, t } from '@colyseus/schema'
import { WebSocketTransport } from '@colyseus/ws-transport'

import {
  connections, edit, everyChange, objects, shape, target, tell, uuid
} from './job.mjs'

const Shape = schema({
  x: t.number(),
  y: t.number(),
  width: t.number(),
  height: t.number(),
  color: t.number(),
  tag: t.string()
})
const Canvas = schema({ shapes: t.map(Shape) })

class CanvasRoom extends Room {
  maxClients = Infinity
  autoDispose = false
  // The interval between two patches, in milliseconds; 50 is what Colyseus does by itself.
  patchRate = Number(process.env.PATCH_RATE ?? 50)

  onCreate () {
    this.seatReservationTime = 600
    const canvas = new Canvas()
    canvas.shapes = new MapSchema()
    for (let place = 0; place < objects; place++) {
      canvas.shapes.set(uuid(place), Object.assign(new Shape(), shape(place)))
    }
    this.state = canvas
    this.onMessage('change', (client, change) => {
      Object.assign(this.state.shapes.get(change.uuid), change.properties)
    })
  }
}

process.env.NODE_ENV ??= 'production'
const transport = new WebSocketTransport({ maxPayload: 1 << 20, pingInterval: 0 })
const server = new Server({ transport, greet: false })
server.define('canvas', CanvasRoom)
await server.listen(0, '127.0.0.1')
const seats = []
const room = await matchMaker.createRoom('canvas', {})
for (let seat = 0; seat < connections; seat++) {
  const { sessionId } = await matchMaker.joinById(room.roomId, {})
  seats.push(`/${room.processId}/${room.roomId}?sessionId=${sessionId}`)
}

const joined = Buffer.from([Protocol.JOIN_ROOM])
tell({
  port: transport.server.address().port,
  paths: seats,
  binary: true,
  merges: true,
  hello: [{ send: joined.toString('hex'), until: uuid(0) }],
  changes: everyChange(number => {
    const change = { uuid: uuid(target(number)), properties: edit(number) }
    return getMessageBytes.raw(Protocol.ROOM_DATA, 'change', change).toString('hex')
  })
})

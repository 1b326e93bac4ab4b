// Socket.IO as its guide shows it: an event for a change, passed on to everybody else.

import { Server } from 'socket.io'

import { edit, everyChange, objects, shape, target, tell, uuid } from './job.mjs'
import { listen } from './listen.mjs'

const shapes = new Map(Array.from({ length: objects }, (_, place) => [uuid(place), shape(place)]))
const { server, port } = await listen()
const io = new Server(server, { maxHttpBufferSize: 1e8 })
io.on('connection', socket => {
  socket.emit('state', Object.fromEntries(shapes))
  socket.on('change', change => {
    Object.assign(shapes.get(change.uuid) ?? {}, change.properties)
    socket.broadcast.emit('change', change)
  })
})

// 4: a message of Engine.IO; 0 and 2: CONNECT and EVENT of Socket.IO; 2 and 3 alone: ping and pong.
tell({
  port,
  paths: ['/socket.io/?EIO=4&transport=websocket'],
  hello: [{ send: '40', until: '42["state"' }],
  changes: everyChange(number => {
    const change = { uuid: uuid(target(number)), properties: edit(number) }
    return '42' + JSON.stringify(['change', change])
  }),
  answers: [['2', '3']]
})

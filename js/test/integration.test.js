/**
 * @file Over real sockets: against the server that JETSTREAM_BIN names, or else the model server.
 */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import WebSocket from 'ws'
import { Refused, connect, enumeration, model } from '../jetstream.js'
import { modelSite, realSite } from './support/site.js'
import { randomFrom } from './support/world.js'

const Shape = model('Shape', { x: Number, y: Number, width: { type: Number, default: 100 }, height: Number, color: Number })
const Canvas = model('Canvas', { name: String, shapes: [Shape] })
const ChatRoomStatus = enumeration('ChatRoomStatus', { Open: 0, Closed: 1 })
const User = model('User', { username: String, color: Number, lastActive: Date })
const Message = model('Message', { author: User, postedAt: Date, text: String })
const Attributes = model('ChatRoomAttributes', { status: ChatRoomStatus, topic: String, tintColor: Number, locale: String })
const ChatRoom = model('ChatRoom', { name: String, attributes: Attributes, users: [User], messages: [Message] })

const program = process.env.JETSTREAM_BIN
/** @type {import('./support/site.js').Site} */
let site
/** @type {import('../jetstream.js').Session[]} */
const sessions = []

before(async () => {
  site = program ? await realSite(program) : await modelSite()
})

after(async () => {
  for (const session of sessions) session.dispose()
  await site?.stop()
})

/** A client whose connection can be lost. */
async function client () {
  /** @type {WebSocket[]} */
  const sockets = []
  class Socket extends WebSocket {
    /** @param {string} url */
    constructor (url) {
      super(url)
      sockets.push(this)
    }
  }
  const session = await connect(site.origin.replace('http', 'ws'), { WebSocket: Socket })
  sessions.push(session)
  return { session, cut: () => sockets.splice(0).forEach(socket => socket.terminate()) }
}

async function canvasClient () {
  const made = await client()
  return { ...made, canvas: await made.session.fetch('Canvas', Canvas) }
}

/**
 * Waits until something is true; how long it takes does not matter.
 *
 * @param {() => boolean} condition
 */
async function until (condition) {
  for (let turn = 0; turn < 2000; turn++) {
    if (condition()) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  assert.fail(`never: ${condition}`)
}

/** @param {{ name: string, shapes: any[] }} canvas */
const stateOf = canvas => JSON.stringify([canvas.name, canvas.shapes])

test('what one client does another sees', async () => {
  const [ann, bo] = [await canvasClient(), await canvasClient()]
  const before = ann.canvas.shapes.length
  const shape = new Shape({ x: 10, y: 20.5 })
  ann.canvas.shapes.push(shape)
  ann.canvas.name = 'Gruß 🐱'
  await until(() => bo.canvas.shapes.length === before + 1 && bo.canvas.name === 'Gruß 🐱')
  const copy = /** @type {typeof shape} */ (bo.canvas.shapes.at(-1))
  assert.deepEqual(copy.toJSON(), shape.toJSON())
  copy.x = 11
  await until(() => shape.x === 11)
  copy.remove()
  await until(() => shape.scope === null)
  ann.canvas.scope?.undo()
  await ann.session.synced()
})

test('a lost connection is resumed, and both sides catch up', async () => {
  const [ann, bo] = [await canvasClient(), await canvasClient()]
  for (let round = 0; round < 5; round++) {
    ann.cut()
    const [mine, theirs] = [new Shape({ x: round }), new Shape({ x: -round })]
    ann.canvas.shapes.push(mine)
    bo.canvas.shapes.push(theirs)
    const have = (/** @type {typeof ann} */ { canvas }) =>
      [mine, theirs].every(({ uuid }) => canvas.shapes.some(shape => shape.uuid === uuid))
    await until(() => have(ann) && have(bo))
  }
  await Promise.all([ann, bo].map(({ session }) => session.synced()))
  await until(() => stateOf(ann.canvas) === stateOf(bo.canvas))
})

test('a refused transaction is taken back, with a reason for each fragment', async () => {
  const Odd = model('Shape', { x: Number, heigth: Number })
  const OddCanvas = model('Canvas', { name: String, shapes: [Odd] })
  const { session } = await client()
  const canvas = await session.fetch('Canvas', OddCanvas)
  const [count, name] = [canvas.shapes.length, canvas.name]
  const change = canvas.transaction(() => {
    canvas.name = 'never'
    canvas.shapes.push(new Odd({ x: 1, heigth: 2 }))
  })
  assert.equal(canvas.name, 'never')
  const refused = await change.accepted.catch(error => error)
  assert.ok(refused instanceof Refused)
  assert.equal(refused.reasons.length, 2)
  assert.match(refused.message, /heigth/)
  assert.deepEqual([canvas.shapes.length, canvas.name], [count, name])
})

test('dates, enumerations and references go to and fro', async () => {
  const [ann, bo] = [(await client()).session, (await client()).session]
  const [here, there] = [await ann.fetch('ChatRoom', ChatRoom), await bo.fetch('ChatRoom', ChatRoom)]
  const author = new User({ username: 'ann', lastActive: new Date(1_400_000_000_123) })
  here.attributes = new Attributes({ status: ChatRoomStatus.Closed, topic: 'ships' })
  here.users.push(author)
  here.messages.push(new Message({ author, text: 'hello', postedAt: new Date(-1) }))
  await until(() => there.messages.length > 0)
  const message = there.messages[there.messages.length - 1]
  assert.equal(message.author, there.users.at(-1))
  assert.equal(message.postedAt.getTime(), -1)
  assert.equal(message.author?.lastActive.getTime(), 1_400_000_000_123)
  assert.equal(there.attributes?.status, ChatRoomStatus.Closed)
  here.attributes.status = ChatRoomStatus.Open
  await until(() => there.attributes?.status === ChatRoomStatus.Open)
})

test('clients that all do what they like, over links that break, end alike', async () => {
  const clients = [await canvasClient(), await canvasClient(), await canvasClient()]
  const random = randomFrom(7)
  const some = (/** @type {number} */ most) => Math.floor(random() * most)
  for (let turn = 0; turn < 600; turn++) {
    const { canvas, cut } = clients[some(3)]
    const { shapes } = canvas
    const shape = shapes[some(shapes.length)]
    const what = some(10)
    if (what < 3) shapes.splice(some(shapes.length + 1), 0, new Shape({ x: turn }))
    else if (what < 5 && shape) shape.x = turn
    else if (what === 5 && shape) shape.remove()
    else if (what === 6) shapes.splice(some(shapes.length), 2)
    else if (what === 7 && shape) shapes.splice(some(shapes.length), 0, ...shapes.splice(shapes.indexOf(shape), 1))
    else if (what === 8) canvas.scope?.undo()
    else if (what === 9) canvas.transaction(() => { canvas.name = `turn ${turn}`; shapes.reverse() })
    if (some(60) === 0) cut()
    if (some(3) === 0) await new Promise(resolve => setTimeout(resolve, some(12)))
  }
  await Promise.all(clients.map(({ session }) => session.synced()))
  const late = await canvasClient()
  await until(() => clients.every(({ canvas }) => stateOf(canvas) === stateOf(late.canvas)))
})

test('a scope that was left is heard of no more, and can be fetched again', async () => {
  const [ann, bo] = [await canvasClient(), await canvasClient()]
  await ann.canvas.scope?.unfetch()
  const again = await ann.session.fetch('Canvas', Canvas)
  bo.canvas.name = 'after leaving'
  await until(() => again.name === 'after leaving')
  assert.notEqual(ann.canvas.name, 'after leaving')
})

test('clients outlive a crash of the server, and nothing is there twice', async () => {
  const [ann, bo] = [await canvasClient(), await canvasClient()]
  await until(() => ann.canvas.shapes.length === bo.canvas.shapes.length)
  for (let x = 0; x < 10; x++) {
    ann.canvas.transaction(() => ann.canvas.shapes.push(new Shape({ x })))
    bo.canvas.shapes.push(new Shape({ x }))
    if (x === 5) await Promise.all([site.crash(), new Promise(resolve => setTimeout(resolve, 3))])
  }
  await until(() => [ann, bo].every(({ session }) => session.pendingCount === 0))
  const late = await canvasClient()
  await until(() => [ann, bo].every(({ canvas }) => stateOf(canvas) === stateOf(late.canvas)))
  const { shapes } = late.canvas
  assert.equal(new Set(shapes).size, shapes.length)
  assert.ok(shapes.length >= 8, 'what was made after the crash is there in any case')
})

test('a fetch that is denied says why', async () => {
  const { session } = await client()
  await assert.rejects(session.fetch('Nowhere', Canvas), { name: 'Denied', message: /\w/ })
})

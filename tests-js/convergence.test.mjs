// The original's JavaScript client, unmodified and several at a time, over links that delay: whatever they
// do at the same time, every client ends with what the server has, and nothing that was added is lost.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { DelayedWebSocket, random } from './delayed-link.mjs'
import { loadOriginal } from './original.mjs'
import { startServer } from './server.mjs'
import * as ours from '../js/jetstream.js'

const { Jetstream, Shape, Canvas } = loadOriginal(DelayedWebSocket)

const OurShape = ours.model('Shape', {
  x: Number,
  y: Number,
  width: { type: Number, default: 100 },
  height: { type: Number, default: 100 },
  color: Number
})
const OurCanvas = ours.model('Canvas', { name: String, shapes: [OurShape] })

let server
before(async () => { server = await startServer() })
after(() => server.stop())

/** A client behind a link with this one-way delay in milliseconds, with the canvas fetched. */
async function join (context, delay) {
  const url = `${server.url}/?from=${delay.from}&to=${delay.to}&seed=${delay.seed}`
  const transport = Jetstream.transport.WebSocket({ url, inactivityPingInterval: delay.ping })
  const client = Jetstream({ transport })
  context.after(() => client.disconnect())
  const session = await new Promise(resolve => {
    client.once('session', resolve)
    client.connect()
  })
  // The client connects again by itself, but to the same address: it is the application's to name the session.
  transport.url = `${url}&x-jetstream-sessiontoken=${session._token}`
  const canvas = new Canvas()
  const scope = Jetstream.scope({ name: 'Canvas' })
  canvas.setScopeAndMakeRootModel(scope)
  await new Promise((resolve, reject) => session.fetch(scope, error => error ? reject(error) : resolve()))
  while (canvas.get('name') === null) await pause(5)
  return canvas
}

function pause (milliseconds) {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

function shown (canvas) {
  return canvas.get('shapes').map(shape => ({ uuid: shape.uuid, ...shape.toJSON() }))
}

/** One edit of one client, drawn from the seed. */
function edit (canvas, draw, { adds, removed }) {
  const shapes = canvas.get('shapes')
  const dice = adds ? draw(10) : 9
  if (dice < 2) {
    const shape = new Shape()
    shape.set({ x: draw(500), y: draw(500), color: draw(5) })
    if (dice === 0) shapes.push(shape)
    else shapes.splice(draw(shapes.length + 1), 0, shape)
  } else if (dice < 3 && shapes.length > 3) {
    const [shape] = shapes.splice(draw(shapes.length), 1)
    removed.add(shape.uuid)
  } else if (shapes.length > 0) {
    shapes.at(draw(shapes.length)).set(['x', 'y', 'width'][draw(3)], draw(1000))
  }
}

/** Sees to it that there are five shapes to change. */
async function fill (context) {
  const shapes = (await join(context, { from: 0, to: 0, seed: 0, ping: 10_000 })).get('shapes')
  while (shapes.length < 5) {
    const shape = new Shape()
    shape.set({ x: shapes.length, y: 0, color: 0 })
    shapes.push(shape)
  }
  while (!DelayedWebSocket.isQuiet()) await pause(5)
  await pause(50)
}

/** A client of ours behind such a link, in the same scope. */
async function joinOurs (context, delay) {
  const url = `${server.url}/?from=${delay.from}&to=${delay.to}&seed=${delay.seed}`
  const session = await ours.connect(url, { WebSocket: DelayedWebSocket })
  context.after(() => session.dispose())
  return session.fetch('Canvas', OurCanvas)
}

function editOurs (canvas, draw, { adds, removed }) {
  const dice = adds ? draw(10) : 9
  if (dice < 2) {
    const shape = new OurShape({ x: draw(500), y: draw(500), height: 100, color: draw(5) })
    canvas.shapes.splice(dice === 0 ? canvas.shapes.length : draw(canvas.shapes.length + 1), 0, shape)
  } else if (dice < 3 && canvas.shapes.length > 3) {
    const [shape] = canvas.shapes.splice(draw(canvas.shapes.length), 1)
    removed.add(shape.uuid)
  } else if (canvas.shapes.length > 0) {
    canvas.shapes[draw(canvas.shapes.length)][['x', 'y', 'width'][draw(3)]] = draw(1000)
  }
}

function shownOurs (canvas) {
  return canvas.shapes.map(({ uuid, x, y, width, height, color }) => ({ uuid, x, y, width, height, color }))
}

/** Lets clients edit at the same time, then compares everybody with somebody who comes anew. */
async function play (context, { seed, clients, adds, from, to, edits, mixed = false, cuts = 0 }) {
  const draw = random(seed)
  const removed = new Set()
  const accepted = DelayedWebSocket.acceptedAdds
  accepted.clear()
  await fill(context)
  const links = Array.from({ length: clients }, (_, client) => seed * 10 + client)
  const canvases = await Promise.all(links.map(link => join(context, { from, to, seed: link, ping: 300 })))
  const ourLinks = mixed ? [seed + 1000] : []
  const ourOwn = await Promise.all(ourLinks.map(link => joinOurs(context, { from, to, seed: link })))
  const work = async (canvas, edit) => {
    for (let done = 0; done < edits; done++) {
      edit(canvas, draw, { adds, removed })
      await pause(15 + draw(60))
    }
  }
  const cut = async link => {
    for (let done = 0; done < cuts; done++) {
      await pause(draw(Math.floor(edits * 45 / cuts)))
      DelayedWebSocket.cut(link)
    }
  }
  await Promise.all([
    ...canvases.map(canvas => work(canvas, edit)),
    ...ourOwn.map(canvas => work(canvas, editOurs)),
    ...[...links, ...ourLinks].map(cut)
  ])
  const fresh = await join(context, { from: 0, to: 0, seed, ping: 10_000 })
  const deadline = Date.now() + 10_000
  const all = () => [...canvases.map(shown), ...ourOwn.map(shownOurs)]
  const differing = () => all().filter(shapes => JSON.stringify(shapes) !== JSON.stringify(shown(fresh)))
  while (differing().length > 0 || !DelayedWebSocket.isQuiet()) {
    if (Date.now() > deadline) break
    await pause(20)
  }
  for (const shapes of differing()) assert.deepEqual(shapes, shown(fresh), `seed ${seed}`)
  const there = new Set(shown(fresh).map(shape => shape.uuid))
  const lost = [...accepted].filter(uuid => !there.has(uuid) && !removed.has(uuid))
  assert.deepEqual(lost, [], `seed ${seed}: accepted and lost`)
  return accepted.size
}

// More of them: `SEEDS=100 npm test`.
for (let seed = 1; seed <= Number(process.env.SEEDS ?? 3); seed++) {
  test(`four clients change the same shapes, seed ${seed}`, async context => {
    await play(context, { seed, clients: 4, adds: false, from: 10, to: 70, edits: 40 })
  })

  test(`four clients add, remove and change shapes, seed ${seed}`, async context => {
    const added = await play(context, { seed, clients: 4, adds: true, from: 10, to: 70, edits: 40 })
    assert.ok(added > 0, 'nothing was added: the test tests nothing')
  })
}

test('three clients and one of ours, in the same scope', async context => {
  await play(context, { seed: 7, clients: 3, adds: true, from: 10, to: 70, edits: 40, mixed: true })
})

test('three clients with 200 ms each way', async context => {
  await play(context, { seed: 9, clients: 3, adds: true, from: 180, to: 220, edits: 40 })
})

for (const [from, to] of [[10, 70], [200, 200]]) {
  for (let seed = 1; seed <= Number(process.env.SEEDS ?? 1); seed++) {
    test(`three clients and one of ours whose connections are cut, ${from} to ${to} ms, seed ${seed}`, async context => {
      await play(context, { seed, clients: 3, adds: true, from, to, edits: 60, mixed: true, cuts: 3 })
    })
  }
}

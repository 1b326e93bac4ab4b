// Clients of both kinds on the same canvas, over links that delay and break: how they come to it, what they
// do there, and what they show.

import assert from 'node:assert/strict'
import { DelayedWebSocket } from './delayed-link.mjs'
import { loadOriginal } from './original.mjs'
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

/** A client behind a link with this one-way delay in milliseconds, with the canvas fetched. */
export async function join (context, server, delay) {
  const url = `${server.url}/?from=${delay.from}&to=${delay.to}&seed=${delay.seed}`
  const transport = Jetstream.transport.WebSocket({ url, inactivityPingInterval: delay.ping })
  const client = Jetstream({ transport })
  context.after(() => {
    // Between two connections it cannot be told to stop.
    transport.connect = () => {}
    client.disconnect()
  })
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

/** A client of ours behind such a link, in the same scope. */
export async function joinOurs (context, server, delay) {
  const url = `${server.url}/?from=${delay.from}&to=${delay.to}&seed=${delay.seed}`
  const session = await ours.connect(url, { WebSocket: DelayedWebSocket })
  context.after(() => session.dispose())
  return session.fetch('Canvas', OurCanvas)
}

/** One edit of one client, drawn from the seed. */
export function edit (canvas, draw, { adds, removed }) {
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

/** The same of one of ours. */
export function editOurs (canvas, draw, { adds, removed }) {
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

/** What a client shows: the shapes in order, each with its values. */
export function shown (canvas) {
  return canvas.get('shapes').map(shape => ({ uuid: shape.uuid, ...shape.toJSON() }))
}

/** The same of one of ours. */
export function shownOurs (canvas) {
  return canvas.shapes.map(({ uuid, x, y, width, height, color }) => ({ uuid, x, y, width, height, color }))
}

/** Sees to it that there are five shapes to change. */
export async function fill (context, server) {
  const shapes = (await join(context, server, { from: 0, to: 0, seed: 0, ping: 10_000 })).get('shapes')
  while (shapes.length < 5) {
    const shape = new Shape()
    shape.set({ x: shapes.length, y: 0, color: 0 })
    shapes.push(shape)
  }
  while (!DelayedWebSocket.isQuiet()) await pause(5)
  await pause(50)
}

/** How what a client shows differs from what it should; null if it does not. */
function difference (shapes, expected) {
  const uuids = list => list.map(({ uuid }) => uuid)
  const [have, want] = [new Set(uuids(shapes)), new Set(uuids(expected))]
  const [missing, surplus] = [[...want].filter(uuid => !have.has(uuid)), [...have].filter(uuid => !want.has(uuid))]
  if (missing.length + surplus.length > 0) return { missing, surplus }
  if (String(uuids(shapes)) !== String(uuids(expected))) return { order: uuids(shapes), expected: uuids(expected) }
  const differing = shapes.map((shape, place) => [shape, expected[place]])
    .filter(([shape, other]) => JSON.stringify(shape) !== JSON.stringify(other))
  return differing.length > 0 ? { differing } : null
}

/** What everybody shows in the end: waits until it is what somebody sees who comes anew. */
export async function converge (context, server, { seed, canvases, ourOwn, patience }) {
  const fresh = await join(context, server, { from: 0, to: 0, seed, ping: 10_000 })
  const deadline = Date.now() + patience
  const all = () => [...canvases.map(shown), ...ourOwn.map(shownOurs)]
  const differs = shapes => JSON.stringify(shapes) !== JSON.stringify(shown(fresh))
  while (all().some(differs) || !DelayedWebSocket.isQuiet()) {
    if (Date.now() > deadline) break
    await pause(20)
  }
  const found = all().map(shapes => difference(shapes, shown(fresh)))
  assert.deepEqual(found, found.map(() => null), `seed ${seed}: what clients show, and what the server has`)
  return shown(fresh)
}

/** What was accepted has to be there, but for what somebody removed. */
export function nothingIsLost ({ seed, shapes, removed }) {
  const there = new Set(shapes.map(shape => shape.uuid))
  const lost = [...DelayedWebSocket.acceptedAdds].filter(uuid => !there.has(uuid) && !removed.has(uuid))
  assert.deepEqual(lost, [], `seed ${seed}: accepted and lost`)
}

export function pause (milliseconds) {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

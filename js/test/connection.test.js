import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../jetstream.js'
import { Shape, canvasWorld, fetchCanvas, newScope } from './support/canvas.js'
import { World } from './support/world.js'

test('connecting goes on until the server is there', async () => {
  const world = new World()
  world.server.scopes.set('Canvas', newScope())
  world.unreachable = true
  /** @type {string[]} */
  const statuses = []
  const connecting = world.connect({ onStatus: status => statuses.push(status) })
  await world.run(3000)
  world.unreachable = false
  const session = await connecting
  assert.equal(session.status, 'online')
  assert.deepEqual(statuses.slice(0, 3), ['connecting', 'waiting', 'connecting'])
  assert.equal(statuses.at(-1), 'online')
})

test('a session that the server denies is an error with its reason', async () => {
  const world = new World()
  await assert.rejects(world.connect({ params: { deny: true } }), { name: 'Denied', type: 'rejected', message: 'no' })
})

test('a platform without a WebSocket has to be given one', async t => {
  const { WebSocket } = /** @type {any} */ (globalThis)
  t.after(() => Object.assign(globalThis, { WebSocket }))
  Object.assign(globalThis, { WebSocket: undefined })
  await assert.rejects(connect('ws://nowhere'), /no WebSocket/)
})

test('the network says when it is gone and when it is back', async () => {
  const network = new EventTarget()
  const { world, sessions: [session], canvases: [canvas] } = await canvasWorld(1, { options: { network } })
  network.dispatchEvent(new Event('offline'))
  assert.equal(session.status, 'offline')
  canvas.name = 'meanwhile'
  await world.run(60_000)
  assert.equal(session.status, 'offline')
  network.dispatchEvent(new Event('online'))
  await world.run(100)
  assert.deepEqual([session.status, session.pendingCount], ['online', 0])
})

test('who went offline on purpose stays so when the network comes back', async () => {
  const network = new EventTarget()
  const { world, sessions: [session] } = await canvasWorld(1, { options: { network } })
  session.disconnect()
  network.dispatchEvent(new Event('online'))
  await world.run(1000)
  assert.equal(session.status, 'offline')
  session.reconnect()
  await world.run(100)
  assert.equal(session.status, 'online')
})

test('a link that died without a word is noticed and replaced', async () => {
  const { world, sessions: [session], canvases: [ann, bo] } = await canvasWorld(2)
  const [link] = world.links
  link.freeze()
  ann.shapes.push(new Shape({ x: 1 }))
  bo.shapes.push(new Shape({ x: 2 }))
  await world.run(30_000)
  assert.equal(session.status, 'online')
  assert.deepEqual(ann.shapes.map(({ x }) => x).sort(), [1, 2])
  assert.equal(bo.shapes.length, 2)
})

test('a server that stands still is not mistaken for one that answered', async () => {
  const { world, scope, sessions: [session], canvases: [ann] } = await canvasWorld(1)
  world.server.dead = true
  ann.name = 'x'
  await world.run(17_000)
  assert.notEqual(session.status, 'online')
  assert.equal(session.pendingCount, 1)
  world.server.dead = false
  await world.run(60_000)
  assert.equal(scope.objects.get(ann.uuid)?.values.name, 'x')
})

test('offline for an hour, a client comes back with few messages and loses nothing', async () => {
  const { world, scope, sessions: [session], canvases: [ann, bo] } = await canvasWorld(2)
  ann.shapes.push(new Shape({ x: 0 }))
  await world.run(100)
  session.disconnect()
  for (let minute = 0; minute < 60; minute++) {
    ann.shapes[0].x = minute
    ann.shapes.push(new Shape({ x: 100 + minute }))
    bo.shapes.push(new Shape({ x: 200 + minute }))
    await world.run(60_000)
  }
  // Longer than the server keeps sessions.
  const [first] = world.server.sessions.keys()
  world.server.sessions.delete(first)
  session.reconnect()
  await world.run(10_000)
  assert.equal(ann.shapes.length, 121)
  assert.equal(bo.shapes.length, 121)
  assert.deepEqual([bo.shapes[0].x, session.pendingCount, scope.objects.size], [59, 0, 122])
  const last = [...world.server.sessions.values()].at(-1)
  assert.equal(last?.received.filter(({ type }) => type === 'ScopeSync').length, 1)
})

test('a scope that is gone when the session comes back is closed, and its edits are refused', async () => {
  const { world, sessions: [session], canvases: [ann] } = await canvasWorld(1)
  /** @type {any[]} */
  const closed = []
  ann.scope?.on('closed', error => closed.push(error.message))
  session.disconnect()
  const change = ann.transaction(() => { ann.name = 'x' })
  world.server.scopes.clear()
  world.server.forgetSessions()
  session.reconnect()
  await world.run(5000)
  assert.deepEqual(closed, ['no scope "Canvas"'])
  await assert.rejects(change.accepted, { type: 'forbidden' })
  assert.deepEqual([session.pendingCount, session.status], [0, 'online'])
})

test('a scope that was made anew, with another root, is the same to those who hold it', async () => {
  const { world, sessions: [session], canvases: [ann] } = await canvasWorld(1)
  session.disconnect()
  ann.shapes.push(new Shape({ x: 1 }))
  const scope = newScope('ca000000-0000-4000-8000-00000000000b')
  world.server.scopes.set('Canvas', scope)
  world.server.forgetSessions()
  session.reconnect()
  await world.run(5000)
  assert.equal(ann.uuid, scope.rootUUID)
  assert.equal(scope.objects.get(scope.rootUUID)?.values.shapes.length, 1)
  assert.equal(ann.shapes[0].x, 1)
})

test('scopes that are fetched while the connection is lost come when it is back', async () => {
  const { world, sessions: [session] } = await canvasWorld(1)
  world.cut()
  const canvas = await fetchCanvas(world, session)
  assert.equal(canvas.name, 'Demo')
})

test('a session that is disposed of says goodbye, and hears no more', async () => {
  const { world, sessions: [session] } = await canvasWorld(1)
  session.dispose()
  await world.run(100)
  assert.equal(world.server.sessions.size, 0)
  assert.equal(session.status, 'closed')
  session.dispose()
})

// The original's JavaScript client, unmodified, against our server: clients in the field keep working.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRequire } from 'node:module'
import { loadOriginal } from './original.mjs'
import { startServer } from './server.mjs'

const { Jetstream, Shape, Canvas } = loadOriginal(createRequire(import.meta.url)('ws'))

let server
before(async () => { server = await startServer() })
after(() => server.stop())

/** A client that has fetched the canvas and its first shapes. */
async function join (context) {
  const client = Jetstream({ transport: Jetstream.transport.WebSocket({ url: server.url }) })
  context.after(() => client.disconnect())
  const session = await new Promise((resolve, reject) => {
    client.once('session', resolve)
    client.once('sessionDenied', () => reject(new Error('the session was denied')))
    client.connect()
  })
  const canvas = new Canvas()
  const scope = Jetstream.scope({ name: 'Canvas' })
  canvas.setScopeAndMakeRootModel(scope)
  await new Promise((resolve, reject) => {
    session.fetch(scope, error => error ? reject(new Error(JSON.stringify(error))) : resolve())
  })
  await until('the canvas has come', () => canvas.get('name') !== undefined && canvas.get('name') !== null)
  return canvas
}

/** What a client shows: the shapes in order, each with its values. */
function shown (canvas) {
  return canvas.get('shapes').map(shape => ({ uuid: shape.uuid, ...shape.toJSON() }))
}

/** Gives the network its turns until something is so. */
async function until (what, isSo) {
  const deadline = Date.now() + 5000
  while (!isSo()) {
    assert.ok(Date.now() < deadline, `in vain: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** Waits until all clients show the same, and the same as somebody who comes anew. */
async function converged (context, canvases) {
  const fresh = await join(context)
  await until('all clients show what the server has', () => {
    const server = JSON.stringify([fresh.get('name'), shown(fresh)])
    return canvases.every(canvas => JSON.stringify([canvas.get('name'), shown(canvas)]) === server)
  })
  return shown(fresh)
}

function find (canvas, uuid) {
  return canvas.get('shapes').filter(shape => shape.uuid === uuid)[0]
}

test('two clients fetch the same canvas', async context => {
  const [ann, bo] = await Promise.all([join(context), join(context)])
  assert.equal(ann.get('name'), 'Shapes Demo')
  assert.deepEqual(shown(ann), shown(bo))
  assert.deepEqual(shown(ann)[0], {
    uuid: '5a000000-0000-4000-8000-000000000001', x: 10, y: 20, width: 100, height: 50, color: 1
  })
})

test('a shape that one adds, changes and removes does so for the other', async context => {
  const [ann, bo] = await Promise.all([join(context), join(context)])
  const shape = new Shape()
  shape.set({ x: 7, y: 8.5, color: 3 })

  ann.get('shapes').push(shape)
  await until('bo sees the new shape', () => find(bo, shape.uuid)?.get('color') === 3)
  assert.deepEqual(find(bo, shape.uuid).toJSON(), { x: 7, y: 8.5, width: 100, height: 100, color: 3 })

  find(bo, shape.uuid).set('x', 70)
  await until("ann sees bo's change", () => shape.get('x') === 70)
  ann.set('name', 'Ours')
  await until('bo sees the new name', () => bo.get('name') === 'Ours')

  const shapes = bo.get('shapes')
  shapes.splice(shapes.indexOf(find(bo, shape.uuid)), 1)
  await until('ann sees it leave', () => !find(ann, shape.uuid))
  assert.equal((await converged(context, [ann, bo])).length, 2)
})

test('both edit at once and end alike', async context => {
  const [ann, bo] = await Promise.all([join(context), join(context)])
  const [first, second] = shown(ann).map(({ uuid }) => uuid)

  for (let turn = 1; turn <= 20; turn++) {
    find(ann, first).set('x', turn)
    find(bo, second).set('y', -turn)
    await new Promise(resolve => setTimeout(resolve, 12))
  }
  const shapes = await converged(context, [ann, bo])
  assert.deepEqual([shapes[0].x, shapes[1].y], [20, -20])
})

// The client forgets an edit that it has not sent yet when something that it receives takes the object
// out of its collection again; what it has sent, and what was accepted, must stay.
test('shapes that both add at once and the server has accepted are all kept', async context => {
  const [ann, bo] = await Promise.all([join(context), join(context)])
  const accepted = []
  for (const canvas of [ann, bo]) {
    canvas.scope.on('changes', (_, changeSet) => {
      const adds = changeSet.syncFragments.filter(({ type }) => type === 'add')
      changeSet.once('changeSetComplete', () => accepted.push(...adds.map(({ uuid }) => uuid)))
    })
  }
  for (let turn = 0; turn < 10; turn++) {
    for (const canvas of [ann, bo]) {
      const shape = new Shape()
      shape.set({ x: turn, y: turn, color: turn })
      canvas.get('shapes').push(shape)
    }
    await new Promise(resolve => setTimeout(resolve, 30))
  }
  const shapes = await converged(context, [ann, bo])
  assert.ok(accepted.length >= 10, `${accepted.length} were accepted`)
  assert.deepEqual(accepted.filter(uuid => !shapes.some(shape => shape.uuid === uuid)), [])
})

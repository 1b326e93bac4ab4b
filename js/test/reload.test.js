import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Canvas, Shape, canvasWorld, fetchCanvas, storedTree, treeOf } from './support/canvas.js'

/** @typedef {import('../jetstream.js').Session} Session */

/** What a page leaves behind when it is reloaded. */
class Shelf {
  /** @type {string | undefined} */
  record
  saves = 0
  /** Saving takes until the next step. @type {import('../jetstream.js').Storage} */
  storage = {
    load: async () => this.record === undefined ? undefined : JSON.parse(this.record),
    save: async record => {
      const text = JSON.stringify(record)
      await null
      this.record = text
      this.saves++
    }
  }
}

/**
 * The page goes away without a word.
 *
 * @param {import('./support/world.js').World} world
 * @param {Session} session
 */
function leave (world, session) {
  world.cut()
  session.disconnect()
}

async function page () {
  const shelf = new Shelf()
  const made = await canvasWorld(1, { latency: [20, 20], options: { storage: shelf.storage } })
  const open = async () => {
    const session = await made.world.connect({ storage: shelf.storage })
    return { session, canvas: await fetchCanvas(made.world, session) }
  }
  const [session] = made.sessions
  const [canvas] = made.canvases
  return { ...made, shelf, session, canvas, open }
}

/** @param {any} canvas */
const xs = canvas => canvas.shapes.map((/** @type {any} */ { x }) => x)

test('edits made offline survive a reload and are sent', async () => {
  const { world, scope, session, canvas, open } = await page()
  session.disconnect()
  canvas.shapes.push(new Shape({ x: 1 }))
  canvas.name = 'offline'
  await world.run(100)
  leave(world, session)
  const again = await open()
  assert.deepEqual([again.canvas.name, xs(again.canvas)], ['offline', [1]])
  await world.run(1000)
  assert.equal(again.session.pendingCount, 0)
  assert.deepEqual(treeOf(again.canvas), storedTree(scope))
  assert.deepEqual(scope.objects.get(canvas.uuid)?.values.shapes.length, 1)
})

/** @type {[string, number][]} how long after the edit the page goes away */
const moments = [['is stored', 1], ['is under way', 10], ['has arrived', 25], ['is answered', 50], ['is confirmed', 500]]
for (const [moment, milliseconds] of moments) {
  test(`an edit whose page is reloaded when it ${moment} is made once`, async () => {
    const { world, scope, session, canvas, open } = await page()
    canvas.shapes.push(new Shape({ x: 1 }))
    canvas.transaction(() => canvas.shapes.push(new Shape({ x: 2 })))
    await world.run(milliseconds)
    leave(world, session)
    const again = await open()
    await world.run(2000)
    assert.deepEqual(scope.objects.get(canvas.uuid)?.values.shapes.length, 2)
    assert.deepEqual(treeOf(again.canvas), storedTree(scope))
    assert.equal(again.session.pendingCount, 0)
    assert.deepEqual(world.server.complaints, [])
    assert.equal(world.server.sessions.size, 1)
    again.canvas.name = 'goes on'
    await world.run(100)
    assert.equal(scope.objects.get(canvas.uuid)?.values.name, 'goes on')
  })
}

test('an edit survives a reload and the end of its session', async () => {
  for (const milliseconds of [0, 10, 25, 50]) {
    const { world, scope, session, canvas, open } = await page()
    canvas.shapes.push(new Shape({ x: 1 }))
    await world.run(milliseconds)
    leave(world, session)
    world.server.forgetSessions()
    const again = await open()
    await world.run(2000)
    assert.deepEqual(xs(again.canvas), [1])
    assert.deepEqual(treeOf(again.canvas), storedTree(scope))
    assert.equal(again.session.pendingCount, 0)
  }
})

test('a refusal reaches the page that comes after', async () => {
  const { world, scope, session, canvas, open } = await page()
  scope.refuse = ({ type }) => type === 'add' ? 'full' : null
  canvas.shapes.push(new Shape({ x: 1 }))
  await world.run(25)
  leave(world, session)
  const again = await open()
  await world.run(2000)
  assert.deepEqual([xs(again.canvas), again.session.pendingCount], [[], 0])
})

test('the scopes of the page before are left when all is answered', async () => {
  const { world, session, canvas, open } = await page()
  canvas.name = 'x'
  await world.run(10)
  leave(world, session)
  await open()
  await world.run(2000)
  const [standing] = world.server.sessions.values()
  assert.deepEqual(standing.scopes.map(scope => scope !== null), [false, true])
})

test('a procedure whose answer was lost with the session is not called again', async () => {
  const { world, session, canvas, open } = await page()
  world.server.holdProcedures = () => {}
  canvas.call('pay', () => { canvas.name = 'paid' })
  await world.run(100)
  leave(world, session)
  world.server.forgetSessions()
  /** @type {any[]} */
  const refused = []
  const { session: again } = await open()
  again.on('refused', changes => refused.push(changes))
  await world.run(2000)
  assert.equal(again.pendingCount, 0)
  const [standing] = world.server.sessions.values()
  assert.ok(standing.received.every(({ procedure }) => !procedure))
})

test('nothing is sent before it is stored', async () => {
  const { world, session, canvas, shelf } = await page()
  /** @type {(() => void)[]} */
  const waiting = []
  shelf.storage.save = () => new Promise(resolve => waiting.push(resolve))
  const before = world.frames
  canvas.name = 'x'
  await world.run(1000)
  assert.equal(world.frames, before)
  for (let turn = 0; turn < 20; turn++) {
    waiting.splice(0).forEach(done => done())
    await world.run(100)
  }
  assert.equal(session.pendingCount, 0)
})

test('a page that is closed lets its edits wait for the next', async () => {
  for (const connected of [true, false]) {
    const { world, scope, session, canvas, open } = await page()
    if (!connected) session.disconnect()
    canvas.shapes.push(new Shape({ x: 1 }))
    await world.run(1)
    session.dispose()
    const again = await open()
    await world.run(1000)
    assert.deepEqual(xs(again.canvas), [1])
    assert.deepEqual(treeOf(again.canvas), storedTree(scope))
  }
})

test('without storage, what is pending when a session is disposed of is refused', async () => {
  const { world, sessions: [session], canvases: [canvas] } = await canvasWorld(1)
  session.disconnect()
  const change = canvas.transaction(() => { canvas.name = 'x' })
  session.dispose()
  await assert.rejects(change.accepted, { type: 'session-closed' })
  assert.equal(canvas.name, 'Demo')
  await assert.rejects(session.fetch('Canvas', Canvas), /the session is closed/)
  await world.run(100)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refused } from '../jetstream.js'
import { nodeOf } from '../jetstream/model/object.js'
import { Canvas, ROOT, Shape, canvasWorld, fetchCanvas, newScope, storedTree, treeOf } from './support/canvas.js'

test('a pending value is not overwritten by an older one of somebody else', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2, { latency: [50, 50] })
  /** @type {string[]} */
  const seen = []
  ann.on('change:name', name => seen.push(name))
  bo.name = 'from bo'
  await world.run(30)
  ann.name = 'from ann'
  await world.run(1000)
  assert.deepEqual(seen, ['from ann'])
  assert.equal(bo.name, 'from ann')
})

test('an edit shows at once and survives what comes in between', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2, { latency: [50, 50] })
  bo.shapes.push(new Shape({ x: 1 }))
  await world.run(30)
  const shape = new Shape({ x: 2 })
  ann.shapes.push(shape)
  assert.equal(ann.shapes[0], shape)
  await world.run(1000)
  assert.deepEqual(ann.shapes.map(({ x }) => x), bo.shapes.map(({ x }) => x))
  assert.ok(ann.shapes.includes(shape), 'it is still the same object')
})

test('edits of one tick are one ChangeSet', async () => {
  const { world, canvases: [ann] } = await canvasWorld(1)
  const [session] = world.server.sessions.values()
  session.received = []
  ann.name = 'a'
  ann.shapes.push(new Shape())
  ann.name = 'b'
  await world.run(100)
  assert.equal(session.received.length, 1)
})

for (const [batch, ticks, messages] of /** @type {const} */ ([['tick', 5, 5], [100, 5, 1], ['frame', 5, 1]])) {
  test(`with batch ${batch}, ${ticks} ticks of 10 ms are ${messages} ChangeSets`, async () => {
    const { world, canvases: [ann] } = await canvasWorld(1, { options: { batch } })
    const [session] = world.server.sessions.values()
    session.received = []
    for (let tick = 0; tick < ticks; tick++) {
      ann.name = `tick ${tick}`
      await world.run(10)
    }
    await world.run(200)
    assert.equal(session.received.length, messages)
    assert.equal(session.received.at(-1).fragments[0].properties.name, 'tick 4')
  })
}

test('a transaction is accepted as a whole', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2)
  const change = ann.transaction(() => {
    ann.name = 'both'
    ann.shapes.push(new Shape({ x: 1 }))
  })
  assert.equal(change.state, 'pending')
  await world.run(100)
  await change.accepted
  assert.equal(change.state, 'accepted')
  assert.deepEqual([bo.name, bo.shapes.length], ['both', 1])
})

test('a refused transaction takes back exactly itself, with a reason for each fragment', async () => {
  const { world, scope, canvases: [ann] } = await canvasWorld(1, { latency: [50, 50] })
  scope.refuse = ({ properties }) => properties?.x === 13 ? 'thirteen is unlucky' : null
  const [kept, refused] = [new Shape({ x: 1 }), new Shape({ x: 13 })]
  ann.name = 'before'
  const change = ann.transaction(() => {
    ann.name = 'within'
    ann.shapes.push(refused)
  })
  ann.shapes.push(kept)
  await world.run(10)
  assert.deepEqual(ann.shapes.map(({ x }) => x), [13, 1])
  await world.run(1000)
  const error = await change.accepted.catch(error => error)
  assert.ok(error instanceof Refused)
  assert.equal(error.message, 'thirteen is unlucky')
  assert.deepEqual(error.reasons.map(({ fragment, error }) => [fragment.type, error.type ?? error.message]),
    [['add', 'thirteen is unlucky'], ['change', 'transaction-aborted']])
  assert.equal(ann.name, 'before')
  assert.deepEqual([...ann.shapes], [kept])
  assert.equal(refused.scope, null)
  assert.deepEqual(treeOf(ann), storedTree(scope))
})

test('nobody has to look at a refusal', async () => {
  const { world, scope, canvases: [ann], sessions: [session] } = await canvasWorld(1)
  scope.refuse = () => 'no'
  /** @type {any[]} */
  const refused = []
  session.on('refused', changes => refused.push(changes))
  ann.name = 'x'
  ann.transaction(() => { ann.name = 'y' })
  await world.run(100)
  assert.equal(ann.name, 'Demo')
  assert.deepEqual(refused.map(({ state }) => state), ['refused', 'refused'])
})

test('whoever hears of a refusal may edit', async () => {
  const { world, scope, canvases: [ann] } = await canvasWorld(1, { latency: [50, 50] })
  scope.refuse = ({ properties }) => properties?.name === 'no' ? 'no' : null
  ann.scope?.on('refused', () => { ann.name = 'instead' })
  ann.name = 'no'
  await world.run(10)
  ann.shapes.push(new Shape({ x: 1 }))
  await world.run(1000)
  assert.equal(ann.name, 'instead')
  assert.deepEqual(treeOf(ann), storedTree(scope))
})

test('what a refused ChangeSet carried falls with it', async () => {
  const { world, scope, canvases: [ann] } = await canvasWorld(1, { latency: [50, 50] })
  scope.refuse = ({ type }) => type === 'add' ? 'full' : null
  const shape = new Shape({ x: 1 })
  ann.shapes.push(shape)
  await world.run(10)
  shape.x = 2
  await world.run(1000)
  assert.deepEqual([...ann.shapes], [])
  assert.deepEqual(treeOf(ann), storedTree(scope))
})

test('a transaction that throws leaves nothing behind', async () => {
  const { world, canvases: [ann], sessions: [session] } = await canvasWorld(1)
  /** @type {unknown[]} */
  const events = []
  ann.on('change add', () => events.push(1))
  assert.throws(() => ann.transaction(() => {
    ann.name = 'half'
    ann.shapes.push(new Shape())
    throw new Error('midway')
  }), { message: 'midway' })
  assert.deepEqual([ann.name, ann.shapes.length, events.length, session.pendingCount], ['Demo', 0, 0, 0])
  assert.throws(() => ann.transaction(/** @type {any} */ (async () => {})), /not asynchronous/)
  ann.name = 'goes on'
  await world.run(100)
  assert.equal(session.pendingCount, 0)
})

test('a transaction within a transaction belongs to it', async () => {
  const { world, canvases: [ann] } = await canvasWorld(1)
  const [session] = world.server.sessions.values()
  session.received = []
  ann.transaction(() => {
    ann.name = 'a'
    ann.transaction(() => ann.shapes.push(new Shape()))
  })
  await world.run(100)
  assert.equal(session.received.length, 1)
})

test('a procedure is called with the changes as its arguments', async () => {
  const { world, canvases: [ann] } = await canvasWorld(1)
  const [session] = world.server.sessions.values()
  const call = ann.call('addShape', () => ann.shapes.push(new Shape({ x: 1 })))
  await world.run(100)
  await call.accepted
  const { procedure, atomic, fragments } = session.received.at(-1)
  assert.deepEqual([procedure, atomic, fragments.length], ['Canvas.addShape', true, 2])
})

test('a procedure that takes long does not hold up what comes after it', async () => {
  const { world, scope, canvases: [ann, bo] } = await canvasWorld(2)
  /** @type {(() => void)[]} */
  const answers = []
  world.server.holdProcedures = answer => answers.push(answer)
  const call = ann.call('addShape', () => ann.shapes.push(new Shape({ x: 1 })))
  ann.name = 'meanwhile'
  await world.run(100)
  assert.equal(bo.name, 'meanwhile')
  assert.equal(call.state, 'pending')
  answers.forEach(answer => answer())
  await world.run(100)
  assert.equal(call.state, 'accepted')
  assert.deepEqual(treeOf(ann), storedTree(scope))
})

test('what the server put in place of our values is taken over', async () => {
  const { world, scope, canvases: [ann, bo] } = await canvasWorld(2)
  scope.modify = ({ properties }) => properties?.x > 100 ? { x: 100, color: 7 } : undefined
  const shape = new Shape({ x: 500 })
  ann.shapes.push(shape)
  /** @type {unknown[]} */
  const seen = []
  shape.on('change:x change:color', (value, { source }) => seen.push([value, source]))
  await world.run(100)
  assert.deepEqual([shape.x, shape.color], [100, 7])
  assert.deepEqual(seen, [[100, 'remote'], [7, 'remote']])
  assert.equal(bo.shapes[0].x, 100)
})

test('an object that others removed and put back is the same object', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2)
  const shape = new Shape({ x: 1 })
  ann.shapes.push(shape)
  await world.run(100)
  bo.shapes[0].remove()
  await world.run(100)
  assert.equal(shape.scope, null)
  bo.scope?.undo()
  await world.run(100)
  assert.equal(ann.shapes[0], shape)
  assert.equal(shape.scope, ann.scope)
})

test('what is done to an object while it is out comes back with it', async () => {
  const { world, scope, canvases: [ann] } = await canvasWorld(1)
  const shape = new Shape({ x: 1 })
  ann.shapes.push(shape)
  await world.run(100)
  ann.shapes.pop()
  shape.x = 2
  ann.shapes.push(shape)
  await world.run(100)
  ann.shapes.pop()
  await world.run(2)
  shape.x = 3
  await world.run(100)
  ann.shapes.push(shape)
  await world.run(100)
  assert.equal(shape.x, 3)
  assert.deepEqual(treeOf(ann), storedTree(scope))
})

test('a removal that is refused brings the object back as the server has it', async () => {
  const { world, scope, canvases: [ann] } = await canvasWorld(1)
  const shape = new Shape({ x: 1 })
  ann.shapes.push(shape)
  await world.run(100)
  scope.refuse = ({ type }) => type === 'remove' ? 'it stays' : null
  shape.remove()
  await world.run(2)
  shape.x = 2
  await world.run(100)
  assert.deepEqual([shape.x, ann.shapes[0]], [1, shape])
})

test('remove takes an object out of everything', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2)
  const shape = new Shape()
  ann.shapes.push(shape)
  ann.background = shape
  await world.run(100)
  const [session] = world.server.sessions.values()
  bo.shapes[0].remove()
  await world.run(100)
  assert.deepEqual([ann.shapes.length, ann.background], [0, null])
  assert.deepEqual(bo.shapes.length, 0)
  assert.ok(session)
  assert.throws(() => ann.remove(), /is the root and cannot be removed/)
})

test('objects of one scope do not go into another', async () => {
  const { world, canvases: [ann], sessions: [session] } = await canvasWorld(1)
  world.server.scopes.set('Other', newScope('ca000000-0000-4000-8000-000000000002'))
  const fetched = session.fetch('Other', Canvas)
  await world.run(100)
  const other = await fetched
  other.shapes.push(new Shape())
  assert.throws(() => ann.shapes.push(other.shapes[0]), /belongs to another scope/)
  assert.equal(ann.shapes.length, 0)
})

test('a local property stays here', async () => {
  const { world, canvases: [ann, bo], sessions: [session] } = await canvasWorld(2)
  ann.shapes.push(new Shape())
  await world.run(100)
  /** @type {boolean[]} */
  const events = []
  ann.shapes[0].on('change:selected', selected => events.push(selected))
  ann.shapes[0].selected = true
  await world.run(100)
  bo.shapes[0].x = 3
  await world.run(100)
  assert.deepEqual([ann.shapes[0].selected, bo.shapes[0].selected, session.pendingCount], [true, false, 0])
  assert.deepEqual(events, [true])
})

test('paused, a scope takes our edits and keeps those of others waiting', async () => {
  const { world, scope, canvases: [ann, bo] } = await canvasWorld(2)
  ann.scope?.pause()
  bo.name = 'from bo'
  ann.shapes.push(new Shape({ x: 1 }))
  await world.run(100)
  assert.equal(ann.name, 'Demo')
  assert.equal(bo.shapes.length, 1)
  /** @type {string[]} */
  const seen = []
  ann.on('change', ({ property }) => seen.push(property))
  ann.scope?.resume()
  assert.deepEqual([ann.name, seen], ['from bo', ['name']])
  assert.deepEqual(treeOf(ann), storedTree(scope))
})

test('synced resolves when nothing is pending', async () => {
  const { world, canvases: [ann], sessions: [session] } = await canvasWorld(1)
  await session.synced()
  ann.name = 'x'
  let synced = false
  const waiting = session.synced().then(() => { synced = true })
  await world.run(8)
  assert.equal(synced, false)
  await world.run(100)
  await waiting
  assert.equal(session.pendingCount, 0)
})

test('a state that does not fit what came before is asked for afresh', async () => {
  const { world, scope, canvases: [ann], sessions: [session] } = await canvasWorld(1)
  const lost = { type: 'add', uuid: '5a000000-0000-4000-8000-000000000009', clsName: 'Shape', properties: { x: 1 } }
  const place = { type: 'change', uuid: ROOT, clsName: 'Canvas', collections: { shapes: [{ insert: lost.uuid, after: null }] } }
  scope.sync(/** @type {any} */ ([lost, place]), false)
  world.server.tell(scope, [place])
  ann.name = 'pending meanwhile'
  await world.run(200)
  assert.equal(ann.shapes[0].x, 1)
  assert.deepEqual(treeOf(ann), storedTree(scope))
  assert.equal(session.pendingCount, 0)
})

test('answers that come with a change that does not fit count all the same', async () => {
  const { canvases: [ann] } = await canvasWorld(1)
  const { replica } = /** @type {import('../jetstream/model/graph.js').Graph} */ (nodeOf(ann).graph)
  const change = ann.transaction(() => { ann.name = 'mine' })
  const [sent] = replica.unsent()
  sent.index = 77
  const misfit = { type: 'change', uuid: ROOT, clsName: 'Canvas', properties: { background: '5a000000-0000-4000-8000-000000000009' } }
  assert.throws(() => replica.receive([
    { type: 'ScopeSync', index: 1, scopeIndex: 0, fragments: /** @type {any} */ ([misfit]) },
    { type: 'ScopeSyncReply', index: 2, replyTo: 77, fragmentReplies: [{}] }
  ]), /no object 5a/)
  await change.accepted
  assert.deepEqual([ann.name, replica.pendingCount], ['mine', 0])
})

test('a scope that was left hears no more', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2)
  const left = /** @type {any} */ (ann.scope).unfetch()
  await world.run(100)
  await left
  bo.name = 'later'
  await world.run(100)
  assert.equal(ann.name, 'Demo')
  assert.deepEqual(world.server.complaints, [])
})

test('a fetch that is denied fails with the reason', async () => {
  const { world, sessions: [session] } = await canvasWorld(1)
  const fetched = session.fetch('Nowhere', Canvas)
  const failed = assert.rejects(fetched, { name: 'Denied', message: 'no scope "Nowhere"', type: 'forbidden' })
  await world.run(100)
  await failed
  const wrong = session.fetch('Canvas', Shape)
  const mistaken = assert.rejects(wrong, { message: 'the root of "Canvas" is a "Canvas", not a "Shape"' })
  await world.run(100)
  await mistaken
  assert.ok(await fetchCanvas(world, session))
})

test('the same scope fetched twice is two copies', async () => {
  const { world, scope, canvases: [ann], sessions: [session] } = await canvasWorld(1)
  const twin = await fetchCanvas(world, session)
  assert.notEqual(twin, ann)
  twin.shapes.push(new Shape({ x: 1 }))
  await world.run(100)
  assert.deepEqual(treeOf(ann), storedTree(scope))
  assert.deepEqual(treeOf(twin), storedTree(scope))
})

test('many edits in one go are cut into messages that a server takes', async () => {
  const { world, scope, canvases: [ann] } = await canvasWorld(1)
  const [session] = world.server.sessions.values()
  for (let x = 0; x < 5000; x++) ann.shapes.push(new Shape({ x }))
  await world.run(100)
  assert.ok(session.received.every(({ fragments }) => !fragments || fragments.length < 5000))
  assert.equal(scope.objects.size, 5001)
})

test('a change that the server would not read is refused here, and the others go through', async () => {
  const { world, canvases: [ann, bo], sessions: [session] } = await canvasWorld(2)
  const change = ann.transaction(() => { ann.name = 'x'.repeat(5 << 20) })
  ann.shapes.push(new Shape({ x: 1 }))
  await world.run(100)
  await assert.rejects(change.accepted, { type: 'too-large' })
  assert.deepEqual([ann.name, bo.shapes.length, session.pendingCount], ['Demo', 1, 0])
})

test('a server that takes less than it says makes nobody send the same for ever', async () => {
  const { world, canvases: [ann, bo], sessions: [session] } = await canvasWorld(2)
  world.frameBytesMax = 10_000
  const change = ann.transaction(() => { ann.name = 'x'.repeat(20_000) })
  ann.shapes.push(new Shape({ x: 1 }))
  await world.run(20_000)
  await assert.rejects(change.accepted, { type: 'too-large' })
  assert.deepEqual([ann.name, bo.shapes.length, session.status], ['Demo', 1, 'online'])
})

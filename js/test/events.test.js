import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Group, Shape, canvasWorld } from './support/canvas.js'

/**
 * Writes down what an object tells.
 *
 * @param {any} object
 * @param {string} events
 */
function listen (object, events) {
  /** @type {any[]} */
  const heard = []
  for (const event of events.split(' ')) {
    object.on(event, (/** @type {any[]} */ ...details) => heard.push([event, ...details]))
  }
  return heard
}

test('a change tells the value, what it was, and who made it', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2)
  const heard = listen(ann, 'change:name change')
  ann.name = 'here'
  bo.name = 'there'
  await world.run(100)
  const told = heard.map(([event, ...details]) => {
    const { object, property, value, previous, source } = details.at(-1)
    assert.equal(object, ann)
    return [event, property, value, previous, source]
  })
  assert.deepEqual(told, [
    ['change:name', 'name', 'here', 'Demo', 'local'],
    ['change', 'name', 'here', 'Demo', 'local'],
    ['change:name', 'name', 'there', 'here', 'remote'],
    ['change', 'name', 'there', 'here', 'remote']
  ])
})

test('a collection tells what came and what went', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2)
  const [a, b] = [new Shape({ x: 1 }), new Shape({ x: 2 })]
  const heard = listen(ann, 'add:shapes remove:shapes add remove')
  const elsewhere = listen(bo, 'add:shapes remove:shapes')
  ann.shapes.push(a, b)
  ann.shapes.shift()
  await world.run(100)
  const names = (/** @type {any[]} */ list) => list.map(([event, { x }, { source }]) => `${event} ${x} ${source}`)
  assert.deepEqual(names(heard), ['add:shapes 1 local', 'add 1 local', 'add:shapes 2 local', 'add 2 local',
    'remove:shapes 1 local', 'remove 1 local'])
  assert.deepEqual(names(elsewhere), ['add:shapes 2 remote'])
})

test('a move within a collection is a change and neither an addition nor a removal', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2)
  ann.shapes.push(new Shape({ x: 1 }), new Shape({ x: 2 }))
  await world.run(100)
  const [here, there] = [ann, bo].map(canvas => listen(canvas, 'add remove change:shapes'))
  ann.shapes.reverse()
  await world.run(100)
  assert.deepEqual(here.map(([event]) => event), ['change:shapes'])
  assert.deepEqual(there.map(([event]) => event), ['change:shapes'])
})

test('several events can be named together, and left', async () => {
  const { canvases: [ann] } = await canvasWorld(1)
  const shape = new Shape()
  ann.shapes.push(shape)
  let calls = 0
  const off = shape.on('change:x change:y', () => { calls++ })
  shape.x = 1
  shape.y = 1
  off()
  shape.x = 2
  assert.equal(calls, 2)
})

test('a value set to what it is already is no change', async () => {
  const { canvases: [ann] } = await canvasWorld(1)
  ann.made = new Date(5)
  const heard = listen(ann, 'change')
  ann.made = new Date(5)
  ann.name = 'Demo'
  assert.deepEqual(heard, [])
})

test('a tree tells what changes at and below its root', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2)
  const group = new Group({ shapes: [new Shape({ x: 1 })] })
  ann.groups.push(group)
  await world.run(100)
  const [here, there, aside] = [listen(ann, 'treechange'), listen(bo.groups[0], 'treechange'), listen(group, 'change')]
  group.shapes[0].x = 2
  await world.run(100)
  assert.deepEqual(here.map(([, [{ object, property }]]) => [object, property]), [[group.shapes[0], 'x']])
  assert.deepEqual(there.map(([, [{ value, source }]]) => [value, source]), [[2, 'remote']])
  assert.deepEqual(aside, [])
})

test('objects tell when they come into the scope and when they leave it, with all that they hold', async () => {
  const { canvases: [ann] } = await canvasWorld(1)
  const shape = new Shape()
  const group = new Group({ shapes: [shape] })
  const heard = [group, shape].map(object => listen(object, 'attached detached'))
  ann.groups.push(group)
  ann.groups.pop()
  for (const events of heard) assert.deepEqual(events.map(([event]) => event), ['attached', 'detached'])
})

test('an object that moves neither leaves nor comes', async () => {
  const { canvases: [ann] } = await canvasWorld(1)
  const shape = new Shape()
  ann.groups.push(new Group({ shapes: [shape] }), new Group())
  const heard = listen(shape, 'attached detached')
  ann.transaction(() => ann.groups[1].shapes.push(...ann.groups[0].shapes.splice(0)))
  assert.deepEqual(heard, [])
})

test('a cycle that the root does not reach any more leaves', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2)
  const [outer, inner] = [new Group({ label: 'outer' }), new Group({ label: 'inner' })]
  outer.groups.push(inner)
  inner.groups.push(outer)
  ann.groups.push(outer)
  await world.run(100)
  const there = bo.groups[0]
  const heard = listen(there.groups[0], 'detached')
  ann.groups.pop()
  await world.run(100)
  assert.equal(inner.scope, null)
  assert.equal(there.scope, null)
  assert.equal(heard.length, 1)
})

test('an object with two parents stays until it has lost both', async () => {
  const { canvases: [ann] } = await canvasWorld(1)
  const shape = new Shape()
  ann.shapes.push(shape)
  ann.background = shape
  assert.deepEqual(shape.parents, [ann])
  ann.shapes.pop()
  assert.equal(shape.scope, ann.scope)
  ann.background = null
  assert.equal(shape.scope, null)
})

test('a listener that throws keeps nobody from hearing, and its error is not lost', async t => {
  const { canvases: [ann] } = await canvasWorld(1)
  const later = t.mock.method(globalThis, 'queueMicrotask', () => {})
  ann.on('change:name', () => { throw new Error('in a listener') })
  const heard = listen(ann, 'change:name')
  ann.name = 'x'
  assert.equal(heard.length, 1)
  const [reported] = later.mock.calls
  assert.throws(() => /** @type {any} */ (reported.arguments[0])(), /in a listener/)
})

test('a listener may edit', async () => {
  const { world, scope, canvases: [ann, bo] } = await canvasWorld(2)
  ann.on('add:shapes', shape => { shape.color = 3 })
  bo.shapes.push(new Shape())
  await world.run(100)
  assert.equal(bo.shapes[0].color, 3)
  assert.equal(scope.objects.get(bo.shapes[0].uuid)?.values.color, 3)
})

test('objects that are in no scope tell of their changes, too', () => {
  const shape = new Shape()
  const heard = listen(shape, 'change:x')
  shape.x = 1
  assert.equal(heard.length, 1)
  assert.throws(() => shape.transaction(() => {}), /is in no scope/)
})

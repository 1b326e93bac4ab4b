import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Canvas, Group, Shape, canvasWorld } from './support/canvas.js'

/** @param {number} count */
async function withShapes (count) {
  const made = await canvasWorld(2)
  const [ann] = made.canvases
  ann.shapes = Array.from({ length: count }, (_, x) => new Shape({ x }))
  await made.world.run(100)
  const session = [...made.world.server.sessions.values()][0]
  session.received = []
  return { ...made, sent: () => session.received.flatMap(({ fragments }) => fragments ?? []) }
}

/** @param {InstanceType<typeof Shape>[]} shapes */
const xs = shapes => shapes.map(({ x }) => x)

test('a collection is an array', () => {
  const canvas = new Canvas()
  const [a, b] = [new Shape({ x: 1 }), new Shape({ x: 2 })]
  assert.equal(canvas.shapes.push(a, b), 2)
  assert.ok(Array.isArray(canvas.shapes))
  assert.equal(canvas.shapes.length, 2)
  assert.deepEqual([...canvas.shapes], [a, b])
  assert.equal(canvas.shapes.at(-1), b)
  assert.equal(canvas.shapes.indexOf(b), 1)
  assert.deepEqual(xs(canvas.shapes.filter(({ x }) => x > 1)), [2])
  assert.ok(canvas.shapes.map(shape => shape) instanceof Array)
  assert.equal(canvas.shapes, canvas.shapes)
})

/** @type {[string, (shapes: any[]) => unknown, number[]][]} */
const cases = [
  ['push', shapes => shapes.push(new Shape({ x: 9 })), [0, 1, 2, 3, 9]],
  ['pop', shapes => shapes.pop(), [0, 1, 2]],
  ['shift', shapes => shapes.shift(), [1, 2, 3]],
  ['unshift', shapes => shapes.unshift(new Shape({ x: 9 })), [9, 0, 1, 2, 3]],
  ['splice', shapes => shapes.splice(1, 2, new Shape({ x: 9 })), [0, 9, 3]],
  ['sort', shapes => shapes.sort((a, b) => b.x - a.x), [3, 2, 1, 0]],
  ['reverse', shapes => shapes.reverse(), [3, 2, 1, 0]],
  ['index assignment', shapes => { shapes[1] = new Shape({ x: 9 }) }, [0, 9, 2, 3]],
  ['assignment at the end', shapes => { shapes[4] = new Shape({ x: 9 }) }, [0, 1, 2, 3, 9]],
  ['a shorter length', shapes => { shapes.length = 1 }, [0]],
  ['an element twice', shapes => shapes.push(shapes[0]), [0, 1, 2, 3, 0]],
  ['copyWithin', shapes => shapes.copyWithin(0, 2), [2, 3, 2, 3]],
  ['fill', shapes => shapes.fill(shapes[3], 1, 3), [0, 3, 3, 3]]
]

for (const [name, edit, expected] of cases) {
  test(`${name} is seen by others`, async () => {
    const { world, canvases: [ann, bo] } = await withShapes(4)
    edit(ann.shapes)
    assert.deepEqual(xs(ann.shapes), expected)
    await world.run(100)
    assert.deepEqual(xs(bo.shapes), expected)
    assert.deepEqual(xs(ann.shapes), expected)
  })
}

test('adding to a collection costs the same however long it is', async () => {
  const { world, canvases: [ann], sent } = await withShapes(1000)
  ann.shapes.push(new Shape())
  await world.run(100)
  const [, change] = sent()
  assert.deepEqual(change.collections, { shapes: [{ insert: ann.shapes[1000].uuid, after: ann.shapes[999].uuid }] })
  assert.equal(change.properties, undefined)
})

test('what goes in and out again within a tick is not sent', async () => {
  const { world, canvases: [ann], sent } = await withShapes(3)
  ann.shapes.push(new Shape())
  ann.shapes.pop()
  ann.name = 'Other'
  ann.name = 'Demo'
  await world.run(100)
  assert.deepEqual(sent(), [])
})

test('an object that goes to another parent moves', async () => {
  const { world, canvases: [ann, bo], sent } = await withShapes(2)
  const group = new Group()
  ann.groups.push(group)
  await world.run(100)
  group.shapes.push(...ann.shapes.splice(1, 1))
  await world.run(100)
  assert.ok(sent().some((/** @type {any} */ { type, uuid }) => type === 'movechange' && uuid === group.shapes[0].uuid))
  assert.deepEqual([xs(bo.shapes), xs(bo.groups[0].shapes)], [[0], [1]])
})

test('an object that is put somewhere else besides does not', async () => {
  const { world, canvases: [ann, bo], sent } = await withShapes(2)
  ann.background = ann.shapes[0]
  await world.run(100)
  assert.deepEqual(sent().map((/** @type {any} */ { type }) => type), ['change'])
  assert.equal(bo.background, bo.shapes[0])
})

test('two clients that move the same object do not double it', async () => {
  const { world, canvases: [ann, bo] } = await withShapes(3)
  ann.groups.push(new Group(), new Group())
  await world.run(100)
  ann.groups[0].shapes.push(...ann.shapes.splice(0, 1))
  bo.groups[1].shapes.push(...bo.shapes.splice(0, 1))
  await world.run(100)
  const places = [ann.shapes, ...ann.groups.map(({ shapes }) => shapes)].flatMap(xs)
  assert.deepEqual(places.sort(), [0, 1, 2])
})

test('additions of both sides survive, in the same order everywhere', async () => {
  const { world, canvases: [ann, bo] } = await withShapes(2)
  ann.shapes.splice(1, 0, new Shape({ x: 10 }))
  bo.shapes.splice(1, 0, new Shape({ x: 20 }))
  bo.shapes.shift()
  await world.run(100)
  assert.deepEqual(xs(ann.shapes).sort(), [1, 10, 20])
  assert.deepEqual(xs(ann.shapes), xs(bo.shapes))
})

test('an object that others took away fails alone when it is moved', async () => {
  const { world, canvases: [ann, bo] } = await withShapes(3)
  const moved = ann.shapes[2]
  bo.shapes[2].remove()
  ann.shapes.sort((a, b) => b.x - a.x)
  ann.shapes.push(new Shape({ x: 9 }))
  await world.run(100)
  assert.ok(!ann.shapes.includes(moved))
  assert.ok(xs(bo.shapes).includes(9))
  assert.deepEqual(xs(ann.shapes), xs(bo.shapes))
})

test('a collection refuses what it cannot hold and stays as it is', async () => {
  const { canvases: [ann] } = await withShapes(1)
  const shapes = /** @type {any[]} */ (ann.shapes)
  assert.throws(() => shapes.push(null), { message: '"shapes" of "Canvas" takes a list, each element a "Shape", not null' })
  assert.throws(() => shapes.push(new Group()), /not a "Group"/)
  assert.throws(() => { shapes[3] = new Shape() }, /not undefined/)
  assert.throws(() => delete shapes[0], /holds no nulls/)
  assert.equal(shapes.length, 1)
})

test('plain values are sent whole', async () => {
  const { world, canvases: [ann, bo], sent } = await withShapes(0)
  ann.tags.push('a', 'b')
  await world.run(100)
  assert.deepEqual(sent()[0].properties, { tags: ['a', 'b'] })
  assert.deepEqual([...bo.tags], ['a', 'b'])
})

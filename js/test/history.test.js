import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Group, Shape, canvasWorld, storedTree, treeOf } from './support/canvas.js'

/** @param {any} canvas */
const xs = canvas => canvas.shapes.map((/** @type {any} */ { x }) => x)

/** @param {number} count */
async function twoOf (count = 2) {
  const made = await canvasWorld(count)
  const [ann, bo] = made.canvases
  return { ...made, ann, bo, own: /** @type {any} */ (ann.scope) }
}

test('a change is undone and done again, for everybody', async () => {
  const { world, ann, bo, own } = await twoOf()
  ann.name = 'new'
  await world.run(1000)
  assert.ok(own.undo())
  await world.run(100)
  assert.equal(bo.name, 'Demo')
  assert.ok(own.redo())
  await world.run(100)
  assert.equal(bo.name, 'new')
  assert.equal(own.canRedo, false)
  assert.equal(own.redo(), false)
})

test('what happens within a moment is one step, a transaction always one of its own', async () => {
  const { world, ann, own } = await twoOf(1)
  const shape = new Shape({ x: 0 })
  ann.shapes.push(shape)
  await world.run(1000)
  for (let x = 1; x < 5; x++) {
    shape.x = x
    await world.run(50)
  }
  ann.transaction(() => { shape.x = 10 })
  ann.transaction(() => { shape.x = 20 })
  /** @type {number[]} */
  const seen = []
  while (own.undo()) seen.push(shape.x)
  assert.deepEqual(seen, [10, 4, 0, 0])
  assert.equal(ann.shapes.length, 0)
})

test('only our own changes are undone', async () => {
  const { world, ann, bo, own } = await twoOf()
  ann.shapes.push(new Shape({ x: 1 }))
  await world.run(1000)
  bo.shapes.push(new Shape({ x: 2 }))
  bo.name = 'from bo'
  await world.run(100)
  own.undo()
  await world.run(100)
  assert.deepEqual([xs(ann), xs(bo), ann.name], [[2], [2], 'from bo'])
  own.redo()
  await world.run(100)
  assert.deepEqual(xs(bo).sort(), [1, 2])
})

test('a value that others have changed since is left alone', async () => {
  const { world, ann, bo, own } = await twoOf()
  ann.name = 'from ann'
  await world.run(1000)
  bo.name = 'from bo'
  await world.run(100)
  assert.equal(own.undo(), false)
  assert.equal(ann.name, 'from bo')
})

test('a removed object comes back with all that it held', async () => {
  const { world, scope, ann, bo, own } = await twoOf()
  const group = new Group({ label: 'g', shapes: [new Shape({ x: 7 })] })
  ann.groups.push(group)
  ann.shapes.push(new Shape({ x: 1 }), new Shape({ x: 2 }), new Shape({ x: 3 }))
  await world.run(1000)
  group.remove()
  ann.shapes[1].remove()
  await world.run(1000)
  own.undo()
  await world.run(100)
  assert.deepEqual(xs(bo), [1, 2, 3])
  assert.equal(bo.groups[0].shapes[0].x, 7)
  assert.equal(ann.groups[0], group)
  assert.deepEqual(treeOf(ann), storedTree(scope))
})

test('a new change forgets what could be done again', async () => {
  const { world, ann, own } = await twoOf(1)
  ann.name = 'a'
  await world.run(1000)
  own.undo()
  ann.name = 'b'
  assert.equal(own.canRedo, false)
})

test('a refused change needs no undoing', async () => {
  const { world, scope, ann, own } = await twoOf(1)
  ann.name = 'fine'
  await world.run(1000)
  scope.refuse = () => 'no'
  ann.name = 'refused'
  await world.run(100)
  scope.refuse = () => null
  own.undo()
  assert.equal(ann.name, 'Demo')
})

test('an order is undone over what others put in between', async () => {
  const { world, scope, ann, bo, own } = await twoOf()
  ann.shapes.push(...[1, 2, 3].map(x => new Shape({ x })))
  await world.run(1000)
  ann.shapes.sort((a, b) => b.x - a.x)
  await world.run(1000)
  bo.shapes.splice(1, 0, new Shape({ x: 9 }))
  await world.run(100)
  own.undo()
  await world.run(100)
  assert.deepEqual(xs(bo).filter((/** @type {number} */ x) => x < 9), [1, 2, 3])
  assert.ok(xs(ann).includes(9))
  assert.deepEqual(treeOf(ann), storedTree(scope))
})

test('two that bring back the same object bring it back once', async () => {
  const { world, scope, ann, bo, own } = await twoOf()
  ann.shapes.push(...[1, 2, 3].map(x => new Shape({ x })))
  await world.run(1000)
  ann.shapes[1].remove()
  bo.shapes.splice(1, 1)
  await world.run(1000)
  own.undo()
  bo.scope?.undo()
  await world.run(100)
  assert.deepEqual([xs(ann), xs(bo)], [[1, 2, 3], [1, 2, 3]])
  assert.deepEqual(treeOf(ann), storedTree(scope))
})

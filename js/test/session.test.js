import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Shape, canvasWorld, storedTree, treeOf } from './support/canvas.js'

test('what one client adds and changes, another sees', async () => {
  const { world, scope, canvases: [ann, bo] } = await canvasWorld(2)
  ann.shapes.push(new Shape({ x: 10, y: 20 }))
  ann.name = 'Together'
  await world.run(100)
  assert.equal(bo.name, 'Together')
  assert.equal(bo.shapes[0].x, 10)
  assert.equal(bo.shapes[0].width, 100)
  bo.shapes[0].x = 11
  await world.run(100)
  assert.equal(ann.shapes[0].x, 11)
  assert.deepEqual(treeOf(ann), storedTree(scope))
  assert.deepEqual(treeOf(bo), storedTree(scope))
  assert.deepEqual(world.server.complaints, [])
})

/** @file What `jetstream types` prints for JavaScript: `tsc` checks it, with TypeScript's; here it is run. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Chef, Cursor, Heat, Kitchen, Node, Person, Pen } from './generated/models.js'

test('printed models are models, with their defaults and those that they extend', () => {
  const kitchen = new Kitchen()
  assert.equal(kitchen.title, 'Ann\'s "Kitchen"')
  assert.equal(kitchen.foundedAt.getTime(), 1_000_000_000_500)
  assert.deepEqual([kitchen.flavour, kitchen.heat, kitchen.rating], ['sour', Heat.Low, -2.5])
  const chef = new Chef({ name: 'Ann', stars: 3 })
  kitchen.staff.push(chef)
  kitchen.chef = chef
  chef.employer = kitchen
  assert.ok(kitchen.staff[0] instanceof Person)
  assert.equal(new Chef({ employer: kitchen }).employer?.staff[0].name, 'Ann')
  assert.deepEqual(new Node({ children: [new Node({ label: 'leaf' })] }).children[0].label, 'leaf')
  assert.ok(new Pen({ x: 1 }) instanceof Cursor)
})

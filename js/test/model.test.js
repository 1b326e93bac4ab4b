import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enumeration, model } from '../jetstream.js'
import { Canvas, Flavour, Group, Shape, canvasWorld } from './support/canvas.js'

test('a new object has its defaults and a uuid of its own', () => {
  const shape = new Shape({ x: 1 })
  assert.deepEqual([shape.x, shape.y, shape.width], [1, null, 100])
  assert.match(shape.uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.notEqual(shape.uuid, new Shape().uuid)
})

test('what is no property is no argument', () => {
  assert.throws(() => new Shape(/** @type {any} */ ({ heigth: 1 })), { message: 'no property "heigth" on "Shape"' })
})

/** @type {[string, any, string][]} */
const wrong = [
  ['name', 1, '"name" of "Canvas" takes a string, not 1'],
  ['made', 'today', '"made" of "Canvas" takes a date, not today'],
  ['made', new Date(NaN), '"made" of "Canvas" takes a date, not Invalid Date'],
  ['flavour', 'bitter', '"flavour" of "Canvas" takes one of sweet, sour, not bitter'],
  ['background', new Group(), '"background" of "Canvas" takes a "Shape", not a "Group"'],
  ['tags', 'a', '"tags" of "Canvas" takes a list, each element a string, not a']
]
for (const [property, value, message] of wrong) {
  test(`a value of the wrong type is refused: ${message}`, () => {
    const canvas = /** @type {any} */ (new Canvas())
    assert.throws(() => { canvas[property] = value }, { name: 'TypeError', message })
  })
}

test('numbers that JSON does not know are refused or made plain', () => {
  const shape = new Shape()
  assert.throws(() => { shape.x = NaN }, /takes a finite number, not NaN/)
  assert.throws(() => { shape.x = Infinity }, /not Infinity/)
  shape.x = -0
  assert.ok(Object.is(shape.x, 0))
})

test('a text that is half a character becomes one that can be sent', () => {
  const canvas = new Canvas({ name: 'a\ud800b\udc00\ud83d\ude00' })
  assert.equal(canvas.name, 'a\ufffdb\ufffd\ud83d\ude00')
})

test('any value can be unset', () => {
  const canvas = /** @type {any} */ (new Canvas({ name: 'a', made: new Date(0) }))
  canvas.name = null
  canvas.made = undefined
  assert.deepEqual([canvas.name, canvas.made], [null, null])
})

test('a date that its owner changes later changes nothing', () => {
  const made = new Date(1000)
  const canvas = new Canvas({ made })
  made.setTime(0)
  assert.equal(canvas.made.getTime(), 1000)
})

test('dates go over the wire to the millisecond', async () => {
  const { world, scope, canvases: [ann, bo] } = await canvasWorld(2)
  ann.made = new Date(1_400_000_000_123)
  await world.run(100)
  assert.equal(scope.objects.get(ann.uuid)?.values.made, 1_400_000_000.123)
  assert.equal(bo.made.getTime(), 1_400_000_000_123)
})

test('a property may not have a name that every object has', () => {
  assert.throws(() => model('Odd', { on: String }), { message: '"on" of "Odd" is taken: every object has it already' })
})

test('a property without a type is a mistake', () => {
  assert.throws(() => model('Odd', /** @type {any} */ ({ x: 'Number' })), /"x" of "Odd" has no type/)
})

test('an enumeration names its values', () => {
  const Status = enumeration('Status', { Open: 0, Closed: 1 })
  assert.deepEqual([Status.Open, Status.Closed, Flavour.sweet], [0, 1, 'sweet'])
})

test('a submodel has the properties of its model first, and goes where that goes', async () => {
  const Base = model('Shape', { x: Number })
  const Circle = model('Circle', { radius: Number }, { extends: Base })
  const Board = model('Board', { shapes: [Base] })
  const board = new Board()
  board.shapes.push(new Circle({ x: 1, radius: 2 }))
  assert.deepEqual(Object.keys(/** @type {any} */ (board.shapes[0].toJSON())), ['uuid', 'x', 'radius'])
  assert.throws(() => model('Other', { circles: [Circle] }) && new (model('O', { c: Circle }))({ c: /** @type {any} */ (new Base()) }),
    /takes a "Circle", not a "Shape"/)
})

test('objects are made of the class that extends a model', async () => {
  const { world, sessions: [session] } = await canvasWorld(1)
  class Drawn extends model('Shape', { x: Number }) {
    get double () {
      return this.x * 2
    }
  }
  const Board = model('Canvas', { shapes: [Drawn] })
  const fetched = session.fetch('Canvas', Board)
  await world.run(100)
  const board = await fetched
  board.shapes.push(new Drawn({ x: 4 }))
  const again = session.fetch('Canvas', Board)
  await world.run(100)
  const [shape] = (await again).shapes
  assert.ok(shape instanceof Drawn)
  assert.equal(shape.double, 8)
})

test('what the server knows and we do not is passed over', async () => {
  const { world, canvases: [ann], sessions: [, session] } = await canvasWorld(2)
  ann.groups.push(new Group({ label: 'unknown there' }))
  ann.shapes.push(new Shape({ x: 1 }))
  await world.run(100)
  const Small = model('Canvas', { shapes: [model('Shape', { x: Number })] })
  const fetched = session.fetch('Canvas', Small)
  await world.run(100)
  const small = await fetched
  ann.groups[0].label = 'changed'
  ann.groups.push(new Group())
  small.shapes[0].x = 2
  await world.run(100)
  assert.equal(ann.shapes[0].x, 2)
  assert.equal(session.status, 'online')
})

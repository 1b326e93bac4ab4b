/**
 * @file What TypeScript says: `npm run check` fails if a type does not follow from the models. Nothing of
 * it is run.
 */

import { connect, enumeration, model, self } from '../jetstream.js'
import { useCollection, useModel } from '../react.js'

/**
 * @template A, B
 * @typedef {(<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false} Same
 */

/** @param {true} _same */
const expect = _same => {}

const Flavour = enumeration('Flavour', ['sweet', 'sour'])
const Status = enumeration('Status', { Open: 0, Closed: 1 })
const Shape = model('Shape', {
  x: Number,
  width: { type: Number, default: 100 },
  label: { type: String, optional: true },
  selected: { type: Boolean, local: true },
  made: Date,
  flavour: Flavour,
  status: { type: Status, default: Status.Open }
})
const Circle = model('Circle', { radius: Number }, { extends: Shape })
const Group = model('Group', { shapes: [Shape], inner: [self], outer: self, lead: Shape, names: { type: [String] } })
const Canvas = model('Canvas', { name: String, shapes: [Shape], groups: [Group], later: () => Shape })

class Square extends model('Square', { side: Number }) {
  get area () {
    return this.side ** 2
  }
}
const Board = model('Board', { squares: [Square] })

export async function types () {
  const session = await connect('ws://localhost')
  await connect('ws://localhost', { credential: () => 'token' })
  await connect('ws://localhost', { credential: async () => null })
  // @ts-expect-error a token is a text
  await connect('ws://localhost', { credential: () => 7 })
  /** @type {void} */
  await session.renew()
  const canvas = await session.fetch('Canvas', Canvas)
  const [shape] = canvas.shapes
  const [group] = canvas.groups

  expect(/** @type {Same<typeof shape.x, number>} */ (true))
  expect(/** @type {Same<typeof shape.width, number>} */ (true))
  expect(/** @type {Same<typeof shape.label, string | null>} */ (true))
  expect(/** @type {Same<typeof shape.selected, boolean>} */ (true))
  expect(/** @type {Same<typeof shape.made, Date>} */ (true))
  expect(/** @type {Same<typeof shape.flavour, 'sweet' | 'sour'>} */ (true))
  expect(/** @type {Same<typeof shape.status, 0 | 1>} */ (true))
  expect(/** @type {Same<typeof group.names, string[]>} */ (true))
  /** @type {number | undefined} */
  const led = group.lead?.x
  /** @type {number | undefined} */
  const later = canvas.later?.x
  /** @type {string} */
  const name = group.inner[0].inner[0].names[0]
  /** @type {number | undefined} */
  const outer = group.outer?.outer?.shapes[0].x
  // @ts-expect-error a reference may be unset
  group.lead.x = 1
  // @ts-expect-error a number
  shape.x = 'left'
  // @ts-expect-error no such value
  shape.flavour = 'bitter'
  // @ts-expect-error no such property
  shape.heigth = 1

  canvas.shapes.push(new Shape({ x: 10 }))
  // @ts-expect-error not a shape
  canvas.shapes.push(new Group())
  // @ts-expect-error no such property
  new Shape({ heigth: 1 })

  const circle = new Circle({ x: 1, radius: 2 })
  canvas.shapes.push(circle)
  /** @type {[number, number]} */
  const both = [circle.x, circle.radius]

  /** @type {number} */
  const area = (await session.fetch('Board', Board)).squares[0].area

  canvas.on('add:shapes', shape => shape.on('change:x', x => x.toFixed()))
  canvas.on('remove:groups', group => group.names.length)
  shape.on('change:x change:width', () => {})

  const change = canvas.transaction(() => { canvas.name = 'New' })
  /** @type {void} */
  const accepted = await change.accepted

  expect(/** @type {Same<ReturnType<typeof useModel<typeof canvas>>, typeof canvas>} */ (true))
  /** @type {number} */
  const first = useCollection(canvas, 'shapes')[0].x
  return [led, later, name, outer, both, area, accepted, first]
}

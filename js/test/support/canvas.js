import { enumeration, model, self } from '../../jetstream.js'
import { NaiveScope } from './scope.js'
import { World } from './world.js'

export const Shape = model('Shape', {
  x: Number,
  y: Number,
  width: { type: Number, default: 100 },
  height: Number,
  color: Number,
  selected: { type: Boolean, local: true, default: false }
})

export const Group = model('Group', { label: String, shapes: [Shape], groups: [self], lead: Shape })

export const Flavour = enumeration('Flavour', ['sweet', 'sour'])

export const Canvas = model('Canvas', {
  name: String,
  shapes: [Shape],
  groups: [Group],
  tags: [String],
  background: Shape,
  made: Date,
  flavour: Flavour
})

export const ROOT = 'ca000000-0000-4000-8000-000000000001'

/** @type {import('./scope.js').Schema} */
export const SCHEMA = {
  Shape: { x: 'Number', y: 'Number', width: 'Number', height: 'Number', color: 'Number' },
  Group: { label: 'String', shapes: '[Shape]', groups: '[Group]', lead: 'Shape' },
  Canvas: {
    name: 'String',
    shapes: '[Shape]',
    groups: '[Group]',
    tags: '[String]',
    background: 'Shape',
    made: 'Date',
    flavour: 'String'
  }
}

export const newScope = (uuid = ROOT) => new NaiveScope(SCHEMA, uuid, 'Canvas', { name: 'Demo' })

/**
 * A world with one canvas and some clients that have fetched it.
 *
 * @param {number} count
 * @param {{ seed?: number, latency?: [number, number], options?: import('../../jetstream.js').Options }} [setting]
 */
export async function canvasWorld (count, { seed, latency, options } = {}) {
  const world = new World(seed, { latency })
  const scope = newScope()
  world.server.scopes.set('Canvas', scope)
  const sessions = []
  const canvases = []
  for (let i = 0; i < count; i++) {
    const session = await world.connect(options)
    sessions.push(session)
    canvases.push(await fetchCanvas(world, session))
  }
  return { world, scope, sessions, canvases }
}

/**
 * @param {World} world
 * @param {import('../../jetstream.js').Session} session
 */
export async function fetchCanvas (world, session) {
  const fetched = session.fetch('Canvas', Canvas)
  fetched.catch(() => {})
  await world.run(1000)
  return fetched
}

/**
 * A client's objects in the form of the naive scope's, to be compared.
 *
 * @param {import('../../jetstream.js').ModelObject} root
 */
export function treeOf (root) {
  /** @type {Map<string, any>} */
  const found = new Map()
  const waiting = [root]
  for (const object of waiting) {
    if (found.has(object.uuid)) continue
    const { uuid, selected, made, ...values } = /** @type {any} */ (object.toJSON())
    found.set(uuid, 'made' in object ? { ...values, made: made && made.getTime() / 1000 } : values)
    for (const value of Object.values(object)) void value
    for (const name of ['shapes', 'groups', 'background', 'lead']) {
      const value = /** @type {any} */ (object)[name]
      if (value) waiting.push(...[].concat(value))
    }
  }
  return Object.fromEntries([...found].sort(([a], [b]) => a < b ? -1 : 1))
}

/** @param {NaiveScope} scope */
export function storedTree (scope) {
  const entries = [...scope.objects].map(([uuid, { values }]) => [uuid, values])
  return Object.fromEntries(entries.sort(([a], [b]) => a < b ? -1 : 1))
}

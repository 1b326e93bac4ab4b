import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nodeOf } from '../jetstream/model/object.js'
import { Group, Shape, canvasWorld, storedTree, treeOf } from './support/canvas.js'

/**
 * What a client does, as data: `pick` and `place` are taken modulo what there is.
 *
 * @typedef {{ who: number, what: string, pick: number, place: number, value: number }} Act
 */

const ACTS = [
  'add', 'add', 'set', 'set', 'splice', 'remove', 'move', 'sort', 'group', 'lead', 'background', 'tags',
  'twice', 'transaction', 'nest', 'undo', 'redo', 'wait', 'wait', 'long', 'cut', 'unreachable', 'reachable',
  'freeze', 'forget', 'pause', 'resume'
]

const act = fc.record({
  who: fc.nat(2),
  what: fc.constantFrom(...ACTS),
  pick: fc.nat(20),
  place: fc.nat(20),
  value: fc.integer({ min: -5, max: 5 })
})

/**
 * @param {any} canvas
 * @returns {any[]} all lists of shapes
 */
const listsOf = canvas => [canvas, ...groupsOf(canvas)].map(owner => owner.shapes)

/** @param {any} canvas */
function groupsOf (canvas) {
  const seen = new Set(canvas.groups)
  for (const group of seen) for (const inner of /** @type {any} */ (group).groups) seen.add(inner)
  return /** @type {any[]} */ ([...seen])
}

/**
 * @param {any[]} list
 * @param {number} n
 */
const at = (list, n) => list[n % list.length]

/**
 * @param {any} canvas
 * @param {Act} act
 * @returns {void}
 */
function perform (canvas, act) {
  const { what, pick, place, value } = act
  const lists = listsOf(canvas)
  const list = at(lists, pick)
  const other = at(lists, place)
  const shape = at(list, place)
  const groups = groupsOf(canvas)
  switch (what) {
    case 'add': return void list.splice(place % (list.length + 1), 0, new Shape({ x: value }))
    case 'set': return void (shape && (shape.x = value))
    case 'splice': return void list.splice(place % (list.length + 1), pick % 3)
    case 'remove': return shape?.remove()
    case 'move':
      if (!shape) return
      list.splice(list.indexOf(shape), 1)
      if (!other.includes(shape)) other.splice(pick % (other.length + 1), 0, shape)
      return
    case 'sort': return void list.sort((/** @type {any} */ a, /** @type {any} */ b) => (a.x ?? 0) - (b.x ?? 0))
    case 'group': return void canvas.groups.push(new Group({ label: `g${value}`, shapes: [new Shape({ x: value })] }))
    case 'nest': {
      const [inner, outer] = [at(groups, pick), at(groups, place)]
      if (inner && outer && !outer.groups.includes(inner)) outer.groups.push(inner)
      if (value > 0 && canvas.groups.includes(inner)) canvas.groups.splice(canvas.groups.indexOf(inner), 1)
      return
    }
    case 'lead': return void (groups.length > 0 && (at(groups, pick).lead = shape ?? null))
    case 'background': return void (canvas.background = shape ?? null)
    case 'tags': return void (canvas.tags = [...canvas.tags.slice(place % 3), `t${value}`])
    case 'transaction': return void canvas.transaction(() => {
      perform(canvas, { ...act, what: 'add' })
      perform(canvas, { ...act, what: 'move' })
      perform(canvas, { ...act, what: 'set' })
    })
    case 'twice': return void (shape && pick === 0 && list.push(shape))
    case 'undo': return void canvas.scope.undo()
    case 'redo': return void canvas.scope.redo()
    case 'pause': return canvas.scope.pause()
    case 'resume': return canvas.scope.resume()
  }
}

/**
 * Taking all pending edits off and putting them back changes nothing that anybody would see.
 *
 * @param {any} canvas
 */
function layersFit (canvas) {
  const { replica } = /** @type {import('../jetstream/model/graph.js').Graph} */ (nodeOf(canvas).graph)
  const before = treeOf(canvas)
  /** @type {unknown[]} */
  const seen = []
  const off = canvas.on('treechange', (/** @type {unknown[]} */ changes) => seen.push(...changes))
  if (!replica.paused) replica.receive([{ type: 'ScopeSync', index: 0, scopeIndex: 0, fragments: [] }])
  off()
  assert.deepEqual(treeOf(canvas), before)
  assert.deepEqual(seen, [])
}

/**
 * @param {number} seed
 * @param {Act[]} acts
 */
async function converge (seed, acts) {
  const { world, scope, sessions, canvases } = await canvasWorld(3, { seed, latency: [1, 120] })
  scope.refuse = ({ properties }) => properties?.x === 5 ? 'five is too much' : null
  for (const act of acts) {
    if (act.what === 'wait') await world.run(act.value * 20 + 110)
    else if (act.what === 'long') await world.run(2000)
    else if (act.what === 'cut') world.cut()
    else if (act.what === 'forget') world.server.forgetSessions()
    else if (act.what === 'freeze') [...world.links][act.who]?.freeze()
    else if (act.what === 'unreachable') world.unreachable = true
    else if (act.what === 'reachable') world.unreachable = false
    else perform(canvases[act.who], act)
    layersFit(canvases[act.who])
  }
  world.unreachable = false
  for (const canvas of canvases) canvas.scope?.resume()
  await world.run(120_000)
  assert.deepEqual(sessions.map(session => session.pendingCount), [0, 0, 0])
  for (const canvas of canvases) assert.deepEqual(treeOf(canvas), storedTree(scope))
  assert.deepEqual(world.server.complaints, [])
  const doubled = acts.some(({ what }) => what === 'twice')
  const { shapes } = storedTree(scope)[scope.rootUUID]
  if (!doubled) assert.equal(new Set(shapes).size, shapes.length)
}

test('whatever clients do, and however bad the network is, all end as the server', async () => {
  await fc.assert(fc.asyncProperty(fc.integer(), fc.array(act, { maxLength: 60, size: 'max' }), converge),
    { numRuns: Number(process.env.RUNS ?? 150) })
})

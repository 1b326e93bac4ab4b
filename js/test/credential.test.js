import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canvasWorld, fetchCanvas, newScope } from './support/canvas.js'
import { World } from './support/world.js'

/** A world, and a credential that is another one each time: `c1`, `c2` and so on. */
function numbered () {
  const world = new World()
  world.server.scopes.set('Canvas', newScope())
  const given = { count: 0, fails: false }
  const credential = async () => {
    given.count++
    if (given.fails) throw new Error('sign in')
    return `c${given.count}`
  }
  return { world, given, credential }
}

test('each connection shows what is good at the moment, and no URL has it', async () => {
  const { world, credential } = numbered()
  /** @type {string[]} */
  const urls = []
  const { connect } = world.server
  world.server.connect = function (url, ...others) {
    urls.push(url)
    return connect.call(this, url, ...others)
  }
  const session = await world.connect({ credential })
  world.cut()
  await world.run(1000)
  assert.equal(session.status, 'online')
  assert.deepEqual(world.server.shown, ['c1', 'c2'])
  assert.ok(urls.every(url => !/c[12]$/.test(url)), String(urls))
})

test('a credential may hold anything', async () => {
  const { world } = numbered()
  const strange = 'a/b+c= (d), "e"é'
  await world.connect({ credential: () => strange })
  assert.deepEqual(world.server.shown, [strange])
})

test('who has nothing to show connects without', async () => {
  const { world } = numbered()
  await world.connect({ credential: () => null })
  assert.deepEqual(world.server.shown, [null])
})

test('a session that is about to expire is renewed over its connection', async () => {
  const { world, given, credential } = numbered()
  const session = await world.connect({ credential })
  /** @type {number[]} */
  const warnings = []
  session.on('expiring', seconds => warnings.push(seconds))
  const canvas = await fetchCanvas(world, session)
  world.server.warn(60)
  await world.run(120_000)
  assert.deepEqual(world.server.shown, ['c1', 'c2'])
  assert.deepEqual([warnings, given.count, world.links.size], [[60], 2, 1])
  canvas.name = 'still here'
  await world.run(100)
  assert.deepEqual([session.pendingCount, world.server.complaints], [0, []])
})

test('a renewal that fails is tried again, more and more often, until it is too late', async () => {
  const { world, given, credential } = numbered()
  await world.connect({ credential })
  given.fails = true
  world.server.warn(60)
  await world.run(1000)
  assert.equal(given.count, 2)
  await world.run(15_000)
  assert.equal(given.count, 3)
  given.fails = false
  world.server.refused = ['c4', 'c5']
  await world.run(30_000)
  assert.deepEqual(world.server.shown, ['c1', 'c4', 'c5', 'c6'])
  await world.run(600_000)
  assert.equal(given.count, 6)
  given.fails = true
  world.server.warn(60)
  await world.run(600_000)
  assert.ok(given.count > 12 && given.count < 30, String(given.count))
})

test('a page can show its user anew', async () => {
  const { world, given, credential } = numbered()
  const session = await world.connect({ credential })
  const both = Promise.all([session.renew(), session.renew()])
  await world.run(100)
  await both
  assert.deepEqual(world.server.shown, ['c1', 'c2'])
  world.server.refused = ['c3']
  const refused = assert.rejects(session.renew(), { name: 'Denied', type: 'unauthorized', message: 'not c3' })
  await world.run(100)
  await refused
  given.fails = true
  await assert.rejects(session.renew(), /sign in/)
  given.fails = false
  // Without a connection the next one shows it.
  session.disconnect()
  await session.renew()
  session.reconnect()
  await world.run(100)
  assert.deepEqual(world.server.shown, ['c1', 'c2', 'c3', 'c5'])
  session.dispose()
  await assert.rejects(session.renew(), /closed/)
})

test('who connects without a credential has none to renew, and is told what is coming', async () => {
  const { world, sessions: [session] } = await canvasWorld(1)
  /** @type {number[]} */
  const warnings = []
  session.on('expiring', seconds => warnings.push(seconds))
  world.server.warn(60)
  await world.run(100_000)
  assert.deepEqual(warnings, [60])
  await assert.rejects(session.renew(), TypeError)
})

test('a credential that cannot be had fails at first, and is waited for later', async () => {
  const { world, given, credential } = numbered()
  given.fails = true
  await assert.rejects(world.connect({ credential }), /sign in/)
  assert.equal(given.count, 1)
  given.fails = false
  const session = await world.connect({ credential })
  given.fails = true
  world.cut()
  await world.run(10_000)
  assert.equal(session.status, 'waiting')
  given.fails = false
  await world.run(30_000)
  assert.equal(session.status, 'online')
})

test('a credential that comes when nobody wants to connect any more is not shown', async () => {
  const { world } = numbered()
  /** @type {((credential: string) => void)[]} */
  const give = []
  const credential = () => new Promise(resolve => { give.push(resolve) })
  const connecting = world.connect({ credential })
  await world.run(10)
  // It takes too long; there is another attempt.
  await world.run(11_000)
  assert.equal(give.length, 2)
  give[0]('late')
  give[1]('good')
  const session = await connecting
  assert.deepEqual(world.server.shown, ['good'])
  world.cut()
  await world.run(1000)
  session.dispose()
  give[2]('unwanted')
  await world.run(1000)
  assert.deepEqual(world.server.shown, ['good'])
})

test('a renewal that the connection was lost with is answered on the next one', async () => {
  const { world, credential } = numbered()
  const session = await world.connect({ credential })
  const renewed = session.renew()
  await world.run(2)
  world.cut()
  await world.run(5000)
  await renewed
  assert.deepEqual(world.server.shown, ['c1', 'c3', 'c2'])
  assert.deepEqual(world.server.complaints, [])
})

test('a server that cannot tell who it is at the moment is asked again', async () => {
  const { world, credential } = numbered()
  world.server.undecided = true
  const connecting = world.connect({ credential })
  await world.run(3000)
  assert.ok(world.server.shown.length > 1)
  world.server.undecided = false
  assert.equal((await connecting).status, 'online')
})

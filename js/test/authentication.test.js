/** @file Against the real server that JETSTREAM_BIN names, which looks at tokens. */

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import WebSocket from 'ws'
import { connect, model } from '../jetstream.js'
import { realSite } from './support/site.js'

const Canvas = model('Canvas', { name: String })
const SECRET = 'a secret of the test'

/** @param {string | object} part */
const encoded = part => Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')

/**
 * A token of somebody that is good for so long.
 *
 * @param {string} sub
 * @param {number} seconds
 */
function tokenOf (sub, seconds) {
  const payload = { sub, exp: Math.floor(Date.now() / 1000) + seconds }
  const said = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded(payload)}`
  return `${said}.${createHmac('sha256', SECRET).update(said).digest('base64url')}`
}

const program = process.env.JETSTREAM_BIN

test('a session outlives its tokens, and nobody else has it', { skip: !program }, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'jetstream-'))
  const keys = join(folder, 'jwks.json')
  await writeFile(keys, JSON.stringify({ keys: [{ kty: 'oct', k: encoded(SECRET) }] }))
  const settings = [`authentication.jwt.keys=${keys}`, 'authentication.jwt.skew_seconds=0']
  const site = await realSite(String(program), settings.flatMap(setting => ['--set', setting]))
  t.after(async () => {
    await site.stop()
    await rm(folder, { recursive: true })
  })
  const url = site.origin.replace('http', 'ws')
  /** @type {URL[]} */
  const urls = []
  class Socket extends WebSocket {
    /**
     * @param {string} url
     * @param {string[]} [protocols]
     */
    constructor (url, protocols) {
      super(url, protocols)
      urls.push(new URL(url))
      sockets.push(this)
    }
  }
  /** @type {Socket[]} */
  const sockets = []

  await assert.rejects(connect(url, { WebSocket: Socket }), { name: 'Denied', type: 'unauthorized' })
  const expired = { WebSocket: Socket, credential: () => tokenOf('ann', -10) }
  await assert.rejects(connect(url, expired), { name: 'Denied', message: 'the token has expired' })

  sockets.length = urls.length = 0
  let given = 0
  const credential = () => { given++; return tokenOf('ann', 4) }
  const session = await connect(url, { WebSocket: Socket, credential })
  assert.equal(sockets[0].protocol, 'jetstream')
  const canvas = await session.fetch('Canvas', Canvas)
  const renewed = new Promise(resolve => session.on('expiring', () => given > 2 && resolve(null)))
  await renewed
  canvas.name = 'still here'
  await session.synced()
  assert.equal(sockets.length, 1, 'over one connection')
  assert.ok(!urls[0].search.includes('ey'), 'the token is in no url')

  // Her session's token, copied from where it is kept, with a token of one's own.
  sockets[0].terminate()
  await new Promise(resolve => {
    const off = session.on('status', status => status === 'online' && resolve(off()))
  })
  const copied = String(urls[1].searchParams.get('x-jetstream-sessiontoken'))
  assert.equal(copied.length, 43)
  for (const protocols of [[], ['jetstream', `jetstream.authorization.${tokenOf('bo', 100)}`]]) {
    const thief = new WebSocket(`${url}?x-jetstream-sessiontoken=${copied}`, protocols)
    const [code, reason] = await new Promise(resolve => thief.on('close', (...closing) => resolve(closing)))
    assert.deepEqual([code, JSON.parse(reason).type], [4096, 'unauthorized'])
  }
  canvas.name = 'and nobody noticed'
  await session.synced()
  assert.deepEqual([session.status, sockets.length], ['online', 2])
  session.dispose()
})

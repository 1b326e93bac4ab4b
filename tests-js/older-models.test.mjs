// The original's client with models that are older than the server's: it stays connected, is told what it knows,
// and converges on that.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join as path } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadOriginal } from './original.mjs'
import { CANVAS } from './server.mjs'

const WebSocket = createRequire(import.meta.url)('ws')

/** While the server is away, connecting again fails, which is nobody's mistake here. */
class Patient extends WebSocket {
  constructor (...words) {
    super(...words)
    this.on('error', () => {})
  }
}

const { Jetstream, Shape, Canvas } = loadOriginal(Patient)
const built = fileURLToPath(new URL('../target/debug/jetstream', import.meta.url))

const OLDER = CANVAS.replace('Shapes Demo', 'drawing')

const NEWER = OLDER
  .replace('color = "Number"', 'color = "Number"\nlabel = { type = "String", default = "none" }')
  .replace('shapes = "[Shape]"', 'shapes = "[Shape]"\nnotes = "[Note]"') +
  '\n[models.Note.properties]\ntext = "String"\n'

/** Serves a configuration over the store in a folder. */
async function serve (folder, config, address) {
  await writeFile(path(folder, 'jetstream.toml'), config)
  const program = process.env.JETSTREAM_BIN ?? built
  const server = spawn(program, ['serve', '--listen', address], { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] })
  const lines = createInterface({ input: server.stdout })
  const [line] = await once(lines, 'line')
  return {
    address: line.match(/127\.0\.0\.1:\d+/)[0],
    async stop () {
      const exit = once(server, 'exit')
      server.kill()
      await exit
    }
  }
}

async function until (what, isSo) {
  const deadline = Date.now() + 10_000
  while (!isSo()) {
    assert.ok(Date.now() < deadline, `in vain: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** A client that has fetched the canvas; its session, when it has one. */
async function join (context, address) {
  const transport = Jetstream.transport.WebSocket({ url: `ws://${address}` })
  const client = Jetstream({ transport })
  context.after(() => client.disconnect())
  const session = await new Promise((resolve, reject) => {
    client.once('session', resolve)
    client.once('sessionDenied', () => reject(new Error('the session was denied')))
    client.connect()
  })
  const canvas = new Canvas()
  const scope = Jetstream.scope({ name: 'Canvas' })
  canvas.setScopeAndMakeRootModel(scope)
  await new Promise((resolve, reject) => {
    session.fetch(scope, error => error ? reject(new Error(JSON.stringify(error))) : resolve())
  })
  await until('the canvas has come', () => canvas.get('name') === 'drawing')
  return { client, session, canvas, transport }
}

/** A client of the protocol that knows the newer models: what it needs to write something that is new. */
async function newcomer (context, address) {
  const socket = new WebSocket(`ws://${address}`)
  context.after(() => socket.close())
  await once(socket, 'open')
  const waiting = []
  socket.on('message', text => waiting.push(...[JSON.parse(text)].flat()))
  const next = async isIt => {
    await until('a message for the newcomer', () => waiting.some(isIt))
    return waiting.find(isIt)
  }
  let index = 0
  const send = message => socket.send(JSON.stringify(message))
  send({ type: 'SessionCreate', index: 0, params: {}, version: '1.0.0' })
  await next(message => message.type === 'SessionCreateReply')
  send({ type: 'ScopeFetch', index: ++index, name: 'Canvas', params: {} })
  const state = await next(message => message.type === 'ScopeState')
  return {
    state,
    async write (fragments) {
      const own = ++index
      send({ type: 'ScopeSync', index: own, scopeIndex: 0, fragments })
      const reply = await next(message => message.replyTo === own)
      assert.ok(reply.fragmentReplies.every(reply => !reply.error), JSON.stringify(reply))
    }
  }
}

test('a client with older models stays connected and converges on what it knows', async context => {
  const folder = await mkdtemp(path(tmpdir(), 'older-models-'))
  context.after(() => rm(folder, { recursive: true }))
  let server = await serve(folder, OLDER, '127.0.0.1:0')
  const before = await join(context, server.address)
  const shape = new Shape()
  shape.set('x', 1)
  before.canvas.get('shapes').push(shape)
  const other = await join(context, server.address)
  await until('the shape has come', () => other.canvas.get('shapes').length === 1)
  before.client.disconnect()
  other.client.disconnect()
  await server.stop()

  server = await serve(folder, `${NEWER}\n[storage]\noriginal_models = 1\n`, server.address)
  context.after(() => server.stop())
  // A page that is loaded with the program that it always was.
  const old = await join(context, server.address)
  await until('the shape is there', () => old.canvas.get('shapes').length === 1)
  const [mine] = old.canvas.get('shapes').filter(() => true)
  assert.equal(mine.get('x'), 1)

  const writer = await newcomer(context, server.address)
  const uuid = shape.uuid
  const root = writer.state.rootUUID
  const second = '5a000000-0000-4000-8000-000000000002'
  const note = '5b000000-0000-4000-8000-000000000001'
  await writer.write([{ type: 'change', uuid, clsName: 'Shape', properties: { label: 'l', x: 2 } }])
  await writer.write([
    { type: 'add', uuid: second, clsName: 'Shape', properties: { x: 5, label: 'second' } },
    { type: 'change', uuid: root, clsName: 'Canvas', properties: { shapes: [uuid, second] } }
  ])
  await writer.write([
    { type: 'add', uuid: note, clsName: 'Note', properties: { text: 'unknown to others' } },
    { type: 'change', uuid: root, clsName: 'Canvas', properties: { notes: [note], name: 'renamed' } }
  ])
  await until('what it knows has come', () => old.canvas.get('name') === 'renamed')
  const shapes = () => old.canvas.get('shapes').map(shape => [shape.uuid, shape.get('x')])
  await until('both shapes have come', () => shapes().length === 2)
  assert.deepEqual(shapes(), [[uuid, 2], [second, 5]])

  // What it changes reaches everybody, and takes nothing away that it does not know.
  mine.set('x', 3)
  let fragments
  do {
    fragments = (await newcomer(context, server.address)).state.fragments
  } while (fragments.find(fragment => fragment.uuid === uuid).properties.x !== 3)
  assert.equal(fragments.find(fragment => fragment.uuid === uuid).properties.label, 'l')
  assert.equal(fragments.find(fragment => fragment.uuid === note).properties.text, 'unknown to others')
})

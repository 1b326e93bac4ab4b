// What the original's browser example does, with the original's client, against `jetstream serve` as it
// comes: no file, no settings but the port.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

// What the client finds in a browser.
globalThis.WebSocket = require('ws')
globalThis.window = { DEBUG: false }
const Jetstream = require('jetstream/client')

const built = fileURLToPath(new URL('../target/debug/jetstream', import.meta.url))

// The example's colours are an enumeration that only the client knows: to the server they are numbers.
const Colours = Jetstream.enumeration('ShapeColors', Number, { '#1dd2af': 500346879, '#2e8ece': 781110015 })
const Shape = Jetstream.model({
  name: 'Shape',
  definition: function () {
    this.has('x', Number)
    this.has('y', Number)
    this.has('width', Number, { defaultValue: 100 })
    this.has('height', Number, { defaultValue: 100 })
    this.has('color', Colours, { defaultValue: Colours['#1dd2af'] })
  }
})
const Canvas = Jetstream.model('Canvas', function () {
  this.has('name', String)
  this.has('shapes', [Shape])
})

let server, url
before(async () => {
  server = spawn(process.env.JETSTREAM_BIN ?? built, ['--listen', '127.0.0.1:0'], { env: { ...process.env, JETSTREAM_STORAGE__MEMORY: 'true' }, stdio: ['ignore', 'pipe', 'ignore'] })
  for await (const line of createInterface({ input: server.stdout })) {
    url = line.match(/ws:\/\/\S+/)[0]
    break
  }
})
after(async () => {
  const exit = once(server, 'exit')
  server.kill()
  await exit
})

/** A page of the example: it connects, fetches the canvas and follows the shapes. */
async function open (context) {
  const client = Jetstream({ transport: Jetstream.transport.WebSocket({ url }) })
  context.after(() => client.disconnect())
  const canvas = new Canvas()
  const scope = Jetstream.scope({ name: 'Canvas' })
  canvas.setScopeAndMakeRootModel(scope)
  const session = await new Promise(resolve => {
    client.once('session', resolve)
    client.connect()
  })
  await new Promise((resolve, reject) => {
    session.fetch(scope, error => error ? reject(new Error(JSON.stringify(error))) : resolve())
  })
  await until('the canvas has come', () => canvas.get('name') === 'Shapes Demo')
  return canvas
}

async function until (what, isSo) {
  const deadline = Date.now() + 5000
  while (!isSo()) {
    assert.ok(Date.now() < deadline, `in vain: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

test('the example adds, drags and removes a shape, and another page follows', async context => {
  const [mine, theirs] = [await open(context), await open(context)]
  const seen = () => theirs.get('shapes')

  const shape = new Shape()
  shape.set({ color: Colours['#2e8ece'], x: 10, y: 20, width: 100, height: 100 })
  mine.get('shapes').push(shape)
  await until('the other page has the shape', () => seen().length === 1)
  assert.equal(seen().at(0).get('color'), Colours['#2e8ece'])

  for (let step = 1; step <= 20; step++) {
    shape.set({ x: 10 + step, y: 20 + step })
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  await until('the other page has it where it was dropped', () => seen().at(0).get('x') === 30 && seen().at(0).get('y') === 40)

  let gone = false
  seen().at(0).on('scopeDetached', () => { gone = true })
  shape.detach()
  await until('the other page has let go of it', () => seen().length === 0 && gone)
})

test('a shape that the other page did not make can be removed there', async context => {
  const [mine, theirs] = [await open(context), await open(context)]
  mine.get('shapes').push(new Shape())
  await until('the other page has the shape', () => theirs.get('shapes').length === 1)
  theirs.get('shapes').at(0).detach()
  await until('it is gone here, too', () => mine.get('shapes').length === 0)
})

/** @file A web site with the client, the demos and a server behind them: the model server, or the real one. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { WebSocketServer } from 'ws'
import { NaiveScope } from './scope.js'
import { ModelServer } from './server.js'

/**
 * @typedef {object} Site
 * @property {string} origin `http://host:port`
 * @property {ModelServer} [server] if it is the model server
 * @property {() => Promise<void>} crash ends it without a warning, and starts it again in the same place
 * @property {() => Promise<void>} stop
 */

const TYPES = { js: 'text/javascript', html: 'text/html' }

/** What is behind a path. */
const FOLDERS = [['/jetstream', '../../jetstream'], ['/test/', '../browser/'], ['/', '../../../demos/']]

const SCHEMA = {
  Cursor: { name: 'String', x: 'Number', y: 'Number', color: 'Number' },
  Presence: { cursors: '[Cursor]' },
  Shape: { x: 'Number', y: 'Number', width: 'Number', height: 'Number', color: 'Number' },
  Canvas: { name: 'String', shapes: '[Shape]' },
  User: { username: 'String', color: 'Number', lastActive: 'Date' },
  Message: { author: 'User', postedAt: 'Date', text: 'String' },
  ChatRoomAttributes: { status: 'Number', topic: 'String', tintColor: 'Number', locale: 'String' },
  ChatRoom: { name: 'String', attributes: 'ChatRoomAttributes', users: '[User]', messages: '[Message]' }
}

/**
 * The model server, behind a site that also has the pages under `test/browser`.
 *
 * @returns {Promise<Site & { server: ModelServer }>}
 */
export async function modelSite () {
  const server = new ModelServer()
  server.sessionModels = ['Cursor']
  server.scopes.set('Canvas', new NaiveScope(SCHEMA, 'ca000000-0000-4000-8000-000000000001', 'Canvas', { name: 'Shapes Demo' }))
  server.scopes.set('ChatRoom', new NaiveScope(SCHEMA, 'cb000000-0000-4000-8000-000000000001', 'ChatRoom', { name: 'Chat Demo' }))
  server.scopes.set('presence/Canvas', new NaiveScope(SCHEMA, 'cc000000-0000-4000-8000-000000000001', 'Presence'))
  const http = createServer(async ({ url = '/' }, response) => {
    const path = url.split('?')[0].replace(/\/$/, '/index.html')
    const [prefix, folder] = FOLDERS.find(([prefix]) => path.startsWith(prefix)) ?? FOLDERS[0]
    try {
      const file = new URL(path.replace(prefix, folder), import.meta.url)
      const type = /** @type {keyof typeof TYPES} */ (path.split('.').at(-1))
      response.writeHead(200, { 'content-type': TYPES[type] }).end(await readFile(file))
    } catch {
      response.writeHead(404).end()
    }
  })
  const sockets = new WebSocketServer({ server: http })
  sockets.on('connection', (socket, { url }) => {
    const end = server.connect(`ws://site${url}`, {
      send: text => socket.send(text),
      close: (code, reason) => socket.close(code, reason)
    })
    socket.on('message', text => end.frame(String(text)))
    socket.on('close', () => end.closed())
  })
  const pings = setInterval(() => server.ping(), 10_000)
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (http.address())
  return {
    origin: `http://127.0.0.1:${port}`,
    server,
    crash: async () => {
      server.sessions.clear()
      for (const socket of sockets.clients) socket.terminate()
    },
    stop: async () => {
      clearInterval(pings)
      for (const socket of sockets.clients) socket.terminate()
      http.close()
      http.closeAllConnections()
    }
  }
}

/**
 * The real server, with a folder of its own for what it stores.
 *
 * @param {string} program
 * @param {string[]} [settings]
 * @returns {Promise<Site>}
 */
export async function realSite (program, settings = []) {
  const folder = await mkdtemp(join(tmpdir(), 'jetstream-'))
  let { server, origin } = await start(program, folder, '127.0.0.1:0', settings)
  const end = async (/** @type {NodeJS.Signals} */ signal) => {
    const exited = once(server, 'exit')
    server.kill(signal)
    await exited
  }
  return {
    origin,
    crash: async () => {
      await end('SIGKILL')
      server = (await start(program, folder, new URL(origin).host, settings)).server
    },
    stop: async () => {
      await end('SIGTERM')
      await rm(folder, { recursive: true })
    }
  }
}

/**
 * @param {string} program
 * @param {string} folder
 * @param {string} address
 * @param {string[]} settings
 */
async function start (program, folder, address, settings) {
  // What begins with JETSTREAM_ would be taken for its configuration.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('JETSTREAM_')))
  const server = spawn(program, ['serve', '--listen', address, '--set', 'storage.memory=true', ...settings], { cwd: folder, env, stdio: ['ignore', 'pipe', 'ignore'] })
  for await (const line of createInterface({ input: server.stdout })) {
    const [, host] = /listening on wss?:\/\/(\S+)/.exec(line) ?? []
    if (!host) continue
    server.stdout.resume()
    return { server, origin: `http://${host}` }
  }
  throw new Error(`${program} ended before it listened`)
}

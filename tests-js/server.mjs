// Starts the servers under test: processes of their own, on a port that the system picks.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const models = fileURLToPath(new URL('../crates/jetstream/tests/conformance/models.json', import.meta.url))
const built = fileURLToPath(new URL('../target/debug/examples/conformance', import.meta.url))

/**
 * Serves the models and scopes of the conformance scenarios.
 *
 * `CONFORMANCE_SERVER` names another command to start; it gets the same arguments.
 *
 * @returns {Promise<{url: string, stop: () => Promise<void>}>}
 */
export async function startServer () {
  const [program, ...words] = (process.env.CONFORMANCE_SERVER ?? built).split(' ')
  const server = spawn(program, [...words, '--port', '0', models], { stdio: ['ignore', 'pipe', 'inherit'] })
  const failed = once(server, 'error').then(([error]) => { throw error })
  const ended = once(server, 'exit').then(([code]) => { throw new Error(`the server ended with ${code}`) })
  const port = await Promise.race([readPort(server.stdout), failed, ended])
  ended.catch(() => {})
  failed.catch(() => {})
  return {
    url: `ws://127.0.0.1:${port}`,
    async stop () {
      const exit = once(server, 'exit')
      server.kill()
      await exit
    }
  }
}

/** The environment without what the command would take for settings. */
function withoutSettings () {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('JETSTREAM_')))
}

/** The models of the shapes demo, and a scope of them. */
export const CANVAS = `
[models.Shape.properties]
x = "Number"
y = "Number"
width = { type = "Number", default = 100 }
height = { type = "Number", default = 100 }
color = "Number"

[models.Canvas.properties]
name = "String"
shapes = "[Shape]"

[scopes.Canvas]
root = "Canvas"
initial = { name = "Shapes Demo" }
`

/** The command with its store in a folder of its own, which can be killed and started again on the same port. */
export async function startStored () {
  const folder = await mkdtemp(join(tmpdir(), 'jetstream-killed-'))
  await writeFile(join(folder, 'jetstream.toml'), CANVAS)
  const program = process.env.JETSTREAM_BIN ?? fileURLToPath(new URL('../target/debug/jetstream', import.meta.url))
  let child
  let port = 0
  const server = {
    url: '',
    async start () {
      const log = openSync(join(folder, 'log'), 'a')
      const options = { cwd: folder, stdio: ['ignore', 'pipe', log], env: withoutSettings() }
      child = spawn(program, ['serve', '--listen', `127.0.0.1:${port}`], options)
      port = await readPort(child.stdout)
      server.url = `ws://127.0.0.1:${port}`
    },
    /** Kills it without a word. */
    async kill () {
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
    async stop () {
      await server.kill()
      await rm(folder, { recursive: true })
    }
  }
  await server.start()
  return server
}

/** The last number in the first line that has one. */
async function readPort (output) {
  for await (const line of createInterface({ input: output })) {
    const numbers = line.match(/\d+/g)
    if (numbers) {
      output.resume()
      return numbers.at(-1)
    }
  }
  throw new Error('the server printed no port')
}

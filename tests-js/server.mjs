// Starts the server under test: a process of its own, on a port that the system picks.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
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

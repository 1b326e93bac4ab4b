// An HTTP server on a port of its own.

import { once } from 'node:events'
import { createServer } from 'node:http'

export async function listen () {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (!address || typeof address === 'string') throw new Error('the server has no port')
  return { server, port: address.port }
}

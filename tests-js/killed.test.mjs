// A server with a store that is killed again and again while clients edit, the original's and ours: everybody
// goes on with the session that it had, ends with what the server has, and nothing that was accepted is lost.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { converge, edit, editOurs, fill, join, joinOurs, nothingIsLost, pause } from './canvas.mjs'
import { DelayedWebSocket, random } from './delayed-link.mjs'
import { startStored } from './server.mjs'

// More of them: `KILLER_ROUNDS=200 KILLER_SEED=7 npm test`.
const rounds = Number(process.env.KILLER_ROUNDS ?? 20)
const seed = Number(process.env.KILLER_SEED ?? Math.floor(Math.random() * 1_000_000))

let server
before(async () => { server = await startStored() })
after(() => server.stop())

test(`three clients and one of ours go on over ${rounds} kills, seed ${seed}`, async context => {
  const draw = random(seed)
  const removed = new Set()
  await fill(context, server)
  DelayedWebSocket.acceptedAdds.clear()
  DelayedWebSocket.sessionsBegun = 0
  const links = [1, 2, 3].map(client => seed * 10 + client)
  const delay = link => ({ from: 0, to: 10, seed: link, ping: 300 })
  const canvases = await Promise.all(links.map(link => join(context, server, delay(link))))
  const ourOwn = [await joinOurs(context, server, delay(seed * 10 + 4))]
  let isOver = false
  const work = async (canvas, edit) => {
    while (!isOver) {
      // Few objects: the longer a collection, the more of the time goes into the original's arrays.
      edit(canvas, draw, { adds: DelayedWebSocket.acceptedAdds.size < 400, removed })
      await pause(15 + draw(60))
    }
  }
  const kill = async () => {
    for (let round = 0; round < rounds; round++) {
      await pause(100 + draw(300))
      await server.kill()
      await pause(draw(50))
      await server.start()
    }
    // Whoever waits before it connects again still comes back.
    await pause(500)
    isOver = true
  }
  await Promise.all([
    kill(),
    ...canvases.map(canvas => work(canvas, edit)),
    ...ourOwn.map(canvas => work(canvas, editOurs))
  ])
  assert.equal(DelayedWebSocket.sessionsBegun, 4, 'sessions outlive the server')
  const shapes = await converge(context, server, { seed, canvases, ourOwn, patience: 30_000 })
  nothingIsLost({ seed, shapes, removed })
  const accepted = DelayedWebSocket.acceptedAdds.size
  assert.ok(accepted > 0, 'nothing was added: the test tests nothing')
  context.diagnostic(`${rounds} kills, ${accepted} accepted objects, ${removed.size} removed`)
})

// The original's JavaScript client, unmodified and several at a time, over links that delay: whatever they
// do at the same time, every client ends with what the server has, and nothing that was added is lost.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { converge, edit, editOurs, fill, join, joinOurs, nothingIsLost, pause } from './canvas.mjs'
import { DelayedWebSocket, random } from './delayed-link.mjs'
import { startServer } from './server.mjs'

let server
before(async () => { server = await startServer() })
after(() => server.stop())

/** Lets clients edit at the same time, then compares everybody with somebody who comes anew. */
async function play (context, { seed, clients, adds, from, to, edits, mixed = false, cuts = 0 }) {
  const draw = random(seed)
  const removed = new Set()
  DelayedWebSocket.acceptedAdds.clear()
  await fill(context, server)
  const links = Array.from({ length: clients }, (_, client) => seed * 10 + client)
  const canvases = await Promise.all(links.map(link => join(context, server, { from, to, seed: link, ping: 300 })))
  const ourLinks = mixed ? [seed + 1000] : []
  const ourOwn = await Promise.all(ourLinks.map(link => joinOurs(context, server, { from, to, seed: link })))
  const work = async (canvas, edit) => {
    for (let done = 0; done < edits; done++) {
      edit(canvas, draw, { adds, removed })
      await pause(15 + draw(60))
    }
  }
  const cut = async link => {
    for (let done = 0; done < cuts; done++) {
      await pause(draw(Math.floor(edits * 45 / cuts)))
      DelayedWebSocket.cut(link)
    }
  }
  await Promise.all([
    ...canvases.map(canvas => work(canvas, edit)),
    ...ourOwn.map(canvas => work(canvas, editOurs)),
    ...[...links, ...ourLinks].map(cut)
  ])
  const shapes = await converge(context, server, { seed, canvases, ourOwn, patience: 10_000 })
  nothingIsLost({ seed, shapes, removed })
  return DelayedWebSocket.acceptedAdds.size
}

// More of them: `SEEDS=100 npm test`.
for (let seed = 1; seed <= Number(process.env.SEEDS ?? 3); seed++) {
  test(`four clients change the same shapes, seed ${seed}`, async context => {
    await play(context, { seed, clients: 4, adds: false, from: 10, to: 70, edits: 40 })
  })

  test(`four clients add, remove and change shapes, seed ${seed}`, async context => {
    const added = await play(context, { seed, clients: 4, adds: true, from: 10, to: 70, edits: 40 })
    assert.ok(added > 0, 'nothing was added: the test tests nothing')
  })
}

test('three clients and one of ours, in the same scope', async context => {
  await play(context, { seed: 7, clients: 3, adds: true, from: 10, to: 70, edits: 40, mixed: true })
})

test('three clients with 200 ms each way', async context => {
  await play(context, { seed: 9, clients: 3, adds: true, from: 180, to: 220, edits: 40 })
})

for (const [from, to] of [[10, 70], [200, 200]]) {
  for (let seed = 1; seed <= Number(process.env.SEEDS ?? 1); seed++) {
    test(`three clients and one of ours whose connections are cut, ${from} to ${to} ms, seed ${seed}`, async context => {
      await play(context, { seed, clients: 3, adds: true, from, to, edits: 60, mixed: true, cuts: 3 })
    })
  }
}

import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import 'global-jsdom/register'
import { act, cleanup, render } from '@testing-library/react'
import { createElement } from 'react'
import { useCollection, useModel, useSession } from '../react.js'
import { Shape, canvasWorld } from './support/canvas.js'

afterEach(cleanup)

/**
 * A component that shows what `look` returns, and counts how often it is drawn.
 *
 * @param {() => unknown} look
 */
function show (look) {
  const drawn = { times: 0 }
  const Show = () => {
    drawn.times++
    return createElement('p', null, String(look()))
  }
  const { container, unmount } = render(createElement(Show))
  return { drawn, text: () => container.textContent, unmount }
}

test('useModel draws an object anew when one of its properties changes, here or elsewhere', async () => {
  const { world, canvases: [ann, bo] } = await canvasWorld(2)
  const view = show(() => useModel(ann).name)
  assert.equal(view.text(), 'Demo')
  act(() => { ann.name = 'Here' })
  assert.equal(view.text(), 'Here')
  await act(async () => {
    bo.name = 'There'
    await world.run(100)
  })
  assert.equal(view.text(), 'There')
})

test('useModel leaves a component alone when something else changes', async () => {
  const { canvases: [ann] } = await canvasWorld(1)
  const shape = new Shape({ x: 1 })
  ann.shapes.push(shape)
  const view = show(() => useModel(ann).name)
  act(() => { shape.x = 2 })
  assert.equal(view.drawn.times, 1)
})

test('a deep useModel follows what is below', async () => {
  const { canvases: [ann] } = await canvasWorld(1)
  ann.shapes.push(new Shape({ x: 1 }))
  const view = show(() => useModel(ann, { deep: true }).shapes.map(({ x }) => x).join())
  act(() => { ann.shapes[0].x = 2 })
  assert.equal(view.text(), '2')
})

test('useCollection gives another array when the collection changes, and the same one otherwise', async () => {
  const { canvases: [ann] } = await canvasWorld(1)
  /** @type {readonly unknown[][]} */
  const seen = []
  const view = show(() => {
    const shapes = useCollection(ann, 'shapes')
    Object(seen).push(shapes)
    return shapes.length
  })
  act(() => { ann.shapes.push(new Shape()) })
  assert.equal(view.text(), '1')
  act(() => { ann.name = 'Other' })
  assert.equal(new Set(seen).size, 2)
})

test('useSession tells the status and how much is pending', async () => {
  const { world, sessions: [session], canvases: [ann] } = await canvasWorld(1)
  const view = show(() => Object.values(useSession(session)).join(' '))
  assert.equal(view.text(), 'online 0')
  act(() => session.disconnect())
  act(() => { ann.name = 'Offline' })
  assert.equal(view.text(), 'offline 1')
  await act(async () => {
    session.reconnect()
    await world.run(1000)
  })
  assert.equal(view.text(), 'online 0')
})

test('a component that is gone listens no more', async () => {
  const { canvases: [ann] } = await canvasWorld(1)
  const view = show(() => useModel(ann).name)
  view.unmount()
  act(() => { ann.name = 'Later' })
  assert.equal(view.drawn.times, 1)
})

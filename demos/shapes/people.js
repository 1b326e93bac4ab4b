// Who else is on the board, and where they point. On the server a Cursor is a model that lives as long as
// the session that added it, so nobody has to tidy up after those who leave.

import { model } from '/jetstream.js'

const Cursor = model('Cursor', { name: String, x: Number, y: Number, color: Number })
export const Presence = model('Presence', { cursors: [Cursor] })

const NAMES = ['Otter', 'Heron', 'Lynx', 'Finch', 'Badger', 'Moth', 'Hare', 'Newt']
const ARROW = '<path d="M0 0v20l5.5-5 3.5 8 4-1.7-3.5-7.8h7z" stroke="#fff" stroke-width="1.5"/><text x="18" y="28"></text>'

const element = id => document.getElementById(id)
const anyOf = list => list[Math.floor(Math.random() * list.length)]

/** Shows everybody's cursor on the board, and ours to the others. */
export function meet (presence, { colors, pointOf }) {
  const drawings = new Map()
  const me = new Cursor({ name: localStorage.getItem('name') ?? anyOf(NAMES), color: colors.indexOf(anyOf(colors)) })

  const join = () => presence.cursors.push(me)
  presence.cursors.forEach(draw)
  presence.on('add:cursors', draw)
  presence.on('remove:cursors', erase)
  presence.on('treechange', showNames)
  // The server lets a cursor go with its session, and after a restart it knows of none.
  me.on('detached', join)
  join()
  showNames()

  element('who').value = me.name
  element('who').onchange = () => {
    me.name = element('who').value
    localStorage.setItem('name', me.name)
  }
  element('board').addEventListener('pointermove', event => {
    const { x, y } = pointOf(event)
    Object.assign(me, { x: Math.round(x), y: Math.round(y) })
  })
  element('board').addEventListener('pointerleave', () => Object.assign(me, { x: null, y: null }))

  function draw (cursor) {
    if (cursor === me) return
    const drawing = document.createElementNS('http://www.w3.org/2000/svg', 'g')
    drawing.classList.add('cursor')
    drawing.innerHTML = ARROW
    drawings.set(cursor, drawing)
    element('cursors').append(drawing)
    cursor.on('change', () => paint(cursor))
    paint(cursor)
  }

  function paint (cursor) {
    const drawing = drawings.get(cursor)
    drawing.style.display = cursor.x === null ? 'none' : ''
    drawing.style.transform = `translate(${cursor.x ?? 0}px, ${cursor.y ?? 0}px)`
    drawing.firstChild.setAttribute('fill', colors[cursor.color] ?? colors[0])
    drawing.lastChild.textContent = cursor.name
  }

  function erase (cursor) {
    drawings.get(cursor)?.remove()
    drawings.delete(cursor)
    cursor.off('change')
  }

  function showNames () {
    const others = presence.cursors.filter(cursor => cursor !== me).map(({ name }) => name)
    const text = others.length > 0 ? `Also here: ${others.join(', ')}` : 'Nobody else is here.'
    if (element('people').textContent !== text) element('people').textContent = text
  }
}

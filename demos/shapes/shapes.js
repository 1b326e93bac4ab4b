import { connect, model } from '/jetstream.js'

// The models: typed properties that are the same for everybody. `selected` is only for this page.
const Shape = model('Shape', {
  x: { type: Number, default: 0 },
  y: { type: Number, default: 0 },
  width: { type: Number, default: 100 },
  height: { type: Number, default: 100 },
  color: { type: Number, default: 0 },
  selected: { type: Boolean, default: false, local: true }
})
const Canvas = model('Canvas', { name: String, shapes: [Shape] })
// On the server cursors are models that live as long as the session that added them.
const Cursor = model('Cursor', { name: String, x: Number, y: Number, color: Number })
const Presence = model('Presence', { cursors: [Cursor] })

const COLORS = [['Indigo', '#6366f1'], ['Teal', '#0d9488'], ['Amber', '#d97706'], ['Rose', '#e11d48'], ['Sky', '#0284c7']]
const WORDS = { connecting: 'Connecting…', online: 'Live', waiting: 'Connection lost, trying again…', offline: 'Offline', closed: 'Closed' }
const BOARD = { width: 800, height: 600 }

const element = id => document.getElementById(id)
const board = element('board')
/** The drawing of each shape and of each cursor. */
const drawings = new Map()

const url = `${location.origin.replace('http', 'ws')}/`
const session = await connect(url, { batch: 'frame', onStatus: status => { element('status').textContent = WORDS[status] } })
// `?board=team` is a board of its own.
const named = new URLSearchParams(location.search).get('board')
const canvas = await session.fetch(named ? `boards/${named}` : 'Canvas', Canvas)
const presence = await session.fetch(`presence/${named ?? 'Canvas'}`, Presence)

// -- What the board shows

canvas.shapes.forEach(draw)
canvas.on('add:shapes', draw)
canvas.on('remove:shapes', erase)
canvas.on('change:shapes', arrange)
canvas.on('change:name', showName)
showName()

function draw (shape) {
  const drawing = document.createElementNS('http://www.w3.org/2000/svg', 'rect')
  drawing.setAttribute('rx', 18)
  drawing.setAttribute('tabindex', 0)
  drawing.setAttribute('role', 'button')
  drawing.addEventListener('focus', () => select(shape))
  drawing.addEventListener('keydown', event => steer(event, shape))
  drawing.addEventListener('pointerdown', event => drag(event, shape))
  drawings.set(shape, drawing)
  shape.on('change', () => paint(shape))
  paint(shape)
  arrange()
}

function paint (shape) {
  const { x, y, width, height, selected } = shape
  const [name, color] = COLORS[colorOf(shape)]
  const attributes = { x: x ?? 0, y: y ?? 0, width: width ?? 100, height: height ?? 100, fill: color }
  const drawing = drawings.get(shape)
  for (const [attribute, value] of Object.entries(attributes)) drawing.setAttribute(attribute, value)
  drawing.setAttribute('aria-label', `${name} shape at ${Math.round(x)}, ${Math.round(y)}`)
  drawing.setAttribute('aria-pressed', selected)
  drawing.classList.toggle('selected', selected)
}

function erase (shape) {
  drawings.get(shape)?.remove()
  drawings.delete(shape)
  shape.off('change')
  shape.selected = false
  showTools()
}

/** The order of the collection is the order from back to front. */
function arrange () {
  const order = canvas.shapes.map(shape => drawings.get(shape)).filter(Boolean)
  const layer = element('shapes')
  if (order.some((drawing, place) => layer.children[place] !== drawing)) layer.append(...order)
}

function showName () {
  element('name').textContent = canvas.name ?? 'Shapes'
}

// -- What one can do with shapes

const selected = () => canvas.shapes.find(shape => shape.selected)
const colorOf = ({ color }) => Math.abs(Math.trunc(color ?? 0)) % COLORS.length
const within = (value, most) => Math.min(Math.max(value, 0), most)

function select (shape) {
  for (const other of canvas.shapes) other.selected = other === shape
  showTools()
}

function move (shape, x, y) {
  shape.x = Math.round(within(x, BOARD.width - shape.width))
  shape.y = Math.round(within(y, BOARD.height - shape.height))
}

function drag (event, shape) {
  const drawing = drawings.get(shape)
  const from = pointOf(event)
  const [dx, dy] = [shape.x - from.x, shape.y - from.y]
  select(shape)
  drawing.focus()
  drawing.setPointerCapture(event.pointerId)
  drawing.onpointermove = event => {
    const { x, y } = pointOf(event)
    move(shape, x + dx, y + dy)
  }
  drawing.onpointerup = drawing.onpointercancel = () => { drawing.onpointermove = null }
}

/** Where an event is on the board, in the board's units. */
function pointOf ({ clientX, clientY }) {
  return new DOMPoint(clientX, clientY).matrixTransform(board.getScreenCTM().inverse())
}

function steer (event, shape) {
  const step = event.shiftKey ? 50 : 10
  const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }
  const way = ways[event.key]
  if (way) move(shape, shape.x + way[0], shape.y + way[1])
  else if (event.key === 'Delete' || event.key === 'Backspace') shape.remove()
  else return
  event.preventDefault()
}

function add () {
  const [x, y] = [Math.random() * 700, Math.random() * 500].map(Math.round)
  const shape = new Shape({ x, y, color: Math.floor(Math.random() * COLORS.length) })
  canvas.shapes.push(shape)
  select(shape)
}

// -- Who else is here

const NAMES = ['Otter', 'Heron', 'Lynx', 'Finch', 'Badger', 'Moth', 'Hare', 'Newt']
const any = list => Math.floor(Math.random() * list.length)
const me = new Cursor({ name: localStorage.getItem('name') ?? NAMES[any(NAMES)], color: any(COLORS) })

presence.cursors.forEach(point)
presence.on('add:cursors', point)
presence.on('remove:cursors', cursor => drawings.get(cursor)?.remove())
presence.on('treechange', showPeople)
presence.cursors.push(me)
// The server may have given our session up while we were away.
me.on('detached', () => presence.cursors.push(me))
element('who').value = me.name
element('who').onchange = () => {
  me.name = element('who').value
  localStorage.setItem('name', me.name)
}
board.addEventListener('pointermove', event => {
  const { x, y } = pointOf(event)
  Object.assign(me, { x: Math.round(x), y: Math.round(y) })
})
board.addEventListener('pointerleave', () => Object.assign(me, { x: null, y: null }))
// Not to be shown to others until the session has expired.
addEventListener('pagehide', () => session.dispose())
addEventListener('pageshow', ({ persisted }) => persisted && location.reload())

function point (cursor) {
  if (cursor === me) return
  const drawing = document.createElementNS('http://www.w3.org/2000/svg', 'g')
  drawing.classList.add('cursor')
  drawing.innerHTML = '<path d="M0 0v20l5.5-5 3.5 8 4-1.7-3.5-7.8h7z" stroke="#fff" stroke-width="1.5"/><text x="18" y="28"></text>'
  drawings.set(cursor, drawing)
  element('cursors').append(drawing)
  const show = () => {
    drawing.style.display = cursor.x === null ? 'none' : ''
    drawing.style.transform = `translate(${cursor.x ?? 0}px, ${cursor.y ?? 0}px)`
    drawing.firstChild.setAttribute('fill', COLORS[colorOf(cursor)][1])
    drawing.lastChild.textContent = cursor.name
  }
  cursor.on('change', show)
  show()
}

function showPeople () {
  const others = presence.cursors.filter(cursor => cursor !== me).map(({ name }) => name)
  const people = others.length > 0 ? `Also here: ${others.join(', ')}` : 'Nobody else is here.'
  if (element('people').textContent !== people) element('people').textContent = people
}

// -- The tools

for (const [color, [name, value]] of COLORS.entries()) {
  const swatch = document.createElement('button')
  swatch.className = 'swatch'
  swatch.title = name
  swatch.style.setProperty('--color', value)
  swatch.setAttribute('aria-label', name)
  swatch.onclick = () => { selected().color = color }
  element('colors').append(swatch)
}
element('add').onclick = add
element('delete').onclick = () => selected().remove()
element('undo').onclick = () => canvas.scope.undo()
element('redo').onclick = () => canvas.scope.redo()
element('cut').onclick = () => session.status === 'offline' ? session.reconnect() : session.disconnect()
document.addEventListener('keydown', event => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return
  event.preventDefault()
  if (event.shiftKey) canvas.scope.redo()
  else canvas.scope.undo()
})

session.on('status pending', showStatus)
session.on('refused', ({ fragments }, scope) => {
  const changes = fragments.length === 1 ? 'a change' : `${fragments.length} changes`
  element('notice').textContent = `The server refused ${changes} to ${scope.name}.`
})
canvas.on('treechange', showTools)
showStatus()
showTools()
showPeople()

function showStatus () {
  const { status } = session
  const waits = canvas.scope.pendingCount > 0 && status !== 'online'
  element('status').className = `status ${status}`
  element('status').textContent = WORDS[status] + (waits ? ': your changes wait' : '')
  element('cut').textContent = status === 'offline' ? 'Go online' : 'Go offline'
  element('cut').setAttribute('aria-pressed', status === 'offline')
}

function showTools () {
  const { canUndo, canRedo } = canvas.scope
  element('add').disabled = element('cut').disabled = false
  element('colors').disabled = element('delete').disabled = !selected()
  element('undo').disabled = !canUndo
  element('redo').disabled = !canRedo
}

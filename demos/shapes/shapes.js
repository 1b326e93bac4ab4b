import { connect, model } from '/jetstream.js'
import { meet, Presence } from './people.js'

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

const COLORS = [['Indigo', '#6366f1'], ['Teal', '#0d9488'], ['Amber', '#d97706'], ['Rose', '#e11d48'], ['Sky', '#0284c7']]
const WORDS = { connecting: 'Connecting…', online: 'Live', waiting: 'Connection lost, trying again…', offline: 'Offline', closed: 'Closed' }
const BOARD = { width: 800, height: 600 }

const element = id => document.getElementById(id)
const within = (value, most) => Math.min(Math.max(value, 0), most)
const colorOf = ({ color }) => COLORS[color % COLORS.length] ?? COLORS[0]
/** Where a shape is. Any client may have left something out. */
const boxOf = ({ x, y, width, height }) => ({ x: x ?? 0, y: y ?? 0, width: width ?? 100, height: height ?? 100 })

/** The drawing of each shape. */
const drawings = new Map()

// `?board=team` is a board of its own.
const named = new URLSearchParams(location.search).get('board')
const session = await connect(`${location.origin.replace('http', 'ws')}/`, { batch: 'frame', onStatus: status => { element('status').textContent = WORDS[status] } })
const canvas = await session.fetch(named ? `boards/${named}` : 'Canvas', Canvas)

canvas.shapes.forEach(draw)
canvas.on('add:shapes', draw)
canvas.on('remove:shapes', erase)
canvas.on('change:shapes', arrange)
canvas.on('change:name', showName)
canvas.on('treechange', showTools)
session.on('status pending', showStatus)
session.on('refused', ({ fragments }) => {
  element('notice').textContent = `The server refused ${fragments.length === 1 ? 'a change' : `${fragments.length} changes`}.`
})
prepareTools()
showName()
showStatus()
showTools()

meet(await session.fetch(`presence/${named ?? 'Canvas'}`, Presence), { colors: COLORS.map(([, value]) => value), pointOf })
// Not to be shown to others until the session has expired.
addEventListener('pagehide', () => session.dispose())
addEventListener('pageshow', ({ persisted }) => persisted && location.reload())

// -- What the board shows

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
  const box = boxOf(shape)
  const [name, fill] = colorOf(shape)
  const drawing = drawings.get(shape)
  for (const [attribute, value] of Object.entries({ ...box, fill })) drawing.setAttribute(attribute, value)
  drawing.setAttribute('aria-label', `${name} shape at ${Math.round(box.x)}, ${Math.round(box.y)}`)
  drawing.setAttribute('aria-pressed', shape.selected)
  drawing.classList.toggle('selected', shape.selected)
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

function showStatus () {
  const { status } = session
  const waits = canvas.scope.pendingCount > 0 && status !== 'online'
  element('status').className = `status ${status}`
  element('status').textContent = WORDS[status] + (waits ? ': your changes wait' : '')
  element('cut').textContent = status === 'offline' ? 'Go online' : 'Go offline'
  element('cut').setAttribute('aria-pressed', status === 'offline')
}

function showTools () {
  element('add').disabled = element('cut').disabled = false
  element('colors').disabled = element('delete').disabled = !selected()
  element('undo').disabled = !canvas.scope.canUndo
  element('redo').disabled = !canvas.scope.canRedo
}

// -- What one can do

function selected () {
  return canvas.shapes.find(shape => shape.selected)
}

function select (shape) {
  for (const other of canvas.shapes) other.selected = other === shape
  showTools()
}

function add () {
  const [x, y] = [Math.random() * 700, Math.random() * 500].map(Math.round)
  const shape = new Shape({ x, y, color: Math.floor(Math.random() * COLORS.length) })
  canvas.shapes.push(shape)
  select(shape)
}

function move (shape, x, y) {
  const { width, height } = boxOf(shape)
  shape.x = Math.round(within(x, BOARD.width - width))
  shape.y = Math.round(within(y, BOARD.height - height))
}

function drag (event, shape) {
  const drawing = drawings.get(shape)
  const [from, box] = [pointOf(event), boxOf(shape)]
  select(shape)
  drawing.focus()
  drawing.setPointerCapture(event.pointerId)
  drawing.onpointermove = event => {
    const { x, y } = pointOf(event)
    move(shape, box.x + x - from.x, box.y + y - from.y)
  }
  drawing.onpointerup = drawing.onpointercancel = () => { drawing.onpointermove = null }
}

/** Where an event is on the board, in the board's units. */
function pointOf ({ clientX, clientY }) {
  return new DOMPoint(clientX, clientY).matrixTransform(element('board').getScreenCTM().inverse())
}

function steer (event, shape) {
  const step = event.shiftKey ? 50 : 10
  const { x, y } = boxOf(shape)
  const ways = {
    ArrowLeft: () => move(shape, x - step, y),
    ArrowRight: () => move(shape, x + step, y),
    ArrowUp: () => move(shape, x, y - step),
    ArrowDown: () => move(shape, x, y + step),
    Delete: () => shape.remove(),
    Backspace: () => shape.remove()
  }
  if (!ways[event.key]) return
  event.preventDefault()
  ways[event.key]()
}

function prepareTools () {
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
}

import { connect, enumeration, model } from '/jetstream.js'

// The models: typed properties that are the same for everybody.
const ChatRoomStatus = enumeration('ChatRoomStatus', { Open: 0, Closed: 1 })
const User = model('User', { username: String, color: Number, lastActive: Date })
const Message = model('Message', { author: User, postedAt: Date, text: String })
const ChatRoomAttributes = model('ChatRoomAttributes', {
  status: { type: ChatRoomStatus, default: ChatRoomStatus.Open },
  topic: { type: String, default: '' },
  tintColor: Number,
  locale: String
})
const ChatRoom = model('ChatRoom', { name: String, attributes: ChatRoomAttributes, users: [User], messages: [Message] })

const COLORS = ['#6366f1', '#0d9488', '#d97706', '#e11d48', '#0284c7', '#9333ea']
const WORDS = { connecting: 'Connecting…', online: 'Live', waiting: 'Connection lost, trying again…', offline: 'Offline', closed: 'Closed' }

const element = id => document.getElementById(id)
/** The line of each message. */
const lines = new Map()

const url = `${location.origin.replace('http', 'ws')}/`
const session = await connect(url, { onStatus: status => { element('status').textContent = WORDS[status] } })
const room = await session.fetch('ChatRoom', ChatRoom)

/** Who we are; remembered by this browser tab, found again among the room's users. */
let me = room.users.find(({ uuid }) => uuid === sessionStorage.getItem('me')) ?? null

// -- What the room shows

room.messages.forEach(write)
room.on('add:messages', write)
room.on('remove:messages', message => {
  lines.get(message)?.remove()
  lines.delete(message)
})
room.on('change:messages', arrange)
room.on('treechange', showRoom)
session.on('status pending', showStatus)
element('messages').scrollTop = element('messages').scrollHeight
showRoom()
showStatus()

function write (message) {
  const line = document.createElement('li')
  const [author, time] = [document.createElement('b'), document.createElement('time')]
  const text = document.createElement('span')
  line.append(author, text)
  lines.set(message, line)
  const show = () => {
    const name = document.createTextNode(message.author?.username ?? 'Somebody')
    author.replaceChildren(name, time)
    author.style.setProperty('--color', COLORS[Math.abs(message.author?.color ?? 0) % COLORS.length])
    time.textContent = message.postedAt?.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) ?? ''
    time.dateTime = message.postedAt?.toISOString() ?? ''
    text.textContent = message.text
    line.classList.toggle('mine', message.author !== null && message.author === me)
  }
  message.on('treechange', show)
  show()
  arrange()
}

/** Puts the lines in the order of the collection, and follows the latest if the reader does. */
function arrange () {
  const list = element('messages')
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 80
  const order = room.messages.map(message => lines.get(message)).filter(Boolean)
  if (order.some((line, place) => list.children[place] !== line)) list.append(...order)
  if (follows) list.scrollTop = list.scrollHeight
}

function showRoom () {
  const open = room.attributes?.status !== ChatRoomStatus.Closed
  element('name').textContent = room.name ?? 'Chat'
  const names = room.users.map(({ username }) => username)
  element('people').textContent = names.length > 0 ? `Joined: ${names.join(', ')}` : 'Nobody has joined yet.'
  if (document.activeElement !== element('topic')) element('topic').value = room.attributes?.topic ?? ''
  element('door').textContent = open ? 'Close the room' : 'Open the room'
  element('join').hidden = me !== null
  element('say').hidden = me === null
  element('text').placeholder = open ? 'Write to everybody' : 'The room is closed'
  element('text').disabled = element('send').disabled = !open
  element('undo').disabled = !room.scope.canUndo
  for (const id of ['topic', 'door', 'enter', 'cut']) element(id).disabled = false
}

function showStatus () {
  const { status, pendingCount } = session
  const waits = pendingCount > 0 && status !== 'online'
  element('status').className = `status ${status}`
  element('status').textContent = WORDS[status] + (waits ? ': your changes wait' : '')
  element('cut').textContent = status === 'offline' ? 'Go online' : 'Go offline'
  element('cut').setAttribute('aria-pressed', status === 'offline')
}

// -- What one can do in it

element('join').onsubmit = event => {
  event.preventDefault()
  const username = element('username').value.trim()
  if (!username) return
  me = new User({ username, color: Math.floor(Math.random() * COLORS.length), lastActive: new Date() })
  sessionStorage.setItem('me', me.uuid)
  room.users.push(me)
  showRoom()
  element('text').focus()
}

element('say').onsubmit = event => {
  event.preventDefault()
  const text = element('text').value.trim()
  if (!text) return
  const message = new Message({ author: me, postedAt: new Date(), text })
  const change = room.transaction(() => {
    room.messages.push(message)
    me.lastActive = message.postedAt
  })
  element('text').value = ''
  const line = lines.get(message)
  line.classList.add('waiting')
  change.accepted.then(() => line.classList.remove('waiting'), ({ message }) => {
    element('people').textContent = `The server refused your message: ${message}`
    element('text').value = text
  })
}

element('topicForm').onsubmit = event => {
  event.preventDefault()
  element('topic').blur()
}
element('topic').onchange = () => { attributes().topic = element('topic').value.trim() }
element('door').onclick = () => {
  const { Open, Closed } = ChatRoomStatus
  attributes().status = attributes().status === Closed ? Open : Closed
}
element('undo').onclick = () => room.scope.undo()
element('cut').onclick = () => session.status === 'offline' ? session.reconnect() : session.disconnect()

/** A room begins without any. */
function attributes () {
  room.attributes ??= new ChatRoomAttributes()
  return room.attributes
}

// What goes on in the server: its scopes with their objects, its sessions with their latest messages.
// The server answers questions below `api/`; those for something new it answers when there is something.

const element = id => document.getElementById(id)
const MESSAGES_MAX = 300
const ROWS_MAX = 2000

/** What was chosen, and what came of it. */
const chosen = { scope: null, session: null }
let state = null
let messages = []

// -- Asking

class Forbidden extends Error {}

/** What the server says to a question; null: there is no such thing, any more. */
async function ask (question, parameters = {}, signal) {
  const token = sessionStorage.getItem('token')
  const headers = token ? { authorization: `Bearer ${token}` } : {}
  const answer = await fetch(`api/${question}?${new URLSearchParams(parameters)}`, { headers, signal })
  if (answer.status === 403) throw new Forbidden()
  return answer.ok ? answer.json() : null
}

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds))

/** Does something again and again until it is aborted, also over a server that is away for a while. */
async function repeat (task, milliseconds, signal) {
  while (!signal?.aborted) {
    try {
      await task(signal)
      showStatus('online', 'Live')
    } catch (error) {
      if (signal?.aborted) return
      if (error instanceof Forbidden) return askForToken()
      showStatus('closed', 'Not reachable, trying again…')
      await pause(1000)
    }
    await pause(milliseconds)
  }
}

function showStatus (name, text) {
  element('status').className = `status ${name}`
  if (element('status').textContent !== text) element('status').textContent = text
}

function askForToken () {
  showStatus('closed', 'Locked')
  element('wrong').textContent = sessionStorage.getItem('token') ? 'This is not the token.' : ''
  element('ask').hidden = false
  element('main').hidden = true
  element('token').focus()
}

element('ask').onsubmit = event => {
  event.preventDefault()
  sessionStorage.setItem('token', element('token').value)
  location.reload()
}

// -- Scopes and sessions

repeat(async () => {
  const { scopes, sessions } = await ask('server')
  element('main').hidden = false
  showChoices('scopes', scopes.map(({ name, members, revision }) =>
    [name, name, `${count(members, 'member')}, revision ${revision}`]), chosen.scope, chooseScope)
  sessions.sort((one, other) => other.connected - one.connected)
  showChoices('sessions', sessions.map(({ id, version, connected, scopes }) =>
    [id, `Session ${id}`, `${connected ? 'connected' : 'away'}, ${version}: ${scopes.join(', ') || 'no scopes'}`]), chosen.session, chooseSession)
  if (!chosen.scope && scopes.length > 0) chooseScope(scopes[0].name)
}, 1000)

const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`

/** A list of buttons; one that is there already stays the same element, so that it keeps the focus. */
function showChoices (list, choices, present, choose) {
  const before = new Map([...element(list).children].map(item => [item.dataset.key, item]))
  const items = choices.map(([key, title, note]) => {
    const item = before.get(key) ?? newChoice(key, title, choose)
    item.firstChild.lastChild.textContent = note
    item.firstChild.setAttribute('aria-pressed', key === present)
    return item
  })
  arrange(element(list), items)
}

function newChoice (key, title, choose) {
  const item = document.createElement('li')
  const button = document.createElement('button')
  button.append(title, document.createElement('small'))
  button.onclick = () => choose(key)
  item.dataset.key = key
  item.append(button)
  return item
}

/** Gives an element these children in this order, and moves none that is in its place. */
function arrange (parent, children) {
  const wanted = new Set(children)
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove()
  children.forEach((child, place) => {
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null)
  })
}

function press (list, key) {
  for (const item of element(list).children) item.firstChild.setAttribute('aria-pressed', item.dataset.key === key)
}

// -- The tree of a scope

const rows = new Map()
/** The rows that were opened or closed by hand. */
const toggled = new Map()
let asking = { scope: null, session: null }

function chooseScope (name) {
  asking.scope?.abort()
  asking.scope = new AbortController()
  chosen.scope = name
  state = null
  rows.clear()
  toggled.clear()
  press('scopes', name)
  repeat(async signal => {
    const news = await ask('scope', { name, after: state?.revision ?? 0 }, signal)
    if (!news) element('treeNote').textContent = `${name} is closed.`
    if (!news || news.revision === state?.revision) return
    state = { ...news, byId: new Map(news.objects.map(object => [object.uuid, object])) }
    showTree()
  }, 100, asking.scope.signal)
}

function showTree () {
  if (!state) return
  const found = filtered([...objectRows('', state.root, 'root', 1, [])], element('treeFilter').value)
  const isWhole = state.byId.size === state.count && found.length <= ROWS_MAX
  element('treeNote').textContent = `${chosen.scope}: ${count(state.count, 'object')}, revision ${state.revision}${isWhole ? '' : '; not all are shown'}`
  const drawn = found.slice(0, ROWS_MAX).map(drawRow)
  arrange(element('tree'), drawn)
  if (!drawn.some(row => row.tabIndex === 0) && drawn.length > 0) drawn[0].tabIndex = 0
}

/** The rows of an object and of what is below it. `within`: the objects around it, for there may be circles. */
function * objectRows (path, uuid, label, level, within) {
  const object = state.byId.get(uuid)
  const key = `${path}/${label}`
  const isCircle = within.includes(uuid)
  yield { key, level, label, value: `${object?.clsName ?? 'not shown'} ${uuid.slice(0, 8)}${isCircle ? ' (see above)' : ''}`, opens: Boolean(object) && !isCircle, isOpen: level < 4 }
  if (!object || isCircle) return
  for (const [name, value] of Object.entries(object.properties)) {
    yield * valueRows(key, name, value, level + 1, [...within, uuid])
  }
}

function * valueRows (path, name, value, level, within) {
  if (!Array.isArray(value)) {
    if (state.byId.has(value)) return yield * objectRows(path, value, name, level, within)
    return yield { key: `${path}/${name}`, level, label: name, value: JSON.stringify(value) }
  }
  yield { key: `${path}/${name}`, level, label: name, value: `[${value.length}]`, opens: value.length > 0, isOpen: level < 4 }
  for (const [place, element] of value.entries()) yield * valueRows(`${path}/${name}`, place, element, level + 1, within)
}

/** Those rows that match, with what they are in; without a filter those that are in nothing closed. */
function filtered (all, filter) {
  const words = filter.trim().toLowerCase()
  if (words) {
    const matches = all.filter(({ label, value }) => `${label}: ${value}`.toLowerCase().includes(words))
    const wanted = new Set(matches.flatMap(({ key }) => key.split('/').map((_, place, parts) => parts.slice(0, place + 1).join('/'))))
    return all.filter(({ key }) => wanted.has(key))
  }
  let closed = null
  return all.filter(row => {
    if (closed !== null && row.key.startsWith(`${closed}/`)) return false
    row.isOpen = toggled.get(row.key) ?? row.isOpen
    closed = row.opens && !row.isOpen ? row.key : null
    return true
  })
}

function drawRow ({ key, level, label, value, opens, isOpen }) {
  let row = rows.get(key)
  if (!row) {
    row = document.createElement('div')
    row.setAttribute('role', 'treeitem')
    row.tabIndex = -1
    row.append(document.createElement('b'), ' ', document.createElement('span'))
    row.dataset.key = key
    rows.set(key, row)
  }
  if (row.lastChild.textContent && row.lastChild.textContent !== value) flash(row)
  row.style.setProperty('--level', level - 1)
  row.setAttribute('aria-level', level)
  row.toggleAttribute('aria-expanded', Boolean(opens))
  if (opens) row.setAttribute('aria-expanded', isOpen || element('treeFilter').value !== '')
  row.firstChild.textContent = `${label}:`
  row.lastChild.textContent = value
  return row
}

function flash (row) {
  row.classList.remove('news')
  requestAnimationFrame(() => row.classList.add('news'))
}

function toggle (row, isOpen) {
  toggled.set(row.dataset.key, isOpen)
  showTree()
}

function focusRow (row) {
  for (const other of element('tree').querySelectorAll('[tabindex="0"]')) other.tabIndex = -1
  row.tabIndex = 0
  row.focus()
}

element('tree').onclick = ({ target }) => {
  const row = target.closest('[role=treeitem]')
  if (!row) return
  focusRow(row)
  if (row.ariaExpanded !== null) toggle(row, row.ariaExpanded === 'false')
}

element('tree').onkeydown = event => {
  const visible = [...element('tree').children]
  const place = visible.indexOf(event.target)
  const row = visible[place]
  if (!row) return
  const level = other => Number(other.ariaLevel)
  const parent = visible.slice(0, place).findLast(other => level(other) < level(row))
  const ways = {
    ArrowDown: () => focusRow(visible[place + 1] ?? row),
    ArrowUp: () => focusRow(visible[place - 1] ?? row),
    Home: () => focusRow(visible[0]),
    End: () => focusRow(visible.at(-1)),
    ArrowRight: () => row.ariaExpanded === 'false' ? toggle(row, true) : focusRow(visible[place + 1] ?? row),
    ArrowLeft: () => row.ariaExpanded === 'true' ? toggle(row, false) : focusRow(parent ?? row),
    Enter: () => row.ariaExpanded !== null && toggle(row, row.ariaExpanded === 'false')
  }
  if (!ways[event.key]) return
  event.preventDefault()
  ways[event.key]()
}

element('treeFilter').oninput = showTree

// -- The messages of a session

function chooseSession (session) {
  asking.session?.abort()
  asking.session = new AbortController()
  chosen.session = session
  messages = []
  let after = 0
  press('sessions', session)
  showMessages()
  repeat(async signal => {
    const news = await ask('messages', { session, after }, signal)
    if (!news) {
      element('messagesNote').textContent = `Session ${session} has ended.`
      return pause(1000)
    }
    after = news.messages.at(-1)?.number ?? after
    messages = [...messages, ...news.messages.flatMap(readFrame)].slice(-MESSAGES_MAX)
    showMessages()
  }, 100, asking.session.signal)
}

/** The messages of a frame, each with its drawing. */
function readFrame ({ at, fromClient, bytes, text }) {
  let parts = [text]
  try {
    parts = [JSON.parse(text)].flat()
  } catch { /* Cut off, or sent by somebody who does not know better: shown as it is. */ }
  return parts.map(part => drawMessage(new Date(at), fromClient, part, bytes))
}

function drawMessage (at, fromClient, message, bytes) {
  const type = message?.type ?? `${bytes} bytes`
  const index = message?.index > 0 ? ` ${message.index}` : ''
  const many = message?.fragments ? `, ${count(message.fragments.length, 'fragment')}` : ''
  const item = document.createElement('li')
  const time = Object.assign(document.createElement('time'), { textContent: at.toLocaleTimeString(), dateTime: at.toISOString() })
  const text = typeof message === 'string' ? message : JSON.stringify(message, null, 2)
  const [details, summary, pre] = ['details', 'summary', 'pre'].map(name => document.createElement(name))
  summary.append(time, `${fromClient ? '→ from the client' : '← to the client'}: ${type}${index}${many}`)
  pre.append(text)
  details.append(summary, pre)
  item.append(details)
  return { item, isPing: type === 'Ping', text: `${type} ${text}`.toLowerCase() }
}

function showMessages () {
  const words = element('messageFilter').value.trim().toLowerCase()
  const shown = messages.filter(({ isPing, text }) => (!isPing || element('pings').checked) && text.includes(words))
  if (chosen.session) element('messagesNote').textContent = `Session ${chosen.session}: ${count(shown.length, 'message')}, the latest first`
  arrange(element('messages'), shown.map(({ item }) => item).reverse())
}

element('messageFilter').oninput = showMessages
element('pings').onchange = showMessages

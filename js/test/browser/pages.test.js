/** @file The pages in a real browser: Debian's Chromium, or the one that CHROMIUM names. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { modelSite, realSite } from '../support/site.js'

/** @type {import('playwright-core').Browser} */
let browser
/** @type {import('../support/site.js').Site} */
let site

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']

const program = process.env.JETSTREAM_BIN

before(async () => {
  site = program ? await realSite(program) : await modelSite()
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS })
})

after(async () => {
  await browser?.close()
  await site?.stop()
})

/** @param {string} path */
async function open (path, { origin } = site) {
  const page = await (await browser.newContext()).newPage()
  /** @type {Error[]} */
  const errors = []
  page.on('pageerror', error => errors.push(error))
  await page.goto(origin + path)
  return { page, errors }
}

/** @param {import('playwright-core').Page} page */
const shapesOf = page => page.locator('rect').evaluateAll(shapes =>
  shapes.map(shape => ['x', 'y', 'fill'].map(name => shape.getAttribute(name)).join()))

/**
 * Waits until both pages show the same shapes, so many.
 *
 * @param {import('playwright-core').Page[]} pages
 * @param {number} count
 */
async function alike (pages, count) {
  for (let turn = 0; turn < 200; turn++) {
    const [one, other] = await Promise.all(pages.map(shapesOf))
    if (one.length === count && one.join() === other.join()) return
    await pages[0].waitForTimeout(25)
  }
  assert.deepEqual(await shapesOf(pages[0]), await shapesOf(pages[1]))
  assert.fail(`not ${count} shapes`)
}

test('two pages of the shapes demo show the same, also after one was offline', async () => {
  const [{ page: ann, errors }, { page: bo }] = [await open('/shapes/'), await open('/shapes/')]
  for (const page of [ann, bo]) await page.locator('#add:enabled').waitFor()
  await ann.click('#add')
  await ann.click('#add')
  await alike([ann, bo], 2)

  const box = /** @type {{ x: number, y: number }} */ (await ann.locator('rect').last().boundingBox())
  await ann.mouse.move(box.x + 10, box.y + 10)
  await ann.mouse.down()
  await ann.mouse.move(box.x + 40, box.y - 20, { steps: 5 })
  await ann.mouse.up()
  await alike([ann, bo], 2)

  await bo.click('#cut')
  await bo.click('#add')
  await ann.click('#add')
  await ann.locator('rect').first().focus()
  await ann.keyboard.press('Delete')
  assert.match(await bo.locator('#status').innerText(), /Offline: your changes wait/)
  assert.equal((await shapesOf(bo)).length, 3)
  await bo.click('#cut')
  await alike([ann, bo], 3)

  await bo.click('#undo')
  await alike([ann, bo], 2)

  await ann.fill('#who', 'Ann')
  await ann.press('#who', 'Enter')
  await ann.hover('#board')
  await bo.locator('.cursor', { hasText: 'Ann' }).waitFor()
  await ann.goto('about:blank')
  await bo.locator('#people', { hasText: 'Nobody else' }).waitFor()
  assert.deepEqual(errors, [])
})

test('who opens the shapes demo later sees what is there', async () => {
  const { page: ann, errors } = await open('/shapes/')
  await ann.locator('#add:enabled').waitFor()
  const before = (await shapesOf(ann)).length
  await ann.click('#add')
  const { page: bo, errors: others } = await open('/shapes/')
  await alike([ann, bo], before + 1)
  assert.deepEqual([...errors, ...others], [])
})

test('people on the board find each other again after the server has crashed', async () => {
  const own = program ? await realSite(program) : await modelSite()
  try {
    const [{ page: ann, errors }, { page: bo }] = [await open('/shapes/', own), await open('/shapes/', own)]
    for (const [page, name] of /** @type {const} */ ([[ann, 'Ann'], [bo, 'Bo']])) {
      await page.locator('#people', { hasText: /here/ }).waitFor()
      await page.fill('#who', name)
      await page.press('#who', 'Enter')
    }
    await ann.locator('#people', { hasText: 'Also here: Bo' }).waitFor()
    await own.crash()
    await ann.locator('#status', { hasText: 'lost' }).waitFor()
    for (const [page, other] of /** @type {const} */ ([[ann, 'Bo'], [bo, 'Ann']])) {
      await page.locator('#status', { hasText: /^Live$/ }).waitFor()
      await page.locator('#people', { hasText: `Also here: ${other}` }).waitFor()
    }
    assert.deepEqual(errors, [])
  } finally {
    await own.stop()
  }
})

test('what is written in the chat is read by others, and a closed room is closed for all', async () => {
  const [{ page: ann, errors }, { page: bo }] = [await open('/chat/'), await open('/chat/')]
  for (const [page, name] of /** @type {const} */ ([[ann, 'Ann'], [bo, 'Bo']])) {
    await page.locator('#enter:enabled').waitFor()
    await page.fill('#username', name)
    await page.click('#enter')
  }
  await ann.fill('#text', 'Hello <b>Bo</b>')
  await ann.click('#send')
  const line = bo.locator('li', { hasText: 'Hello <b>Bo</b>' })
  await line.waitFor()
  assert.match(await line.innerText(), /Ann/)
  await bo.click('#door')
  await ann.locator('#text:disabled').waitFor()
  await ann.click('#door')
  await bo.locator('#text:enabled').waitFor()
  assert.deepEqual(errors, [])
})

test('edits made offline survive a reload', async () => {
  const own = await modelSite()
  try {
    const { page, errors } = await open('/test/storage.html', own)
    const ready = () => page.waitForFunction('window.ready')
    await ready()
    await page.evaluate(`session.disconnect(); canvas.name = 'kept'; canvas.shapes.push(new Shape({ x: 7 }))`)
    await page.waitForTimeout(100)
    await page.reload()
    await ready()
    assert.equal(await page.evaluate('canvas.name + canvas.shapes.map(({ x }) => x)'), 'kept7')
    await page.evaluate('session.synced()')
    const [scope] = own.server.scopes.values()
    assert.equal(scope.objects.get(scope.rootUUID)?.values.shapes.length, 1)
    assert.deepEqual(errors, [])
  } finally {
    await own.stop()
  }
})

test('a refused transaction is taken back on screen', async () => {
  const own = await modelSite()
  try {
    const { page } = await open('/shapes/', own)
    await page.locator('#add:enabled').waitFor()
    const [scope] = own.server.scopes.values()
    scope.refuse = ({ type }) => type === 'add' ? 'the board is full' : null
    await page.click('#add')
    await page.locator('#notice', { hasText: 'refused' }).waitFor()
    assert.deepEqual(await shapesOf(page), [])
  } finally {
    await own.stop()
  }
})

/** The inspector is a part of the real server. */
const inspected = (/** @type {string[]} */ settings = []) => realSite(program ?? assert.fail('JETSTREAM_BIN names no server'), settings)

test('the inspector shows what two pages do', async () => {
  const own = await inspected()
  try {
    const [{ page: ann }, { page: bo }] = [await open('/shapes/', own), await open('/shapes/', own)]
    for (const page of [ann, bo]) await page.locator('#add:enabled').waitFor()
    const { page, errors } = await open('/inspector/', own)
    await page.locator('#scopes button[aria-pressed=true]', { hasText: '2 members' }).waitFor()
    await page.locator('#sessions button').first().click()
    const shapes = page.locator('[role=treeitem]', { hasText: /^shapes/ })
    await shapes.filter({ hasText: '[0]' }).waitFor()

    await ann.click('#add')
    await bo.click('#add')
    await shapes.filter({ hasText: '[2]' }).waitFor()
    await page.locator('#messages summary', { hasText: 'ScopeSync' }).first().waitFor()

    await page.fill('#treeFilter', 'x: ')
    await page.waitForFunction(() => document.querySelectorAll('[role=treeitem]').length === 6)
    await page.fill('#treeFilter', '')
    await shapes.focus()
    await page.keyboard.press('ArrowLeft')
    assert.equal(await shapes.getAttribute('aria-expanded'), 'false')
    await page.keyboard.press('ArrowUp')
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'name: "Shapes Demo"')
    assert.deepEqual(errors, [])
  } finally {
    await own.stop()
  }
})

test('an inspector with a token shows nothing without it', async () => {
  const own = await inspected(['--set', 'inspector.token=a-token-for-the-test'])
  try {
    const { page } = await open('/inspector/', own)
    await page.fill('#token', 'another-token-than-that')
    await page.click('#ask button')
    await page.locator('#wrong', { hasText: 'not the token' }).waitFor()
    assert.equal(await page.locator('#main').isVisible(), false)
    await page.fill('#token', 'a-token-for-the-test')
    await page.click('#ask button')
    await page.locator('#main').waitFor()
  } finally {
    await own.stop()
  }
})

/**
 * Another way to a site, which counts what comes from it.
 *
 * @param {string} origin
 */
async function counting (origin) {
  const { hostname, port } = new URL(origin)
  const seen = { bytes: 0 }
  const proxy = createServer(client => {
    const server = connect(Number(port), hostname)
    server.on('data', data => { seen.bytes += data.length })
    client.pipe(server).pipe(client)
    for (const end of [client, server]) end.on('error', () => { client.destroy(); server.destroy() })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const address = /** @type {import('node:net').AddressInfo} */ (proxy.address())
  return { origin: `http://127.0.0.1:${address.port}`, seen, stop: () => proxy.close() }
}

test('a browser reads states that are compressed', async () => {
  const own = await realSite(program ?? assert.fail('JETSTREAM_BIN names no server'), ['--set', 'compression=true'])
  const way = await counting(own.origin)
  try {
    const { page: ann } = await open('/shapes/', own)
    await ann.locator('#add:enabled').waitFor()
    const shapes = 400
    await ann.evaluate(count => {
      for (let i = 0; i < count; i++) document.querySelector('#add')?.dispatchEvent(new MouseEvent('click'))
    }, shapes)
    // Counted from when the page's files are there and its socket opens.
    const page = await (await browser.newContext()).newPage()
    let [text, before] = [0, 0]
    page.on('websocket', socket => {
      before = way.seen.bytes
      socket.on('framereceived', ({ payload }) => { text += payload.length })
    })
    await page.goto(way.origin + '/shapes/')
    await alike([ann, page], shapes)
    const bytes = way.seen.bytes - before
    assert.ok(text > 50_000, `the state has ${text} bytes`)
    assert.ok(bytes < text / 2, `${bytes} bytes came for ${text}`)
  } finally {
    way.stop()
    await own.stop()
  }
})

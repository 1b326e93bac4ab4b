/** @file The pages in a real browser: Debian's Chromium, or the one that CHROMIUM names. */

import assert from 'node:assert/strict'
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

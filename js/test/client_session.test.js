import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientSession } from '../jetstream/session/client.js'
import { Reliable } from '../jetstream/session/reliable.js'

/** A session with a clock and a wire that are plain values. */
class Bench {
  now = 0
  session = new ClientSession({ random: () => 0.5, params: { who: 'ann' } })

  /**
   * @param {any} input
   * @returns {any[]}
   */
  tell (input) {
    /** @type {any[]} */
    const out = []
    this.session.handle(this.now, input, out)
    return out
  }

  /** @param {...any} messages */
  hear (...messages) {
    return this.tell({ type: 'Frame', text: JSON.stringify(messages) })
  }

  /** What goes over the wire now. */
  said () {
    /** @type {any[]} */
    const messages = []
    for (let frame = this.session.nextFrame(); frame; frame = this.session.nextFrame()) {
      messages.push(...[].concat(JSON.parse(frame)))
    }
    return messages
  }

  /** Lets time pass up to the next deadline. */
  wait () {
    this.now = this.session.deadline()
    return this.tell({ type: 'Deadline' })
  }

  online () {
    this.tell({ type: 'Start' })
    this.tell({ type: 'Connected' })
    this.said()
    this.hear({ type: 'SessionCreateReply', index: 0, sessionToken: 't' })
    return this
  }
}

const news = (/** @type {number} */ index) => ({ type: 'ScopeSync', index, scopeIndex: 0, fragments: [] })
const received = (/** @type {any[]} */ out) => out.flatMap(({ message }) => message ? message.index : [])

test('a session is created with the first message', () => {
  const bench = new Bench()
  assert.deepEqual(bench.tell({ type: 'Start' }), [{ type: 'Dial', token: null }, { type: 'Status', status: 'connecting' }])
  bench.tell({ type: 'Connected' })
  assert.deepEqual(bench.said(), [{ type: 'SessionCreate', index: 0, params: { who: 'ann' }, version: '1.0.0' }])
  assert.deepEqual(bench.hear({ type: 'SessionCreateReply', index: 0, sessionToken: 't' }), [{ type: 'Status', status: 'online' }])
})

test('the founding name of the reply is understood', () => {
  const bench = new Bench()
  bench.tell({ type: 'Start' })
  bench.tell({ type: 'Connected' })
  bench.hear({ type: 'SessionCreateResponse', index: 0, sessionToken: 't' })
  assert.equal(bench.session.status, 'online')
})

test('a session that is denied is over', () => {
  const bench = new Bench()
  bench.tell({ type: 'Start' })
  bench.tell({ type: 'Connected' })
  const error = { type: 'unauthorized', message: 'who are you' }
  const out = bench.hear({ type: 'SessionCreateReply', index: 0, error })
  assert.deepEqual(out, [{ type: 'Denied', error }, { type: 'Hangup' }, { type: 'Status', status: 'closed' }])
  assert.equal(bench.session.deadline(), Infinity)
})

test('a denial by close code carries its reason', () => {
  const bench = new Bench()
  bench.tell({ type: 'Start' })
  const reason = '{"type":"unsupported-version","message":"too new"}'
  const [denied] = bench.tell({ type: 'Disconnected', code: 4096, reason })
  assert.deepEqual(denied.error, { type: 'unsupported-version', message: 'too new' })
})

test('messages are numbered, carry what was received, and go in one frame', () => {
  const bench = new Bench().online()
  bench.hear(news(1), news(2))
  bench.session.settle()
  assert.equal(bench.session.send({ type: 'A' }), 1)
  assert.equal(bench.session.send({ type: 'B' }), 2)
  assert.equal(bench.session.nextFrame(), '[{"type":"A","index":1,"ack":2},{"type":"B","index":2,"ack":2}]')
  assert.equal(bench.session.nextFrame(), null)
})

test('messages of a frame are taken in the order of their index', () => {
  assert.deepEqual(received(new Bench().online().hear(news(2), news(1), news(3))), [1, 2, 3])
})

test('a repeat is not heard twice', () => {
  const bench = new Bench().online()
  assert.deepEqual(received(bench.hear(news(1))), [1])
  assert.deepEqual(received(bench.hear(news(1), news(2))), [2])
})

test('nothing behind a gap is taken, and what is missing is asked for once', () => {
  const bench = new Bench().online()
  bench.hear(news(1))
  bench.session.settle()
  assert.deepEqual(received(bench.hear(news(3), news(4))), [])
  assert.deepEqual(bench.said(), [{ type: 'Ping', index: 0, ack: 1, resendMissing: true }])
  assert.deepEqual(received(bench.hear(news(5))), [])
  assert.deepEqual(bench.said(), [])
  assert.deepEqual(received(bench.hear(news(2), news(3), news(4), news(5))), [2, 3, 4, 5])
})

test('what is missing is asked for again if it does not come', () => {
  const bench = new Bench().online()
  bench.hear(news(2))
  bench.said()
  bench.wait()
  assert.equal(bench.said()[0].resendMissing, true)
})

test('what cannot be read is passed over', () => {
  const bench = new Bench().online()
  for (const text of ['', '{', 'null', '3', '[[]]', '{"type":"Odd","index":1}', '{"type":"ScopeSync","index":1}', '{"index":1}']) {
    assert.deepEqual(bench.tell({ type: 'Frame', text }), [], text)
  }
  assert.deepEqual(received(bench.hear(news(1))), [1])
})

test('a lost connection is resumed, and what was not acknowledged is sent again', () => {
  const bench = new Bench().online()
  for (const type of ['A', 'B', 'C']) bench.session.send({ type })
  bench.said()
  bench.hear({ type: 'Ping', index: 0, ack: 1, resendMissing: false }, news(1))
  bench.session.settle()
  assert.deepEqual(bench.tell({ type: 'Disconnected', code: 1006 }), [{ type: 'Status', status: 'waiting' }])
  assert.deepEqual(bench.wait(), [{ type: 'Dial', token: 't' }, { type: 'Status', status: 'connecting' }])
  bench.tell({ type: 'Connected' })
  assert.deepEqual(bench.said(), [{ type: 'Ping', index: 0, ack: 1, resendMissing: true }])
  assert.deepEqual(received(bench.hear(news(2))), [2], 'the server may go on before it answers')
  bench.hear({ type: 'Ping', index: 0, ack: 1, resendMissing: false })
  assert.equal(bench.session.status, 'connecting')
  bench.hear({ type: 'Ping', index: 0, ack: 2, resendMissing: true })
  assert.equal(bench.session.status, 'online')
  assert.deepEqual(bench.said().map(({ type, index }) => [type, index]), [['C', 3]])
})

test('any message may acknowledge', () => {
  const bench = new Bench().online()
  bench.session.send({ type: 'A' })
  bench.said()
  bench.hear({ ...news(1), ack: 1 })
  bench.hear({ type: 'Ping', index: 0, ack: 0, resendMissing: true })
  assert.deepEqual(bench.said(), [])
})

for (const code of [4096, 4097]) {
  test(`a session that the server has forgotten (${code}) is begun anew`, () => {
    const bench = new Bench().online()
    bench.session.send({ type: 'A' })
    bench.hear(news(1))
    assert.deepEqual(bench.tell({ type: 'Disconnected', code }), [{ type: 'Lost' }, { type: 'Status', status: 'waiting' }])
    assert.deepEqual(bench.wait()[0], { type: 'Dial', token: null })
    bench.tell({ type: 'Connected' })
    assert.deepEqual(bench.said().map(({ type }) => type), ['SessionCreate'])
    bench.hear({ type: 'SessionCreateReply', index: 0, sessionToken: 'u' })
    assert.equal(bench.session.send({ type: 'B' }), 1)
    assert.deepEqual(received(bench.hear(news(1))), [1])
  })
}

test('pauses between attempts grow, up to a bound, and begin anew after a success', () => {
  const bench = new Bench()
  bench.tell({ type: 'Start' })
  /** @type {number[]} */
  const pauses = []
  for (let attempt = 0; attempt < 9; attempt++) {
    const before = bench.now
    bench.tell({ type: 'Disconnected', code: 1006 })
    bench.wait()
    pauses.push((bench.now - before) / 0.75)
  }
  assert.deepEqual(pauses, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000])
  bench.tell({ type: 'Connected' })
  bench.hear({ type: 'SessionCreateReply', index: 0, sessionToken: 't' })
  bench.tell({ type: 'Disconnected', code: 1006 })
  assert.equal(bench.session.deadline() - bench.now, 250 * 0.75)
})

test('a connection that cannot be made is given up in time', () => {
  const bench = new Bench()
  bench.tell({ type: 'Start' })
  assert.deepEqual(bench.wait(), [{ type: 'Hangup' }, { type: 'Status', status: 'waiting' }])
  assert.equal(bench.now, 10_000)
})

test('both sides keep each other awake', () => {
  const bench = new Bench().online()
  bench.hear(news(1))
  bench.session.settle()
  bench.wait()
  assert.equal(bench.now, 10_000)
  assert.deepEqual(bench.said(), [{ type: 'Ping', index: 0, ack: 1, resendMissing: false }])
})

test('a silent link is asked, and left if it does not answer', () => {
  const bench = new Bench().online()
  bench.wait()
  bench.said()
  bench.wait()
  assert.equal(bench.now, 12_000)
  assert.equal(bench.said()[0].resendMissing, true)
  assert.deepEqual(bench.wait(), [{ type: 'Hangup' }, { type: 'Status', status: 'waiting' }])
  assert.equal(bench.now, 16_000)
})

test('any word shows that the link lives', () => {
  const bench = new Bench().online()
  bench.wait()
  bench.wait()
  bench.hear({ type: 'Ping', index: 0, ack: 0, resendMissing: true })
  bench.wait()
  assert.equal(bench.session.status, 'online')
})

test('offline, no attempt is made until there is a network', () => {
  const bench = new Bench().online()
  assert.deepEqual(bench.tell({ type: 'Offline' }), [{ type: 'Hangup' }, { type: 'Status', status: 'offline' }])
  assert.equal(bench.session.deadline(), Infinity)
  assert.deepEqual(bench.tell({ type: 'Online' })[0], { type: 'Dial', token: 't' })
})

test('a session that is ended says so', () => {
  const bench = new Bench().online()
  bench.tell({ type: 'End', keep: false })
  assert.deepEqual(bench.said().map(({ type }) => type), ['SessionClose'])
  assert.deepEqual(bench.tell({ type: 'Disconnected', code: 4097 }), [])
  assert.equal(bench.session.status, 'closed')
})

test('a session that another page may resume is left in silence', () => {
  const bench = new Bench().online()
  bench.tell({ type: 'End', keep: true })
  assert.deepEqual(bench.said(), [])
})

test('a flood is cut into several frames', () => {
  const bench = new Bench().online()
  for (let i = 0; i < 1001; i++) bench.session.send({ type: 'A' })
  /** @type {any[]} */
  const frames = []
  for (let frame = bench.session.nextFrame(); frame; frame = bench.session.nextFrame()) frames.push(JSON.parse(frame))
  assert.deepEqual(frames.map(frame => frame.length ?? 1), [500, 500, 1])
})

test('a frame is no longer than the server takes', () => {
  const bench = new Bench()
  bench.tell({ type: 'Start' })
  bench.tell({ type: 'Connected' })
  bench.said()
  bench.hear({ type: 'SessionCreateReply', index: 0, sessionToken: 't', limits: { messageBytes: 1000 } })
  for (let i = 0; i < 10; i++) bench.session.send({ type: 'A', text: 'ä'.repeat(100) })
  for (let frame = bench.session.nextFrame(); frame; frame = bench.session.nextFrame()) {
    assert.ok(new TextEncoder().encode(frame).length <= 1000)
  }
})

test('who listens much says in between what it has', () => {
  const bench = new Bench().online()
  bench.hear({ ...news(1), fragments: ['x'.repeat(200_000)] })
  bench.session.settle()
  bench.wait()
  assert.equal(bench.now, 0)
  assert.deepEqual(bench.said(), [{ type: 'Ping', index: 0, ack: 1, resendMissing: false }])
})

test('only what is safe here is acknowledged', () => {
  const reliable = new Reliable()
  reliable.receive(1)
  reliable.receive(2)
  reliable.settle(1)
  assert.equal(reliable.ack, 1)
  assert.equal(JSON.parse(reliable.send({}).text).ack, 1)
})

test('a resumed session says what it has, and not less, also when that is stored late', () => {
  const bench = new Bench().online()
  bench.hear(news(1), news(2))
  bench.session.settle(1)
  bench.tell({ type: 'Disconnected', code: 1006 })
  bench.wait()
  bench.tell({ type: 'Connected' })
  assert.deepEqual(bench.said(), [], 'a server that was gone would count on from 1')
  bench.session.settle(2)
  assert.deepEqual(bench.said(), [{ type: 'Ping', index: 0, ack: 2, resendMissing: true }])
})

test('a session whose storage fails resumes without it', () => {
  const bench = new Bench().online()
  bench.hear(news(1))
  bench.session.unsettle()
  bench.tell({ type: 'Disconnected', code: 1006 })
  bench.wait()
  bench.tell({ type: 'Connected' })
  assert.deepEqual(bench.said(), [{ type: 'Ping', index: 0, ack: 0, resendMissing: true }])
})

test('a change that has its answer is not sent again, but keeps its number', () => {
  const bench = new Bench().online()
  bench.session.send({ type: 'ScopeSync', scopeIndex: 0, fragments: [] })
  bench.session.send({ type: 'ScopeSync', scopeIndex: 0, fragments: [] })
  bench.said()
  bench.hear({ type: 'ScopeSyncReply', index: 1, replyTo: 1, fragmentReplies: [] })
  bench.hear({ type: 'Ping', index: 0, ack: 0, resendMissing: true })
  assert.deepEqual(bench.said().map(({ type, index }) => [type, index]), [['Reply', 1], ['ScopeSync', 2]])
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { model, self } from '../jetstream.js'
import { ChangeSet } from '../jetstream/model/change_set.js'
import { Draft } from '../jetstream/model/draft.js'
import { applyEdits, diff } from '../jetstream/model/sequence.js'
import { Replica } from '../jetstream/replica.js'
import { decodeFrame } from '../jetstream/wire/decode.js'

/** @param {string} name */
function vectors (name) {
  const text = readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), 'utf8')
  return JSON.parse(text.replaceAll(/#([0-9])/g, '00000000-0000-4000-8000-00000000000$1'))
}

const ROOT = '00000000-0000-4000-8000-000000000000'
const Node = model('Node', { label: String, next: self, children: [self] })

for (const { id, why, read, printed } of vectors('numbers')) {
  test(`numbers/${id}: ${why}`, () => {
    assert.equal(JSON.stringify(JSON.parse(read)), printed)
  })
}

for (const { id, why, frame, read } of vectors('messages')) {
  test(`messages/${id}: ${why}`, () => {
    assert.deepEqual(decodeFrame(frame).map(({ index }) => index), read)
  })
}

for (const { id, why, list, edits, result } of vectors('edits')) {
  test(`edits/${id}: ${why}`, () => {
    assert.deepEqual(applyEdits(list, edits), result)
    assert.deepEqual(applyEdits(list, diff(list, result).edits), result)
  })
}

for (const { id, why, before, fragments, after, refused = [], atomic = false } of vectors('change_sets')) {
  test(`change_sets/${id}: ${why}`, () => {
    const replica = replicaOf(before)
    const accepted = named(fragments).filter((/** @type {any} */ _, /** @type {number} */ place) => !refused.includes(place))
    replica.receive([{ type: 'ScopeSync', index: 1, scopeIndex: 0, fragments: accepted }])
    assert.deepEqual(stateOf(replica), after)
  })
  test(`change_sets/${id}, not judged yet`, () => {
    const replica = replicaOf(before)
    new Draft(replica.graph, named(fragments)).tryAll(atomic)
    assert.deepEqual(stateOf(replica), after)
  })
}

for (const { id, why, before, edits, steps, shown } of vectors('replicas')) {
  test(`replicas/${id}: ${why}`, () => {
    const pending = edits.map((/** @type {any} */ { fragments, atomic }, /** @type {number} */ edit) =>
      Object.assign(new ChangeSet(named(fragments), { atomic }), { index: edit }))
    const replica = replicaOf(before, pending)
    for (const { receive, answer, refused = [], modifications = {} } of steps) {
      replica.receive([receive
        ? { type: 'ScopeSync', index: 1, scopeIndex: 0, fragments: named(receive) }
        : {
            type: 'ScopeSyncReply',
            index: 1,
            replyTo: answer,
            fragmentReplies: edits[answer].fragments.map((/** @type {unknown} */ _, /** @type {number} */ place) =>
              refused.includes(place) ? { error: { message: 'refused' } } : { modifications: modifications[place] })
          }])
    }
    assert.deepEqual(stateOf(replica), shown)
  })
}

/** @param {any[]} fragments */
function named (fragments) {
  return fragments.map(fragment => ({ ...fragment, clsName: 'Node' }))
}

/**
 * @param {Record<string, any>} objects
 * @param {ChangeSet[]} [pending]
 */
function replicaOf (objects, pending = []) {
  const replica = new Replica(Node, { edited () {}, objectsMax: () => 1000, settled () {}, recorded () {} })
  const fragments = Object.entries(objects).map(([uuid, properties]) =>
    ({ type: uuid === ROOT ? 'change' : 'add', uuid, clsName: 'Node', properties }))
  replica.start({ type: 'ScopeState', scopeIndex: 0, rootUUID: ROOT, fragments: /** @type {any} */ (fragments) }, { lost: false, adopted: pending })
  return replica
}

/** @param {Replica} replica */
function stateOf (replica) {
  return Object.fromEntries(Array.from(replica.graph.nodes.values(), ({ object }) => {
    const { uuid, ...values } = /** @type {any} */ (object.toJSON())
    const set = Object.entries(values).filter(([, value]) => value !== null && value.length !== 0)
    return [uuid, Object.fromEntries(set)]
  }))
}

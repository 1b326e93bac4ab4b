import { Journal } from './journal.js'
import { applyEdits } from './sequence.js'
import { decode } from './value.js'

/**
 * @typedef {import('./graph.js').Graph} Graph
 * @typedef {import('./object.js').Node} Node
 * @typedef {import('./schema.js').Property} Property
 * @typedef {import('../wire/message.js').Fragment} Fragment
 */

/** A fragment from the server names an object that we should have, and have not. */
export class Inconsistent extends Error {}

/**
 * Puts fragments into the graph, all of them together: they may name each other's objects.
 */
export class Draft {
  /** @type {Map<string, Node>} what the fragments add */
  #added = new Map()
  /** @type {Map<Node, Set<Node | string>>} the places that the fragments give an object */
  #given = new Map()
  /** @type {Set<string>} */
  #moved

  /**
   * @param {Graph} graph
   * @param {readonly Fragment[]} fragments
   */
  constructor (graph, fragments) {
    this.graph = graph
    this.fragments = fragments
    this.#moved = new Set(fragments.flatMap(({ type, uuid }) => type === 'movechange' ? uuid : []))
    for (const { type, uuid, clsName } of fragments) {
      if (type !== 'add' || graph.nodes.has(uuid)) continue
      const node = graph.replica.objectFor(uuid, clsName)
      if (node) this.#added.set(uuid, node)
    }
  }

  /** Whether one of the objects is there already: the fragments have been applied before. */
  get repeats () {
    return this.fragments.some(({ type, uuid }) => type === 'add' && this.graph.nodes.has(uuid))
  }

  /**
   * Fragments of our own that the server has not judged yet: those that it would refuse are left out,
   * all of them if they are one transaction.
   *
   * @param {boolean} atomic
   * @returns {{ journal: Journal, refused: Fragment[] }}
   */
  tryAll (atomic) {
    const { graph } = this
    const journal = graph.layer = new Journal()
    if (this.repeats) return { journal, refused: [] }
    const possible = this.#standing()
    const refused = this.fragments.filter(fragment => !possible.includes(fragment))
    if (!(atomic && refused.length > 0)) this.#apply(possible)
    return { journal, refused }
  }

  /**
   * Fragments that the server has applied.
   *
   * @throws {Inconsistent} if the graph is not what the server thinks it is
   */
  applyAll () {
    for (const fragment of this.fragments) {
      for (const uuid of this.#references(fragment)) {
        if (!this.#find(uuid) && !this.graph.replica.ignores(uuid)) throw new Inconsistent(`no object ${uuid}`)
      }
    }
    this.#apply(this.fragments)
  }

  /**
   * A whole state: what it does not mention is as in a new object.
   */
  replaceAll () {
    for (const { uuid, properties = {} } of this.fragments) {
      const node = this.#find(uuid)
      if (node) this.#begin(node, properties)
    }
    this.#apply(this.fragments)
  }

  /** @param {readonly Fragment[]} fragments */
  #apply (fragments) {
    const { graph } = this
    for (const fragment of fragments) {
      const node = this.#find(fragment.uuid)
      if (!node) continue
      this.#setProperties(node, fragment)
      this.#editCollections(node, fragment)
      if (fragment.type === 'remove') {
        for (const [parent, property] of graph.places(node)) graph.takeOut(parent, property, node)
      }
    }
    for (const uuid of this.#moved) {
      const node = this.#find(uuid)
      if (node && fragments.some(fragment => fragment.uuid === uuid)) this.#leaveOthers(node)
    }
    graph.settle()
  }

  /**
   * @param {Node} node
   * @param {Fragment} fragment
   */
  #setProperties (node, { type, uuid, properties = {} }) {
    if (type === 'add' && this.#added.has(uuid)) this.#begin(node, properties)
    for (const [name, wire] of Object.entries(properties)) {
      const property = node.model.find(name)
      if (!property || property.local) continue
      const value = decode(property, wire, uuid => this.#find(uuid))
      if (property.edge) this.#give(node, property, [].concat(wire))
      this.graph.set(node, property, value)
    }
  }

  /**
   * An object that was here before begins again with what new objects have.
   *
   * @param {Node} node
   * @param {Record<string, unknown>} properties
   */
  #begin (node, properties) {
    for (const property of node.model.properties) {
      if (!property.local && !(property.name in properties)) this.graph.set(node, property, property.initial())
    }
  }

  /**
   * @param {Node} node
   * @param {Fragment} fragment
   */
  #editCollections (node, { collections = {} }) {
    for (const [name, edits] of Object.entries(collections)) {
      const property = node.model.find(name)
      if (!property?.edge || !property.collection) continue
      const gone = {}
      const object = (/** @type {string} */ uuid) => this.#find(uuid)?.object ?? gone
      const known = edits.filter(edit => object('remove' in edit ? edit.remove : edit.insert) !== gone)
      const inserted = known.flatMap(edit => 'insert' in edit ? edit.insert : [])
      this.#give(node, property, inserted)
      // What moves within the collection leaves its old place first.
      const moved = new Set(inserted.filter(uuid => this.#moved.has(uuid)).map(object))
      const list = node.values[property.index].filter((/** @type {any} */ element) => !moved.has(element))
      this.graph.set(node, property, applyEdits(list, known.map(edit => 'remove' in edit
        ? { remove: object(edit.remove) }
        : { insert: object(edit.insert), after: edit.after === null ? null : object(edit.after) })))
    }
  }

  /**
   * @param {Node} parent
   * @param {Property} property
   * @param {string[]} uuids
   */
  #give (parent, property, uuids) {
    for (const uuid of uuids) {
      const node = this.#find(uuid)
      if (!node) continue
      const places = this.#given.get(node) ?? new Set()
      this.#given.set(node, places.add(placeName(parent, property)))
    }
  }

  /**
   * An object that moves keeps only the parents that it got just now.
   *
   * @param {Node} node
   */
  #leaveOthers (node) {
    const given = this.#given.get(node)
    for (const [parent, property] of this.graph.places(node)) {
      if (!given?.has(placeName(parent, property))) this.graph.takeOut(parent, property, node)
    }
  }

  /** What is left when nothing names an object that is not there, or not added after all. */
  #standing () {
    let standing = this.fragments
    for (;;) {
      const given = new Set(standing.flatMap(fragment => this.#references(fragment)))
      const rest = standing.filter(fragment => this.#possible(fragment, given))
      if (rest.length === standing.length) return rest
      for (const fragment of standing) {
        if (fragment.type === 'add' && !rest.includes(fragment)) this.#added.delete(fragment.uuid)
      }
      standing = rest
    }
  }

  /**
   * Whether the server would take a fragment, as far as we can tell.
   *
   * @param {Fragment} fragment
   * @param {Set<string>} given the objects that are put somewhere
   */
  #possible (fragment, given) {
    const { type, uuid } = fragment
    if (type === 'movechange' && !given.has(uuid)) return false
    const node = this.#find(uuid)
    if (!node || (type === 'remove' && node === this.graph.root)) return false
    return this.#references(fragment).every(uuid => this.#find(uuid))
  }

  /**
   * The objects that a fragment puts somewhere.
   *
   * @param {Fragment} fragment
   * @returns {string[]}
   */
  #references ({ uuid, properties = {}, collections = {} }) {
    const model = this.#find(uuid)?.model
    if (!model) return []
    const values = Object.entries(properties).flatMap(([name, wire]) => model.find(name)?.edge ? wire ?? [] : [])
    const inserts = Object.entries(collections).flatMap(([name, edits]) =>
      model.find(name) ? edits.flatMap(edit => 'insert' in edit ? edit.insert : []) : [])
    return /** @type {string[]} */ ([...values, ...inserts])
  }

  /** @param {string} uuid */
  #find (uuid) {
    return this.graph.nodes.get(uuid) ?? this.#added.get(uuid)
  }
}

/**
 * @param {Node} parent
 * @param {Property} property
 */
const placeName = (parent, property) => `${parent.uuid} ${property.index}`

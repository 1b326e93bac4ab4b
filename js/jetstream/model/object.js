import { newObjectId } from '../ids.js'
import { Emitter } from '../emitter.js'
import { collectionOf } from './collection.js'
import { publish } from './events.js'
import { Journal } from './journal.js'
import { take } from './value.js'

/**
 * @typedef {import('./graph.js').Graph} Graph
 * @typedef {import('./schema.js').Model} Model
 * @typedef {import('./schema.js').Property} Property
 * @typedef {import('../client/scope.js').Scope} Scope
 * @typedef {import('./change_set.js').ChangeSet} ChangeSet
 */

/**
 * What the client keeps of an object besides what its user sees. The user's object stays the same
 * one for as long as anybody holds it, whatever the server says in between.
 */
export class Node {
  /** @type {any[]} by the index of the property; lists are replaced, never changed */
  values
  /** @type {Map<Node, number>} objects of the graph that refer to this one, and how often */
  parents = new Map()
  /** @type {Graph | null} that it is in */
  graph = null
  /** @type {Graph | null} that it is or was last in */
  home = null
  /** Grows with each change, so that views can tell whether they are up to date. */
  version = 0
  emitter = new Emitter()
  /** @type {Map<Property, { list: any[], collection: any[] }>} what the user has of its collections */
  #collections = new Map()

  /**
   * @param {ModelObject} object
   * @param {Model} model
   * @param {string} uuid
   */
  constructor (object, model, uuid) {
    this.object = object
    this.model = model
    this.uuid = uuid
    this.values = model.properties.map(property => property.initial())
  }

  /**
   * As the user sees it.
   *
   * @param {Property} property
   */
  read (property) {
    if (!property.collection) return this.values[property.index]
    let shown = this.#collections.get(property)
    if (!shown) {
      const list = this.values[property.index].slice()
      this.#collections.set(property, shown = { list, collection: collectionOf(this, property, list) })
    }
    return shown.collection
  }

  /**
   * The user sets a property.
   *
   * @param {Property} property
   * @param {unknown} given
   */
  assign (property, given) {
    const value = take(this, property, given)
    const { graph, home } = this
    if (graph) return graph.replica.edit(() => graph.set(this, property, value))
    // It was taken out, and may come back if that is refused, or is put in again.
    if (!property.local) home?.replica.layerOf(this)?.value(this, property)
    const watch = new Journal()
    watch.value(this, property)
    this.write(property, value)
    publish(watch, 'local')
  }

  /**
   * Puts a value in its place; of no consequence for anything else.
   *
   * @param {Property} property
   * @param {any} value if it is a list, nobody else may change it
   */
  write (property, value) {
    this.version++
    this.values[property.index] = value
    const list = this.#collections.get(property)?.list
    if (!list) return
    // The array that the user holds stays the same one.
    for (let place = 0; place < value.length; place++) list[place] = value[place]
    list.length = value.length
  }

  /**
   * @param {Property} property
   * @param {ModelObject} object
   */
  holds (property, object) {
    const value = this.values[property.index]
    return property.collection ? value.includes(object) : value === object
  }

  /** @returns {Node[]} the objects that it refers to, as often as it does */
  children () {
    return this.model.edges.flatMap(property => {
      const value = this.values[property.index]
      return property.collection ? value.map(nodeOf) : value ? [nodeOf(value)] : []
    })
  }

  toString () {
    return `"${this.model.name}" ${this.uuid}`
  }
}

/** @type {(object: ModelObject) => Node} */
export let nodeOf

/** An instance of a model. Make classes of them with `model`. */
export class ModelObject {
  /** @type {Model} */
  static model

  static { nodeOf = object => object.#node }

  /** @type {Node} */
  #node

  /**
   * @param {Record<string, any>} [values]
   * @param {string} [uuid] a new one, if none is given
   */
  constructor (values = {}, uuid = newObjectId()) {
    const { model } = new.target
    this.#node = new Node(this, model, uuid.toLowerCase())
    for (const [name, value] of Object.entries(values)) {
      const property = model.get(name)
      this.#node.write(property, take(this.#node, property, value))
    }
  }

  /** Names the object everywhere. */
  get uuid () {
    return this.#node.uuid
  }

  /** @returns {Scope | null} the scope that it is in */
  get scope () {
    return this.#node.graph?.replica.scope ?? null
  }

  /** @returns {ModelObject[]} the objects of the scope that refer to this one */
  get parents () {
    return Array.from(this.#node.parents.keys(), parent => parent.object)
  }

  /**
   * Listens to `change`, `change:NAME`, `add`, `add:NAME`, `remove`, `remove:NAME`, `treechange`,
   * `attached` and `detached`.
   *
   * @param {string} events one name or several with blanks between
   * @param {import('../emitter.js').Listener} listener
   * @returns {() => void} ends it
   */
  on (events, listener) {
    return this.#node.emitter.on(events, listener)
  }

  /**
   * @param {string} events
   * @param {import('../emitter.js').Listener} [listener] all of them, if none is named
   */
  off (events, listener) {
    this.#node.emitter.off(events, listener)
  }

  /** Takes the object out of everything that refers to it. */
  remove () {
    this.#replica().remove(this.#node)
  }

  /**
   * Makes all changes of `change` together or not at all, also if the server refuses one of them.
   *
   * @param {() => void} change
   * @returns {ChangeSet} whose `accepted` tells how it ended
   */
  transaction (change) {
    return this.#replica().transaction(change)
  }

  /**
   * Calls a procedure of this object's model: the changes that `change` makes are its arguments.
   *
   * @param {string} procedure its name, without the model's
   * @param {() => void} change
   * @returns {ChangeSet} whose `accepted` tells how it ended
   */
  call (procedure, change) {
    return this.#replica().transaction(change, `${this.#node.model.name}.${procedure}`)
  }

  /** A plain copy: references as uuids, so that cycles do no harm. */
  toJSON () {
    /** @type {Record<string, unknown>} */
    const copy = { uuid: this.uuid }
    for (const property of this.#node.model.properties) {
      const value = this.#node.values[property.index]
      const plain = (/** @type {any} */ element) => element instanceof ModelObject ? element.uuid : element
      copy[property.name] = property.collection ? value.map(plain) : plain(value)
    }
    return copy
  }

  #replica () {
    const { graph } = this.#node
    if (!graph) throw new Error(`${this.#node} is in no scope`)
    return graph.replica
  }
}


import { span } from './sequence.js'

/**
 * @typedef {import('./object.js').Node} Node
 * @typedef {import('./schema.js').Property} Property
 */

/** @type {WeakMap<object, { node: Node, property: Property, list: any[] }>} */
const slots = new WeakMap()

/**
 * The array in which a property of an object keeps its elements. To its user it is an array like any
 * other; what changes it goes through the object and is told to the server.
 *
 * @template T
 * @extends {Array<T>}
 */
export class Collection extends Array {
  // What `map`, `filter` and the others make of it is a plain array.
  static get [Symbol.species] () {
    return Array
  }
}

for (const name of /** @type {const} */ (
  ['push', 'pop', 'shift', 'unshift', 'splice', 'sort', 'reverse', 'fill', 'copyWithin']
)) {
  Object.defineProperty(Collection.prototype, name, {
    configurable: true,
    writable: true,
    /** @this {any[]} @param {...any} args */
    value (...args) {
      const next = copy(this)
      const result = /** @type {any} */ (next)[name](...args)
      commit(this, next)
      return result === next ? this : result
    }
  })
}

/**
 * The user's view of a collection.
 *
 * @param {Node} node
 * @param {Property} property
 * @returns {any[]}
 */
export function collectionOf (node, property) {
  const list = node.values[property.index]
  const collection = new Proxy(list, handler)
  const slot = { node, property, list }
  slots.set(collection, slot)
  slots.set(list, slot)
  return collection
}

/**
 * Where a collection belongs.
 *
 * @param {readonly unknown[]} collection
 */
export const slotOf = collection => slots.get(collection)

/** @type {ProxyHandler<any[]>} */
const handler = {
  set (list, key, value) {
    if (key !== 'length' && !isIndex(key)) return Reflect.set(list, key, value)
    const next = copy(list)
    next[/** @type {any} */ (key)] = value
    commit(list, next)
    return true
  },
  deleteProperty (list, key) {
    if (isIndex(key)) throw new TypeError('a collection holds no nulls: use splice')
    return Reflect.deleteProperty(list, key)
  }
}

/** @param {string | symbol} key */
const isIndex = key => typeof key === 'string' && /^\d+$/.test(key)

/**
 * @param {any[]} collection
 * @returns {any[]}
 */
function copy (collection) {
  return Array.from(slots.get(collection)?.list ?? collection)
}

/**
 * @param {any[]} collection
 * @param {any[]} next
 */
function commit (collection, next) {
  const slot = slots.get(collection)
  if (!slot) throw new TypeError('this collection belongs to no object')
  const { start, fromEnd, toEnd } = span(slot.list, next)
  if (start < fromEnd || start < toEnd) slot.node.assign(slot.property, next)
}

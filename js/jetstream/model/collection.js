import { span } from './sequence.js'

/**
 * @typedef {import('./object.js').Node} Node
 * @typedef {import('./schema.js').Property} Property
 */

/** @type {WeakMap<object, { node: Node, property: Property }>} */
const slots = new WeakMap()

/**
 * The user's view of a collection: an array like any other, but what changes it goes through the object
 * and is told to the server.
 *
 * @param {Node} node
 * @param {Property} property
 * @param {any[]} list what is in it, kept up to date by the object
 * @returns {any[]}
 */
export function collectionOf (node, property, list) {
  const collection = new Proxy(list, handler)
  slots.set(collection, { node, property })
  return collection
}

/**
 * The methods that change an array, each as one change.
 *
 * @type {Record<string | symbol, (this: any[], ...args: any[]) => any>}
 */
const methods = Object.create(null)
for (const name of ['push', 'pop', 'shift', 'unshift', 'splice', 'sort', 'reverse', 'fill', 'copyWithin']) {
  methods[name] = function (...args) {
    const slot = slots.get(this)
    if (!slot) throw new TypeError(`${name} is called on no collection`)
    const next = slot.node.values[slot.property.index].slice()
    const result = /** @type {any} */ (next)[name](...args)
    commit(slot, next)
    return result === next ? this : result
  }
}

/** @type {ProxyHandler<any[]>} */
const handler = {
  get (list, key) {
    return methods[key] ?? Reflect.get(list, key)
  },
  set (list, key, value, collection) {
    const slot = slots.get(collection)
    if (!slot || (key !== 'length' && !isIndex(key))) return Reflect.set(list, key, value)
    const next = list.slice()
    next[/** @type {any} */ (key)] = value
    commit(slot, next)
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
 * @param {{ node: Node, property: Property }} slot
 * @param {any[]} next
 */
function commit ({ node, property }, next) {
  const { start, fromEnd, toEnd } = span(node.values[property.index], next)
  if (start < fromEnd || start < toEnd) node.assign(property, next)
}

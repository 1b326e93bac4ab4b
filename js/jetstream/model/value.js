import { nodeOf, ModelObject } from './object.js'
import { span } from './sequence.js'

/**
 * @typedef {import('./object.js').Node} Node
 * @typedef {import('./schema.js').Property} Property
 */

/**
 * Takes a value that the user gives, or says what is wrong with it.
 *
 * @param {Node} node
 * @param {Property} property
 * @param {any} given
 */
export function take (node, property, given) {
  if (!property.collection) return given == null ? null : element(node, property, given)
  if (!Array.isArray(given)) throw wrong(node, property, given)
  // What was in it already has been looked at.
  const value = given.slice()
  const { start, toEnd } = span(node.values[property.index], value)
  for (let place = start; place < toEnd; place++) value[place] = element(node, property, value[place])
  return value
}

/**
 * @param {Node} node
 * @param {Property} property
 * @param {any} given
 */
function element (node, property, given) {
  switch (property.kind) {
    // JSON has no lone surrogates, and no -0.
    case 'String': if (typeof given === 'string') return wellFormed(given)
      break
    case 'Number': if (Number.isFinite(given)) return given + 0
      break
    case 'Boolean': if (typeof given === 'boolean') return given
      break
    case 'Date': if (given instanceof Date && !Number.isNaN(given.getTime())) return new Date(given)
      break
    case 'Enumeration': if (property.enumeration.includes(given)) return given
      break
    case 'Model': if (given instanceof ModelObject && nodeOf(given).model.isA(property.model)) return given
  }
  throw wrong(node, property, given)
}

/** @param {string} text */
function wellFormed (text) {
  return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, '\uFFFD')
}

/**
 * @param {Node} node
 * @param {Property} property
 * @param {unknown} given
 */
function wrong (node, property, given) {
  const what = given instanceof ModelObject ? `a "${nodeOf(given).model.name}"` : String(given)
  return new TypeError(`"${property.name}" of "${node.model.name}" takes ${property.expected()}, not ${what}`)
}

/**
 * Whether two values of a property that is no collection are the same.
 *
 * @param {any} a
 * @param {any} b
 */
export function same (a, b) {
  return a === b || (a instanceof Date && b instanceof Date && a.getTime() === b.getTime())
}

/**
 * Whether two values of a property are the same.
 *
 * @param {Property} property
 * @param {any} a
 * @param {any} b
 */
export function sameValue (property, a, b) {
  if (!property.collection) return same(a, b)
  return a.length === b.length && a.every((/** @type {any} */ part, /** @type {number} */ place) => same(part, b[place]))
}

/**
 * A value as it stands on the wire.
 *
 * @param {Property} property
 * @param {any} value
 */
export function encode (property, value) {
  return property.collection ? value.map(encodeElement) : encodeElement(value)
}

/** @param {any} value */
function encodeElement (value) {
  if (value instanceof ModelObject) return value.uuid
  return value instanceof Date ? value.getTime() / 1000 : value
}

/**
 * A value from the wire. What is no value of the property's type is taken for unset: the server has
 * looked at it before us.
 *
 * @param {Property} property
 * @param {any} wire
 * @param {(uuid: string) => Node | undefined} find
 */
export function decode (property, wire, find) {
  const one = (/** @type {any} */ part) => {
    if (property.kind === 'Model') return (typeof part === 'string' && find(part)?.object) || null
    if (property.kind !== 'Date' || part == null) return part ?? null
    return new Date(typeof part === 'number' ? Math.round(part * 1000) : part)
  }
  if (!property.collection) return one(wire)
  return Array.isArray(wire) ? wire.map(one).filter(part => part !== null) : []
}

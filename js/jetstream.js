/**
 * @file The JavaScript client of Jetstream: models whose instances are the same everywhere.
 *
 * ```js
 * const Shape = model('Shape', { x: Number, y: Number })
 * const Canvas = model('Canvas', { name: String, shapes: [Shape] })
 * const session = await connect('ws://localhost:3000')
 * const canvas = await session.fetch('Canvas', Canvas)
 * canvas.shapes.push(new Shape({ x: 10, y: 20 }))
 * ```
 */

export { browserStorage } from './jetstream/client/storage.js'
export { Denied, Scope } from './jetstream/client/scope.js'
export { Session, connect } from './jetstream/client/session.js'
export { ChangeSet, Refused } from './jetstream/model/change_set.js'
export { ModelObject } from './jetstream/model/object.js'
export { enumeration, model, self } from './jetstream/model/schema.js'

/** @typedef {import('./jetstream/model/events.js').Change} Change */
/**
 * @template I, V
 * @typedef {import('./jetstream/model/schema.js').ModelClass<I, V>} ModelClass
 */
/** @typedef {import('./jetstream/session/client.js').Status} Status */
/** @typedef {import('./jetstream/client/session.js').Options} Options */
/** @typedef {import('./jetstream/client/session.js').Credential} Credential */
/** @typedef {import('./jetstream/client/storage.js').Storage} Storage */

/**
 * @file The messages of the Jetstream Sync protocol as data, as they stand on the wire.
 */

/** @typedef {import('../model/sequence.js').Edit<string>} Edit */

/**
 * One add, change, removal or move of one object.
 *
 * @typedef {object} Fragment
 * @property {'add' | 'change' | 'remove' | 'movechange'} type
 * @property {string} uuid
 * @property {string} clsName
 * @property {Record<string, any>} [properties]
 * @property {Record<string, Edit[]>} [collections]
 */

/** @typedef {{ message: string, type?: string }} Rejection why something was refused */

/** @typedef {{ error?: Rejection, modifications?: Record<string, any> }} FragmentReply */

/** @typedef {{ type: 'ScopeFetchReply', replyTo: number, scopeIndex?: number, error?: Rejection }} ScopeFetchReply */
/** @typedef {{ type: 'ScopeState', scopeIndex: number, rootUUID: string, fragments: Fragment[] }} ScopeState */
/** @typedef {{ type: 'ScopeSync', scopeIndex: number, fragments: Fragment[] }} ScopeSync */
/**
 * @typedef {object} ScopeSyncReply
 * @property {'ScopeSyncReply'} type
 * @property {number} replyTo
 * @property {FragmentReply[]} fragmentReplies
 * @property {Rejection} [error]
 */

/**
 * What a session hands on to its scopes.
 *
 * @typedef {(ScopeFetchReply | ScopeState | ScopeSync | ScopeSyncReply) & { index: number }} ScopeMessage
 */

/**
 * Any message as it is read: `type` and `index` are there, the rest is looked at where it is used.
 *
 * @typedef {{ type: string, index: number, [field: string]: any }} Message
 */

/** The version of the protocol that we speak. */
export const VERSION = '1.0.0'

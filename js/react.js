/** @file React hooks: components that are drawn anew when what they show has changed. */

import { useCallback, useMemo, useRef, useSyncExternalStore } from 'react'
import { nodeOf } from './jetstream/model/object.js'

/**
 * @typedef {import('./jetstream.js').ModelObject} ModelObject
 * @typedef {import('./jetstream.js').Session} Session
 * @typedef {import('./jetstream.js').Status} Status
 */

/**
 * Follows the properties of an object, collections included; with `{ deep: true }` also everything
 * below it.
 *
 * @template {ModelObject | null | undefined} T
 * @param {T} object
 * @param {{ deep?: boolean }} [options]
 * @returns {T} the same object
 */
export function useModel (object, { deep = false } = {}) {
  const below = useRef(0)
  const subscribe = useCallback((/** @type {() => void} */ redraw) => {
    if (!object) return () => {}
    return object.on(deep ? 'treechange change attached detached' : 'change attached detached', () => {
      below.current++
      redraw()
    })
  }, [object, deep])
  // The version counts what changed between drawing and subscribing.
  const version = () => object ? `${nodeOf(object).version} ${below.current}` : ''
  useSyncExternalStore(subscribe, version, version)
  return object
}

/**
 * Follows one collection of an object: `useCollection(canvas, 'shapes')`.
 *
 * @template {ModelObject} T
 * @template {keyof T & string} K
 * @param {T} object
 * @param {K} property
 * @returns {T[K] extends readonly (infer E)[] ? readonly E[] : never} a plain array, another one after each change
 */
export function useCollection (object, property) {
  const last = useRef(/** @type {readonly unknown[]} */ ([]))
  const subscribe = useCallback((/** @type {() => void} */ redraw) =>
    object.on(`change:${property}`, redraw), [object, property])
  const snapshot = () => {
    const now = /** @type {any} */ (object)[property]
    if (now.length !== last.current.length || last.current.some((element, place) => element !== now[place])) {
      last.current = Array.from(now)
    }
    return last.current
  }
  return /** @type {any} */ (useSyncExternalStore(subscribe, snapshot, snapshot))
}

/**
 * Follows a session: whether it is online, and how much waits for the server's answer.
 *
 * @param {Session} session
 * @returns {{ status: Status, pendingCount: number }}
 */
export function useSession (session) {
  const subscribe = useCallback((/** @type {() => void} */ redraw) => session.on('status pending', redraw), [session])
  const status = useSyncExternalStore(subscribe, () => session.status, () => session.status)
  const pendingCount = useSyncExternalStore(subscribe, () => session.pendingCount, () => session.pendingCount)
  return useMemo(() => ({ status, pendingCount }), [status, pendingCount])
}

/**
 * The time and its timers, handed in so that tests can be the time.
 *
 * @typedef {object} Clock
 * @property {() => number} now milliseconds, from an origin without meaning
 * @property {(wake: () => void, milliseconds: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {(wake: () => void) => void} soon when what runs now has ended
 */

/** @type {Clock} */
export const systemClock = {
  now: () => performance.now(),
  setTimeout: (wake, milliseconds) => setTimeout(wake, milliseconds),
  clearTimeout: timer => clearTimeout(timer),
  soon: wake => queueMicrotask(wake)
}

/**
 * When edits are sent: `tick` when the code that makes them has ended, `frame` with the next animation
 * frame, a number after as many milliseconds.
 *
 * @typedef {'tick' | 'frame' | number} Batch
 */

/** A page in the background gets no frames; its edits are sent this late at most, in milliseconds. */
const FRAME_MS_MAX = 100

/**
 * @param {Clock} clock
 * @param {Batch} batch
 * @param {() => void} wake
 */
export function schedule (clock, batch, wake) {
  if (batch === 'tick') return clock.soon(wake)
  if (typeof batch === 'number') return void clock.setTimeout(wake, batch)
  let woken = false
  const once = () => {
    clock.clearTimeout(timer)
    if (!woken) wake()
    woken = true
  }
  const timer = clock.setTimeout(once, FRAME_MS_MAX)
  globalThis.requestAnimationFrame?.(once)
}

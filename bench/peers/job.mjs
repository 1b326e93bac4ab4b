// The job that every server does: one shared tree of shapes, of which one property after the other
// changes. What a client says in each protocol is told to the load generator as a "card", one line of
// JSON on the standard output, so that the generator needs to know none of them.

/**
 * @typedef {object} Card
 * @property {number} port
 * @property {string[]} [paths] what the connections ask for, in order; the last one from then on
 * @property {'original'} [speech] the generator speaks this by itself; the rest is left out
 * @property {{ send: string, until: string }[]} [hello] what a member sends, and what it waits for
 * @property {string[]} [changes] what the writer sends, one change after the other
 * @property {[string, string][]} [answers] what is answered to what comes: keep-alive of the protocol
 * @property {boolean} [binary] frames are binary, and `send` and `changes` in hex
 * @property {boolean} [merges] a receiver may get the latest of several changes only
 */

/** How many objects the scope has, and how many connections and changes there will be. */
export const [objects, connections, changes] =
  process.argv.slice(2, 5).map(number => Number.parseInt(number))

/**
 * The id of an object, as all servers of the benchmark have it.
 *
 * @param {number} place
 */
export function uuid (place) {
  return `00000000-0000-4000-8000-${place.toString(16).padStart(12, '0')}`
}

/** The id of the root. */
export const rootUUID = uuid(0xffffff)

/**
 * A shape as it is at first.
 *
 * @param {number} place
 */
export function shape (place) {
  return { x: place % 1000, y: place % 700, width: 100, height: 100, color: place % 10, tag: '' }
}

/**
 * What the change with this number sets. The tag is how the generator recognises it in what a member
 * receives, whatever stands around it.
 *
 * @param {number} number
 */
export function edit (number) {
  return { x: number % 1000, y: number % 700, tag: `@${String(number).padStart(7, '0')}` }
}

/**
 * The place of the object that a change is about.
 *
 * @param {number} number
 */
export function target (number) {
  return number % objects
}

/**
 * One entry for each change.
 *
 * @template T
 * @param {(number: number) => T} make
 */
export function everyChange (make) {
  return Array.from({ length: changes }, (_, number) => make(number))
}

/**
 * Tells the generator how to talk to this server.
 *
 * @param {Card} card
 */
export function tell (card) {
  process.stdout.write(JSON.stringify(card) + '\n')
}

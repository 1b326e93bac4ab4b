/**
 * @file Edits of collections: they say what is done, not what the result is, so that edits of several
 * clients combine.
 */

/**
 * Puts `insert` behind the first place of `after`; at the front if that is `null`, at the end if it
 * is not there any more. Or takes out the first place of `remove`.
 *
 * @template T
 * @typedef {{ insert: T, after: T | null } | { remove: T }} Edit
 */

/**
 * @template T
 * @param {readonly T[]} list is left as it is
 * @param {readonly Edit<T>[]} edits
 * @returns {T[]}
 */
export function applyEdits (list, edits) {
  const result = Array.from(list)
  for (const edit of edits) {
    if ('remove' in edit) {
      const place = result.indexOf(edit.remove)
      if (place >= 0) result.splice(place, 1)
    } else {
      const place = edit.after === null ? 0 : result.indexOf(edit.after) + 1 || result.length
      result.splice(place, 0, edit.insert)
    }
  }
  return result
}

/**
 * The part in which two lists differ: both begin with the same `start` elements, and end with the same
 * ones from `fromEnd` and `toEnd` on.
 *
 * @template T
 * @param {readonly T[]} from
 * @param {readonly T[]} to
 */
export function span (from, to) {
  let start = 0
  let fromEnd = from.length
  let toEnd = to.length
  while (start < fromEnd && start < toEnd && from[start] === to[start]) start++
  while (fromEnd > start && toEnd > start && from[fromEnd - 1] === to[toEnd - 1]) {
    fromEnd--
    toEnd--
  }
  return { start, fromEnd, toEnd }
}

/**
 * The fewest edits that make `to` of `from`. An object that moves is taken out and put in again.
 * `anew`: a list that holds something twice could only be taken apart and put together again.
 *
 * @template T
 * @param {readonly T[]} from
 * @param {readonly T[]} to
 * @returns {{ edits: Edit<T>[], anew: boolean }}
 */
export function diff (from, to) {
  const { start, fromEnd, toEnd } = span(from, to)
  const oldMiddle = from.slice(start, fromEnd)
  const newMiddle = to.slice(start, toEnd)
  if (oldMiddle.length + newMiddle.length === 0) return { edits: [], anew: false }
  if (!addressable(from, start, fromEnd) || !addressable(to, Math.max(0, start - 1), toEnd)) {
    return { edits: rewrite(from, to), anew: true }
  }
  const kept = longestCommon(oldMiddle, newMiddle)
  /** @type {Edit<T>[]} */
  const edits = oldMiddle.filter(element => !kept.has(element)).map(remove => ({ remove }))
  newMiddle.forEach((insert, place) => {
    const before = start + place - 1
    if (!kept.has(insert)) edits.push({ insert, after: before < 0 ? null : to[before] })
  })
  return { edits, anew: false }
}

/**
 * Whether each element in a part of a list stands at its first place in all of the list.
 *
 * @param {readonly unknown[]} list
 * @param {number} start
 * @param {number} end
 */
function addressable (list, start, end) {
  if (end - start > LOOKUPS_MAX) return new Set(list).size === list.length
  for (let place = start; place < end; place++) {
    if (list.indexOf(list[place]) !== place) return false
  }
  return true
}

/** Up to so many elements looking each one up is quicker than making a set of all. */
const LOOKUPS_MAX = 16

/**
 * Edits address first places, so a list that holds something twice is taken apart and put together
 * again from its end: each element goes to the front, which is always exact.
 *
 * @template T
 * @param {readonly T[]} from
 * @param {readonly T[]} to
 * @returns {Edit<T>[]}
 */
function rewrite (from, to) {
  return [
    ...from.map(remove => ({ remove })),
    ...to.map(insert => ({ insert, after: null })).reverse()
  ]
}

/**
 * The largest set of elements that stand in both lists in the same order (the longest increasing
 * subsequence of their places).
 *
 * @template T
 * @param {readonly T[]} from
 * @param {readonly T[]} to
 * @returns {Set<T>}
 */
function longestCommon (from, to) {
  const places = new Map(from.map((element, place) => [element, place]))
  /** @type {{ element: T, place: number, before: any }[]} the best end of a run of each length */
  const ends = []
  for (const element of to) {
    const place = places.get(element)
    if (place === undefined) continue
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (ends[middle].place < place) low = middle + 1
      else high = middle
    }
    ends[low] = { element, place, before: ends[low - 1] }
  }
  const kept = new Set()
  for (let end = ends.at(-1); end; end = end.before) kept.add(end.element)
  return kept
}

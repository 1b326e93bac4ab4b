/**
 * Keeps one record over a reload. `save` resolves when the record would survive; of calls that follow
 * each other the last one counts.
 *
 * @typedef {object} Storage
 * @property {() => Promise<any>} load what was saved last, or nothing
 * @property {(record: any) => Promise<void>} save
 */

/**
 * Keeps what is pending in the browser (IndexedDB). Each open page has a record of its own; what a page
 * left behind that was closed for good goes to the next one that is opened.
 *
 * @param {string} [name] one for each server and user
 * @returns {Storage}
 */
export function browserStorage (name = 'jetstream') {
  // Both are awaited before a transaction begins: one that nothing happens in ends by itself.
  const ready = Promise.all([open(name), ownSlot(name)])
  return {
    load: async () => {
      const [database, slot] = await ready
      return request(database.transaction(STORE).objectStore(STORE).get(slot))
    },
    save: async record => {
      const [database, slot] = await ready
      const transaction = database.transaction(STORE, 'readwrite')
      transaction.objectStore(STORE).put(record, slot)
      await new Promise((resolve, reject) => {
        transaction.oncomplete = resolve
        transaction.onerror = transaction.onabort = () => reject(transaction.error)
      })
    }
  }
}

const STORE = 'sessions'

/** @param {string} name */
function open (name) {
  const opening = indexedDB.open(name, 1)
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE)
  return /** @type {Promise<IDBDatabase>} */ (request(opening))
}

/**
 * @param {IDBRequest} asked
 * @returns {Promise<any>}
 */
function request (asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error)
  })
}

/**
 * The first slot that no other page holds; this one holds it as long as it lives.
 *
 * @param {string} name
 * @returns {Promise<number>}
 */
async function ownSlot (name) {
  if (!navigator.locks) return 0
  for (let slot = 0; ; slot++) {
    const held = await new Promise(resolve => {
      navigator.locks.request(`${name} ${slot}`, { ifAvailable: true }, lock => {
        resolve(lock !== null)
        return lock && new Promise(() => {})
      })
    })
    if (held) return slot
  }
}

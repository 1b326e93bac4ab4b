/**
 * @file A scope as naive as can be: whole copies, whole searches. It is the oracle that the client's
 * quick ways are compared with, and the scope of the model server.
 */

/**
 * @typedef {import('../../jetstream/wire/message.js').Fragment} Fragment
 * @typedef {import('../../jetstream/wire/message.js').FragmentReply} FragmentReply
 * @typedef {Record<string, Record<string, string>>} Schema model → property → type, as in a configuration
 * @typedef {{ clsName: string, values: Record<string, any> }} Stored
 */

const PLAIN = ['String', 'Number', 'Boolean', 'Date']

/** @param {string} type */
const isCollection = type => type.startsWith('[')
/** @param {string} type */
const isReference = type => !PLAIN.includes(type.replace(/[[\]]/g, ''))

export class NaiveScope {
  /** @type {Map<string, Stored>} */
  objects = new Map()
  /** @type {(fragment: Fragment, objects: Map<string, Stored>) => string | null} */
  refuse = () => null
  /** @type {(fragment: Fragment) => Record<string, any> | undefined} */
  modify = () => undefined

  /**
   * @param {Schema} schema
   * @param {string} rootUUID
   * @param {string} rootModel
   * @param {Record<string, any>} [values]
   */
  constructor (schema, rootUUID, rootModel, values = {}) {
    this.schema = schema
    this.rootUUID = rootUUID
    this.objects.set(rootUUID, { clsName: rootModel, values: { ...this.#blank(rootModel), ...values } })
  }

  /** @param {string} clsName */
  #blank (clsName) {
    return Object.fromEntries(Object.entries(this.schema[clsName])
      .map(([name, type]) => [name, isCollection(type) ? [] : null]))
  }

  /**
   * @param {Fragment[]} fragments
   * @param {boolean} atomic
   * @returns {{ replies: FragmentReply[], applied: Fragment[] }}
   */
  sync (fragments, atomic) {
    /** @type {(string | null)[]} */
    const errors = fragments.map(() => null)
    for (;;) {
      const objects = structuredClone(this.objects)
      const failed = this.#attempt(objects, fragments, errors)
      if (!failed) {
        this.objects = objects
        break
      }
      if (atomic) break
    }
    const aborted = atomic && errors.some(Boolean)
    const replies = errors.map((message, i) => {
      if (message) return { error: { message } }
      if (aborted) return { error: { type: 'transaction-aborted', message: 'another fragment failed' } }
      const modifications = this.modify(fragments[i])
      if (!modifications) return {}
      Object.assign(this.objects.get(fragments[i].uuid)?.values ?? {}, modifications)
      return { modifications }
    })
    const applied = fragments.flatMap((fragment, i) => replies[i].error
      ? []
      : [{ ...fragment, ...(replies[i].modifications && { properties: { ...fragment.properties, ...replies[i].modifications } }) }])
    return { replies, applied }
  }

  /**
   * @param {Map<string, Stored>} objects
   * @param {Fragment[]} fragments
   * @param {(string | null)[]} errors
   */
  #attempt (objects, fragments, errors) {
    const standing = fragments.map((fragment, i) => ({ fragment, i })).filter(({ i }) => !errors[i])
    const fail = (/** @type {number} */ i, /** @type {string} */ message) => { errors[i] ??= message }
    const before = errors.filter(Boolean).length
    for (const { fragment: { type, uuid, clsName }, i } of standing) {
      if (type !== 'add') continue
      if (objects.has(uuid)) fail(i, `${uuid} exists`)
      else objects.set(uuid, { clsName, values: this.#blank(clsName) })
    }
    /** @type {Map<string, Set<string>>} */
    const given = new Map()
    for (const { fragment, i } of standing) {
      if (errors[i]) continue
      const error = this.refuse(fragment, objects) ?? this.#apply(objects, fragment, fragments, given)
      if (error) fail(i, error)
    }
    for (const { fragment: { type, uuid }, i } of standing) {
      if (type === 'movechange' && !errors[i]) this.#takeOut(objects, uuid, given.get(uuid) ?? new Set())
    }
    const reached = reach(this.schema, objects, this.rootUUID)
    for (const { fragment: { type, uuid }, i } of standing) {
      if ((type === 'add' || type === 'movechange') && !reached.has(uuid)) fail(i, `${uuid} is not attached`)
    }
    for (const uuid of objects.keys()) if (!reached.has(uuid)) objects.delete(uuid)
    return errors.filter(Boolean).length > before
  }

  /**
   * @param {Map<string, Stored>} objects
   * @param {Fragment} fragment
   * @param {Fragment[]} all
   * @param {Map<string, Set<string>>} given
   */
  #apply (objects, { type, uuid, properties = {}, collections = {} }, all, given) {
    const object = objects.get(uuid)
    if (!object) return `no object ${uuid}`
    if (type === 'remove') {
      if (uuid === this.rootUUID) return 'the root cannot be removed'
      this.#takeOut(objects, uuid, new Set())
      return null
    }
    const give = (/** @type {string} */ child, /** @type {string} */ name) =>
      given.set(child, (given.get(child) ?? new Set()).add(`${uuid} ${name}`))
    for (const [name, value] of Object.entries(properties)) {
      const kind = this.schema[object.clsName][name]
      if (!kind) return `no property ${name}`
      for (const child of isReference(kind) && value ? [].concat(value) : []) {
        if (!objects.has(child)) return `no object ${child}`
        give(child, name)
      }
      object.values[name] = value
    }
    const moved = new Set(all.filter(({ type }) => type === 'movechange').map(({ uuid }) => uuid))
    for (const [name, edits] of Object.entries(collections)) {
      const inserts = edits.flatMap(edit => 'insert' in edit ? edit.insert : [])
      for (const child of inserts) {
        if (!objects.has(child)) return `no object ${child}`
        give(child, name)
      }
      const list = object.values[name].filter((/** @type {string} */ child) => !(moved.has(child) && inserts.includes(child)))
      for (const edit of edits) {
        if ('remove' in edit) {
          if (list.includes(edit.remove)) list.splice(list.indexOf(edit.remove), 1)
        } else if (edit.after === null) list.unshift(edit.insert)
        else if (!list.includes(edit.after)) list.push(edit.insert)
        else list.splice(list.indexOf(edit.after) + 1, 0, edit.insert)
      }
      object.values[name] = list
    }
    return null
  }

  /**
   * @param {Map<string, Stored>} objects
   * @param {string} child
   * @param {Set<string>} keep
   */
  #takeOut (objects, child, keep) {
    for (const [uuid, { clsName, values }] of objects) {
      for (const [name, type] of Object.entries(this.schema[clsName])) {
        if (!isReference(type) || keep.has(`${uuid} ${name}`)) continue
        if (isCollection(type)) values[name] = values[name].filter((/** @type {string} */ other) => other !== child)
        else if (values[name] === child) values[name] = null
      }
    }
  }

  /** As it is sent in a ScopeState. */
  state () {
    const uuids = [...reach(this.schema, this.objects, this.rootUUID)]
    const fragments = uuids.map(uuid => {
      const { clsName, values } = /** @type {Stored} */ (this.objects.get(uuid))
      const entries = Object.entries(values).filter(([name, value]) =>
        value !== null || !isReference(this.schema[clsName][name]))
      return { type: uuid === this.rootUUID ? 'change' : 'add', uuid, clsName, properties: Object.fromEntries(entries) }
    })
    return { rootUUID: this.rootUUID, fragments: structuredClone(fragments) }
  }
}

/**
 * @param {Schema} schema
 * @param {Map<string, Stored>} objects
 * @param {string} root
 * @returns {Set<string>}
 */
function reach (schema, objects, root) {
  const reached = new Set([root])
  for (const uuid of reached) {
    const object = objects.get(uuid)
    if (!object) continue
    for (const [name, type] of Object.entries(schema[object.clsName])) {
      if (isReference(type)) for (const child of [].concat(object.values[name] ?? [])) reached.add(child)
    }
  }
  return reached
}

import { ModelObject, nodeOf } from './object.js'

/**
 * What an element of a property is. A function gives a model that is defined further down.
 *
 * @typedef {StringConstructor | NumberConstructor | BooleanConstructor | DateConstructor
 *   | EnumerationOf<any> | ModelClass<any, any> | Self | (() => ModelClass<any, any>)} ElementType
 */

/**
 * A type, or a type with more to say. `default`: what new objects have. `local`: only for this
 * client, never sent. `optional`: says to TypeScript that the value may be unset; at run time any value may.
 *
 * @typedef {ElementType | readonly [ElementType]
 *   | { type: ElementType | readonly [ElementType], default?: any, local?: boolean, optional?: boolean }
 * } PropertyDefinition
 */

/** @typedef {{ readonly [name: string]: PropertyDefinition }} Definition */

/** @typedef {typeof self} Self */

/**
 * @template T
 * @template Me
 * @typedef {T extends StringConstructor ? string : T extends NumberConstructor ? number
 *   : T extends BooleanConstructor ? boolean : T extends DateConstructor ? Date
 *   : T extends EnumerationOf<infer V> ? V : T extends Self ? Me
 *   : T extends new (...given: any) => infer I ? I : T extends () => infer C ? ElementValue<C, Me> : never
 * } ElementValue
 */

/**
 * @template T
 * @template Me
 * @typedef {T extends readonly [infer E] ? ElementValue<E, Me>[]
 *   : ElementValue<T, Me> extends ModelObject ? ElementValue<T, Me> | null : ElementValue<T, Me>} TypeValue
 */

/**
 * @template P
 * @template Me
 * @typedef {P extends { type: infer T, optional: true } ? TypeValue<T, Me> | null
 *   : P extends { type: infer T } ? TypeValue<T, Me> : TypeValue<P, Me>} PropertyValue
 */

/**
 * @template {Definition} D
 * @typedef {{ -readonly [K in keyof D]: PropertyValue<D[K], Instance<D>> }} Values
 */

/**
 * The listeners of an object, typed by its properties.
 *
 * @template {Definition} D
 * @typedef {{
 *   on<K extends string & keyof D> (event: `change:${K}`,
 *     listener: (value: Values<D>[K], change: Change) => unknown): () => void
 *   on<K extends string & keyof D> (event: `add:${K}` | `remove:${K}`,
 *     listener: (element: Values<D>[K] extends (infer E)[] ? E : never, change: Change) => unknown): () => void
 * }} Events
 */

/** @typedef {import('./events.js').Change} Change */

/**
 * @template {Definition} D
 * @typedef {Events<D> & Values<D> & ModelObject} Instance
 */

/**
 * @template I the instances
 * @template V what their properties hold
 * @typedef {{ new (values?: Partial<V>, uuid?: string): I, readonly model: Model, readonly prototype: I }} ModelClass
 */

/** In a definition: the model that is being defined. */
export const self = Symbol('self')

/**
 * Defines a model: a class whose instances are synced.
 *
 * @template {Definition} D
 * @template [I=ModelObject]
 * @template [V={}]
 * @param {string} name under which the server knows it
 * @param {D} definition its properties
 * @param {{ extends?: ModelClass<I, V> }} [options] the model that it extends
 * @returns {ModelClass<Instance<D> & I, Values<D> & V>}
 */
export function model (name, definition, { extends: base } = {}) {
  const Base = /** @type {typeof ModelObject} */ (/** @type {unknown} */ (base ?? ModelObject))
  /** @type {typeof ModelObject} */
  const Class = class extends Base {}
  Object.defineProperty(Class, 'name', { value: name })
  Class.model = new Model(name, Base.model ?? null, definition, Class)
  return /** @type {any} */ (Class)
}

/**
 * A named type with typed properties, inherited ones first.
 */
export class Model {
  /** @type {Property[]} */
  properties
  /** @type {Model[]} those that extend it */
  submodels = []
  /** @type {Map<string, Property>} */
  #byName

  /**
   * @param {string} name
   * @param {Model | null} base
   * @param {Definition} definition
   * @param {typeof ModelObject} type
   */
  constructor (name, base, definition, type) {
    this.name = name
    this.base = base
    this.type = type
    base?.submodels.push(this)
    const inherited = base?.properties ?? []
    const own = Object.entries(definition).map(([property, described], place) =>
      new Property(property, described, this, inherited.length + place))
    this.properties = [...inherited, ...own]
    this.#byName = new Map(this.properties.map(property => [property.name, property]))
    for (const property of own) this.#define(property)
  }

  /** Properties whose objects belong to the tree. */
  get edges () {
    return this.properties.filter(property => property.edge)
  }

  /** @param {string} name */
  find (name) {
    return this.#byName.get(name)
  }

  /** @param {string} name */
  get (name) {
    const property = this.find(name)
    if (!property) throw new TypeError(`no property "${name}" on "${this.name}"`)
    return property
  }

  /**
   * @param {Model} ancestor
   * @returns {boolean}
   */
  isA (ancestor) {
    return this === ancestor || (this.base?.isA(ancestor) ?? false)
  }

  /** @param {Property} property */
  #define (property) {
    const { prototype } = this.type
    if (property.name in prototype) {
      throw new TypeError(`"${property.name}" of "${this.name}" is taken: every object has it already`)
    }
    Object.defineProperty(prototype, property.name, property.accessor)
  }
}

/**
 * All models that can stand in a scope with this root, by name. Where a class of the user's own
 * extends a model, objects are made of the class that the definitions name.
 *
 * @param {ModelClass<any, any>} root
 * @returns {Map<string, ModelClass<any, any>>}
 */
export function classesFrom (root) {
  const classes = new Map([[root.model.name, root]])
  for (const { model } of classes.values()) {
    for (const property of model.properties) {
      if (property.kind === 'Model') add(/** @type {any} */ (property.target))
    }
    for (const submodel of model.submodels) add(/** @type {any} */ (submodel.type))
  }
  return classes

  /** @param {ModelClass<any, any>} type */
  function add (type) {
    if (!classes.has(type.model.name)) classes.set(type.model.name, type)
  }
}

/** A property of a model. */
export class Property {
  /** @type {'String' | 'Number' | 'Boolean' | 'Date' | 'Enumeration' | 'Model'} */
  kind
  /** @type {readonly any[]} the values of its enumeration */
  enumeration = []
  #default
  #element

  /**
   * @param {string} name
   * @param {PropertyDefinition} definition
   * @param {Model} owner
   * @param {number} index its place in the model
   */
  constructor (name, definition, owner, index) {
    const { type, default: initial = null, local = false } = spelledOut(definition)
    this.name = name
    this.index = index
    this.local = local
    this.collection = Array.isArray(type)
    this.owner = owner
    this.#element = this.collection ? type[0] : type
    this.#default = initial
    this.kind = kindOf(this.#element, this)
    if (this.#element instanceof Enumeration) this.enumeration = this.#element.values
  }

  /** Whether it makes parents. */
  get edge () {
    return this.kind === 'Model' && !this.local
  }

  /** @returns {typeof ModelObject} the class of the objects that it refers to */
  get target () {
    const element = this.#element
    if (element === self) return this.owner.type
    return isModelClass(element) ? element : element()
  }

  /** The model of the objects that it refers to. */
  get model () {
    return this.target.model
  }

  /** What a new object has. */
  initial () {
    if (this.collection) return []
    return this.#default instanceof Date ? new Date(this.#default) : this.#default
  }

  /** What the user may set, in words. */
  expected () {
    const words = {
      String: 'a string',
      Number: 'a finite number',
      Boolean: 'true or false',
      Date: 'a date',
      Enumeration: `one of ${this.enumeration.join(', ')}`,
      Model: ''
    }
    const one = words[this.kind] || `a "${this.model.name}"`
    return this.collection ? `a list, each element ${one}` : one
  }

  /** @returns {PropertyDescriptor & ThisType<any>} */
  get accessor () {
    const property = this
    return {
      configurable: true,
      enumerable: true,
      get () { return nodeOf(this).read(property) },
      set (value) { nodeOf(this).assign(property, value) }
    }
  }
}

/**
 * @param {any} definition
 * @returns {{ type: any, default?: any, local?: boolean }}
 */
function spelledOut (definition) {
  const described = definition !== null && typeof definition === 'object' && 'type' in definition &&
    !(definition instanceof Enumeration)
  return described ? definition : { type: definition }
}

/**
 * @param {any} element
 * @param {Property} property
 */
function kindOf (element, { name, owner }) {
  if (element === String) return 'String'
  if (element === Number) return 'Number'
  if (element === Boolean) return 'Boolean'
  if (element === Date) return 'Date'
  if (element instanceof Enumeration) return 'Enumeration'
  if (element === self || typeof element === 'function') return 'Model'
  throw new TypeError(`"${name}" of "${owner.name}" has no type: expected String, Number, Boolean, Date, ` +
    'an enumeration, a model, or [any of these]')
}

/** @param {any} element */
const isModelClass = element => element.prototype instanceof ModelObject

/** A named set of values. */
export class Enumeration {
  /**
   * @param {string} name
   * @param {readonly (string | number)[]} values
   */
  constructor (name, values) {
    this.name = name
    this.values = values
  }
}

/**
 * @template V
 * @typedef {{ readonly name: string, readonly values: readonly V[] }} EnumerationOf
 */

/**
 * Defines an enumeration, of strings or of names for integers: `Status.Open` is its value.
 *
 * @template {number} N
 * @template {{ readonly [name: string]: N }} T
 * @overload
 * @param {string} name
 * @param {T} values
 * @returns {EnumerationOf<T[keyof T]> & T}
 */
/**
 * @template {string} S
 * @overload
 * @param {string} name
 * @param {readonly S[]} values
 * @returns {EnumerationOf<S> & { readonly [K in S]: K }}
 */
/**
 * @param {string} name
 * @param {any} values
 * @returns {any}
 */
export function enumeration (name, values) {
  const names = Array.isArray(values) ? Object.fromEntries(values.map(value => [value, value])) : values
  const made = new Enumeration(name, Object.values(names))
  for (const [key, value] of Object.entries(names)) {
    if (key in made) throw new TypeError(`"${key}" cannot be a value of the enumeration "${name}"`)
    Object.defineProperty(made, key, { value, enumerable: true })
  }
  return made
}

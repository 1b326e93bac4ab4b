// Printed by `jetstream types` from models.toml. Print it again instead of editing it.
import { enumeration, model, self } from '@jetstream/client'

/** @typedef {import('@jetstream/client').ModelObject & { title: string, isOpen: boolean, foundedAt: Date, flavour: ('sweet' | 'sour' | 'very-salty' | 'it\'s "odd"'), heat: (0 | 1 | -5), rating: number, labels: Array<string>, scores: Array<number>, switches: Array<boolean>, closures: Array<Date>, flavours: Array<('sweet' | 'sour' | 'very-salty' | 'it\'s "odd"')>, heats: Array<(0 | 1 | -5)>, staff: Array<Person>, chef: Chef | null, tree: Node | null, type: number }} KitchenObject */

export const Flavour = enumeration('Flavour', ['sweet', 'sour', 'very-salty', 'it\'s "odd"'])

export const Heat = enumeration('Heat', { Off: 0, Low: 1, 'very high': -5 })

/** @typedef {InstanceType<typeof Person>} Person */
export const Person = model('Person', {
  name: String,
  employer: /** @returns {import('@jetstream/client').ModelClass<KitchenObject, any>} */ () => Kitchen,
  bestFriend: self
})

/** @typedef {InstanceType<typeof Item>} Item */
export const Item = model('Item', {
  price: { type: Number, default: 1e+21 }
})

/** @typedef {InstanceType<typeof Cook>} Cook */
export const Cook = model('Cook', {
  knife: Item
}, { extends: Person })

/** @typedef {InstanceType<typeof Chef>} Chef */
export const Chef = model('Chef', {
  stars: Number
}, { extends: Cook })

/** @typedef {InstanceType<typeof Node>} Node */
export const Node = model('Node', {
  label: String,
  left: self,
  children: [self]
})

/** @typedef {InstanceType<typeof Kitchen>} Kitchen */
export const Kitchen = model('Kitchen', {
  title: { type: String, default: 'Ann\'s "Kitchen"' },
  isOpen: { type: Boolean, default: true },
  foundedAt: { type: Date, default: new Date(1000000000500) },
  flavour: { type: Flavour, default: 'sour' },
  heat: { type: Heat, default: Heat.Low },
  rating: { type: Number, default: -2.5 },
  labels: [String],
  scores: [Number],
  switches: [Boolean],
  closures: [Date],
  flavours: [Flavour],
  heats: [Heat],
  staff: [Person],
  chef: Chef,
  tree: Node,
  type: Number
})

/** @typedef {InstanceType<typeof Cursor>} Cursor */
/** Objects of this model leave with the session that added them. */
export const Cursor = model('Cursor', {
  x: Number,
  y: Number
})

/** @typedef {InstanceType<typeof Pen>} Pen */
/** Objects of this model leave with the session that added them. */
export const Pen = model('Pen', {}, { extends: Cursor })

/** @typedef {InstanceType<typeof Option>} Option */
export const Option = model('Option', {})

/** @typedef {InstanceType<typeof class_2>} class_2 */
export const class_2 = model('class', {
  default: String,
  of: [self]
})

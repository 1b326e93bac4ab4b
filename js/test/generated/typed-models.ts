// Printed by `jetstream types` from models.toml. Print it again instead of editing it.
import { enumeration, model, self } from '@jetstream/client'
import type { ModelClass, ModelObject } from '@jetstream/client'

interface KitchenObject extends ModelObject {
  title: string
  isOpen: boolean
  foundedAt: Date
  flavour: ('sweet' | 'sour' | 'very-salty' | 'it\'s "odd"')
  heat: (0 | 1 | -5)
  rating: number
  labels: Array<string>
  scores: Array<number>
  switches: Array<boolean>
  closures: Array<Date>
  flavours: Array<('sweet' | 'sour' | 'very-salty' | 'it\'s "odd"')>
  heats: Array<(0 | 1 | -5)>
  staff: Array<Person>
  chef: Chef | null
  tree: Node | null
  type: number
}

export const Flavour = enumeration('Flavour', ['sweet', 'sour', 'very-salty', 'it\'s "odd"'])

export const Heat = enumeration('Heat', { Off: 0, Low: 1, 'very high': -5 })

export type Person = InstanceType<typeof Person>
export const Person = model('Person', {
  name: String,
  employer: (): ModelClass<KitchenObject, any> => Kitchen,
  bestFriend: self
})

export type Item = InstanceType<typeof Item>
export const Item = model('Item', {
  price: { type: Number, default: 1e+21 }
})

export type Cook = InstanceType<typeof Cook>
export const Cook = model('Cook', {
  knife: Item
}, { extends: Person })

export type Chef = InstanceType<typeof Chef>
export const Chef = model('Chef', {
  stars: Number
}, { extends: Cook })

export type Node = InstanceType<typeof Node>
export const Node = model('Node', {
  label: String,
  left: self,
  children: [self]
})

export type Kitchen = InstanceType<typeof Kitchen>
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

export type Cursor = InstanceType<typeof Cursor>
/** Objects of this model leave with the session that added them. */
export const Cursor = model('Cursor', {
  x: Number,
  y: Number
})

export type Pen = InstanceType<typeof Pen>
/** Objects of this model leave with the session that added them. */
export const Pen = model('Pen', {}, { extends: Cursor })

export type Option = InstanceType<typeof Option>
export const Option = model('Option', {})

export type class_2 = InstanceType<typeof class_2>
export const class_2 = model('class', {
  default: String,
  of: [self]
})

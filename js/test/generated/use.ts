// What TypeScript says of the printed models; nothing of it is run.
import { Chef, Kitchen, Person } from './typed-models.js'

export function use (kitchen: Kitchen, person: Person): Array<string | number> {
  const employer = person.employer
  // @ts-expect-error a reference may be unset
  employer.title.length
  // @ts-expect-error no such value
  kitchen.flavour = 'bitter'
  const chef = new Chef({ name: 'Ann', stars: 3 })
  kitchen.staff.push(chef)
  kitchen.chef = chef
  person.employer = kitchen
  const heat: 0 | 1 | -5 = kitchen.heat
  return [employer?.title ?? '', employer?.staff[0].bestFriend?.name ?? '', chef.name, chef.stars, heat]
}

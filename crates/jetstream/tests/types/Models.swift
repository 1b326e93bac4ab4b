// Printed by `jetstream types` from models.toml. Print it again instead of editing it.

import Foundation
import Jetstream

public enum Flavour: String {
    case Sweet = "sweet"
    case Sour = "sour"
    case VerySalty = "very-salty"
    case ItSOdd = "it's \"odd\""
}

public enum Heat: Int {
    case Off = 0
    case Low = 1
    case VeryHigh = -5
}

@objc(Kitchen) public class Kitchen: ModelObject {
    @objc public dynamic var title: String? = "Ann's \"Kitchen\""
    @objc public dynamic var isOpen: Bool = true
    @objc public dynamic var foundedAt: NSDate? = NSDate(timeIntervalSince1970: 1000000000.5)
    @objc public dynamic var flavour: String? = "sour" // Flavour
    @objc public dynamic var heat: Int = 1 // Heat
    @objc public dynamic var rating: Double = -2.5
    @objc public dynamic var labels = [String]()
    @objc public dynamic var scores = [Double]()
    @objc public dynamic var switches = [Bool]()
    @objc public dynamic var closures = [NSDate]()
    @objc public dynamic var flavours = [String]() // Flavour
    @objc public dynamic var heats = [Int]() // Heat
    @objc public dynamic var staff = [Person]()
    @objc public dynamic var chef: Chef?
    @objc public dynamic var tree: Node?
    @objc public dynamic var type: Double = 0
}

@objc(Chef) public class Chef: Cook {
    @objc public dynamic var stars: Double = 0
}

@objc(Cook) public class Cook: Person {
    @objc public dynamic var knife: Item?
}

@objc(Person) public class Person: ModelObject {
    @objc public dynamic var name: String?
    @objc public dynamic var employer: Kitchen?
    @objc public dynamic var bestFriend: Person?
}

@objc(Item) public class Item: ModelObject {
    @objc public dynamic var price: Double = 1e21
}

@objc(Node) public class Node: ModelObject {
    @objc public dynamic var label: String?
    @objc public dynamic var left: Node?
    @objc public dynamic var children = [Node]()
}

/// Objects of this model leave with the session that added them.
@objc(Cursor) public class Cursor: ModelObject {
    @objc public dynamic var x: Double = 0
    @objc public dynamic var y: Double = 0
}

/// Objects of this model leave with the session that added them.
@objc(Pen) public class Pen: Cursor {
}

@objc(Option) public class Option: ModelObject {
}

@objc(class) public class `class`: ModelObject {
    @objc public dynamic var `default`: String?
    @objc public dynamic var of = [`class`]()
}

/**
 * @typedef {import('./object.js').Node} Node
 * @typedef {import('./schema.js').Property} Property
 */

/**
 * How an object was: whether it was in the graph, whether it ever was, and the values that it had.
 *
 * @typedef {{ attached: boolean, known: boolean, values: Map<Property, any> }} Touched
 */

/**
 * What the objects were like before they were touched: enough to take a change back, to tell what it
 * changed, and to write it down for the server.
 */
export class Journal {
  /** @type {Map<Node, Touched>} in the order of touching */
  touched = new Map()

  /**
   * An object is about to enter or to leave the graph, or to change.
   *
   * @param {Node} node
   */
  touch (node) {
    let entry = this.touched.get(node)
    if (!entry) {
      this.touched.set(node, entry = { attached: node.graph !== null, known: node.home !== null, values: new Map() })
    }
    return entry
  }

  /**
   * A property is about to change. Only the first time counts.
   *
   * @param {Node} node
   * @param {Property} property
   */
  value (node, property) {
    const { values } = this.touch(node)
    if (values.has(property)) return
    values.set(property, node.values[property.index])
  }
}

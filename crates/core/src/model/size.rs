//! What objects take in memory, as their scope counts it.
//!
//! An estimate by fixed numbers, so that it is the same in every build and on every machine, and can be kept
//! up with each change. What shares memory with others is counted as if it did not.

use super::graph::Field;
use super::{Scalar, Value};

/// Of an object with so many properties, all of them unset.
pub(super) const fn object(properties: usize) -> usize {
    OBJECT_BYTES + properties * PROPERTY_BYTES
}

/// Of an object with these properties. Texts that it has by default are its own, too.
pub(super) fn of(fields: &[Field]) -> usize {
    object(fields.len()) + fields.iter().map(field).sum::<usize>()
}

/// Of what a property holds, beside the place that it has in its object.
pub(super) fn field(field: &Field) -> usize {
    match field {
        Field::Scalar(scalar) => scalar.as_ref().map_or(0, text),
        Field::Scalars(scalars) => list(scalars),
        Field::Reference(_) => 0,
        Field::References(sequence) => elements(sequence.len()),
    }
}

/// The same of a value that is to be put there.
pub(super) fn value(value: &Value) -> usize {
    match value {
        Value::Scalar(scalar) => scalar.as_ref().map_or(0, text),
        Value::Scalars(scalars) => list(scalars),
        Value::Reference(_) => 0,
        Value::References(references) => elements(references.len()),
    }
}

/// Of so many places in a collection.
pub(super) const fn elements(count: usize) -> usize {
    count * ELEMENT_BYTES
}

fn list(scalars: &[Scalar]) -> usize {
    elements(scalars.len()) + scalars.iter().map(text).sum::<usize>()
}

fn text(scalar: &Scalar) -> usize {
    match scalar {
        Scalar::String(text) => text.len(),
        Scalar::Number(_) | Scalar::Boolean(_) | Scalar::Date(_) => 0,
    }
}

/// The object itself, its id, its entry in the index of ids, and one parent.
const OBJECT_BYTES: usize = 160;

/// A property's place in its object.
const PROPERTY_BYTES: usize = 24;

/// A place in a collection, with what finds it and what leads back from the element.
const ELEMENT_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::ids::ObjectId;
    use crate::limits::Limit;
    use crate::model::{
        ChangeSet, CollectionEdit, Fragment, FragmentKind, Graph, JudgeLimits, Scalar, Schema,
        Value, judge,
    };

    /// Lists that hold texts, a text of their own, and lists.
    struct World(Graph);

    fn id(number: u128) -> ObjectId {
        ObjectId::from_uuid(uuid::Uuid::from_u128(number))
    }

    impl World {
        fn new() -> Self {
            let schema = Schema::builder()
                .model("List", |m| {
                    m.property("name", "String")
                        .property("lines", "[String]")
                        .property("lists", "[List]")
                })
                .build()
                .unwrap();
            let (model, _) = schema.find("List").unwrap();
            Self(Graph::new(Arc::new(schema), id(0), model))
        }

        fn fragment(&self, kind: FragmentKind, number: u128) -> Fragment {
            Fragment::new(kind, id(number), self.0.schema().find("List").unwrap().0)
        }

        fn name(&self, number: u128, bytes: usize) -> Fragment {
            let (_, model) = self.0.schema().find("List").unwrap();
            let (name, _) = model.find("name").unwrap();
            let value = Value::Scalar(Some(Scalar::from("x".repeat(bytes))));
            self.fragment(FragmentKind::Change, number).with(name, value)
        }

        fn lines(&self, number: u128, lines: &[&str]) -> Fragment {
            let (_, model) = self.0.schema().find("List").unwrap();
            let (property, _) = model.find("lines").unwrap();
            let lines: Arc<[Scalar]> = lines.iter().map(|line| Scalar::from(*line)).collect();
            self.fragment(FragmentKind::Change, number).with(property, Value::Scalars(lines))
        }

        fn insert(&self, number: u128) -> [Fragment; 2] {
            let (_, model) = self.0.schema().find("List").unwrap();
            let (lists, _) = model.find("lists").unwrap();
            let edit = CollectionEdit::Insert { object: id(number), after: None };
            [
                self.fragment(FragmentKind::Change, 0).with_edits(lists, vec![edit]),
                self.fragment(FragmentKind::Add, number),
            ]
        }

        /// Which fragments are accepted where objects may take so much.
        fn sync<const N: usize>(&mut self, max: usize, fragments: [Fragment; N]) -> [bool; N] {
            let limits = JudgeLimits { scope_bytes_max: max, ..JudgeLimits::NONE };
            let changes = ChangeSet::new(fragments);
            let judgement = judge(&self.0, &changes, &limits);
            let limited = judgement.replies.iter().filter_map(|reply| reply.as_ref().err()?.limit);
            assert!(limited.into_iter().all(|limit| limit == Limit::ScopeBytes));
            if let Some(plan) = judgement.plan {
                self.0.apply(plan);
            }
            self.0.check().unwrap();
            judgement.replies.iter().map(Result::is_ok).collect::<Vec<_>>().try_into().unwrap()
        }
    }

    const LIST: usize = 160 + 3 * 24;

    #[test]
    fn objects_texts_and_elements_are_counted_with_each_change() {
        let mut world = World::new();
        assert_eq!(world.0.bytes(), LIST);
        let steps: [(Vec<Fragment>, usize); 7] = [
            (vec![world.name(0, 100)], LIST + 100),
            (vec![world.name(0, 10)], LIST + 10),
            (world.insert(1).into(), 2 * LIST + 10 + 24),
            (vec![world.lines(1, &["a", "bcd"])], 2 * LIST + 10 + 24 + 2 * 24 + 4),
            (vec![world.lines(1, &["a"])], 2 * LIST + 10 + 24 + 24 + 1),
            (world.insert(2).into(), 3 * LIST + 10 + 2 * 24 + 24 + 1),
            (vec![world.fragment(FragmentKind::Remove, 1)], 2 * LIST + 10 + 24),
        ];
        for (fragments, expected) in steps {
            for fragments in fragments.chunks(2) {
                match fragments {
                    [one] => drop(world.sync(usize::MAX, [one.clone()])),
                    [one, other] => drop(world.sync(usize::MAX, [one.clone(), other.clone()])),
                    _ => unreachable!("in chunks of two"),
                }
            }
            assert_eq!(world.0.bytes(), expected);
        }
    }

    #[test]
    fn what_would_take_too_much_is_refused_and_the_rest_is_not() {
        let mut world = World::new();
        let max = LIST + 100;
        assert_eq!(world.sync(max, [world.name(0, 101)]), [false]);
        assert_eq!(world.sync(max, [world.name(0, 60), world.name(0, 50)]), [true, false]);
        assert_eq!(world.sync(max, [world.name(0, 100)]), [true], "only the growth counts");
        let [insert, add] = world.insert(1);
        assert_eq!(world.sync(max, [insert, add]), [false; 2]);
        assert_eq!(world.sync(max, [world.name(0, 0), world.lines(0, &["a"])]), [true, false]);
        assert_eq!(world.sync(max, [world.lines(0, &["a"])]), [true], "now there is room");
        let [insert, add] = world.insert(1);
        assert_eq!(world.sync(LIST, [insert, add, world.name(0, 0)]), [false, false, true]);
    }
}

//! What a procedure admits: a description of the ChangeSets that may call it.

use super::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, Graph, ModelId, PropertyId, Sight, Value,
};

/// Describes one fragment of a procedure call.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// `Add` or `Change`.
    pub kind: FragmentKind,
    /// The model of the object; a submodel fits, too.
    pub model: ModelId,
    /// What must be said about these properties.
    pub properties: Vec<(PropertyId, PropertyConstraint)>,
    /// Whether other properties may be set beside them.
    pub additional: bool,
    /// Whether several fragments may fit; otherwise exactly one does.
    pub repeated: bool,
}

/// What a fragment must say about one property.
#[derive(Debug, Clone, PartialEq)]
pub enum PropertyConstraint {
    /// It sets it, to whatever.
    New,
    /// It puts objects into the collection, and takes none out.
    Insert,
    /// It takes objects out of the collection, and puts none in.
    Remove,
    /// It sets it to this value.
    Value(Value),
}

/// Whether each fragment fits a constraint of its own, and each constraint has its fragment.
///
/// Which fragment belongs to which constraint is found by augmenting paths (Kuhn's algorithm for
/// bipartite matching), so the order of neither list matters.
///
/// `sight`: what the author sees. What it does not see is not there for a constraint either, or its answer would
/// tell something about it.
pub fn admits(
    constraints: &[Constraint],
    graph: &Graph,
    changes: &ChangeSet,
    sight: Option<&dyn Sight>,
) -> bool {
    let scene = Scene { graph, sight };
    let mut fragments = Vec::with_capacity(changes.fragments.len());
    for fragment in &changes.fragments {
        let Ok(fragment) = fragment else { return false };
        fragments.push(fragment);
    }
    let (repeated, single): (Vec<_>, Vec<_>) = constraints.iter().partition(|c| c.repeated);
    // Comparing with what is there can cost a look at a whole collection; numbers that do not match need
    // none.
    let too_many = repeated.is_empty() && fragments.len() > single.len();
    if too_many || fragments.len() < constraints.len() {
        return false;
    }
    let fits: Vec<Vec<usize>> = single
        .iter()
        .map(|constraint| {
            let fitting = fragments.iter().enumerate().filter(|(_, f)| constraint.fits(&scene, f));
            fitting.map(|(place, _)| place).collect()
        })
        .collect();
    let mut taken: Vec<Option<usize>> = vec![None; fragments.len()];
    for constraint in 0..single.len() {
        if !assign(constraint, &fits, &mut taken, &mut vec![false; fragments.len()]) {
            return false;
        }
    }
    let rest: Vec<&Fragment> =
        fragments.iter().zip(&taken).filter(|(_, t)| t.is_none()).map(|(f, _)| *f).collect();
    rest.iter().all(|fragment| repeated.iter().any(|c| c.fits(&scene, fragment)))
        && repeated.iter().all(|c| rest.iter().any(|fragment| c.fits(&scene, fragment)))
}

/// Finds a fragment for a constraint, moving others to other fragments if need be.
fn assign(
    constraint: usize,
    fits: &[Vec<usize>],
    taken: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for &fragment in &fits[constraint] {
        if std::mem::replace(&mut tried[fragment], true) {
            continue;
        }
        if taken[fragment].is_none_or(|other| assign(other, fits, taken, tried)) {
            taken[fragment] = Some(constraint);
            return true;
        }
    }
    false
}

impl Constraint {
    fn fits(&self, scene: &Scene<'_>, fragment: &Fragment) -> bool {
        let constrained =
            |property: &PropertyId| self.properties.iter().any(|(p, _)| p == property);
        let named = fragment.properties.iter().map(|(property, _)| property);
        let mut named = named.chain(fragment.collections.iter().map(|(property, _)| property));
        self.kind == fragment.kind
            && scene.graph.schema().is_a(fragment.model, self.model)
            && (self.additional || named.all(constrained))
            && self
                .properties
                .iter()
                .all(|(property, constraint)| constraint.fits(scene, fragment, *property))
    }
}

impl PropertyConstraint {
    fn fits(&self, scene: &Scene<'_>, fragment: &Fragment, property: PropertyId) -> bool {
        let edits = fragment.collections.iter().find(|(p, _)| *p == property);
        if let Some((_, edits)) = edits {
            return self.fits_edits(edits);
        }
        let Some((_, value)) = fragment.properties.iter().find(|(p, _)| *p == property) else {
            return false;
        };
        match self {
            Self::New => true,
            Self::Value(expected) => value == expected,
            Self::Insert => is_longer(value, &scene.present(fragment, property)),
            Self::Remove => is_longer(&scene.present(fragment, property), value),
        }
    }

    fn fits_edits(&self, edits: &[CollectionEdit]) -> bool {
        let is_insert = |edit: &CollectionEdit| matches!(edit, CollectionEdit::Insert { .. });
        match self {
            Self::New => true,
            Self::Value(_) => false,
            Self::Insert => !edits.is_empty() && edits.iter().all(is_insert),
            Self::Remove => !edits.is_empty() && !edits.iter().any(is_insert),
        }
    }
}

/// What a call is compared with.
struct Scene<'a> {
    graph: &'a Graph,
    sight: Option<&'a dyn Sight>,
}

impl Scene<'_> {
    /// What a property holds at present, as far as the author knows; of an object that is to be added, nothing.
    fn present(&self, fragment: &Fragment, property: PropertyId) -> Value {
        let id = fragment.object;
        let sees = |sight: &dyn Sight| sight.sees(id) && sight.sees_property(id, property);
        match self.graph.object(id) {
            Some(object)
                if fragment.kind != FragmentKind::Add
                    && object.model() == fragment.model
                    && self.sight.is_none_or(sees) =>
            {
                object.value(property)
            }
            _ => Value::References([].into()),
        }
    }
}

/// Whether `longer` is the collection `shorter` with elements put in: those of `shorter` are all there,
/// in the same order, and there are more.
fn is_longer(longer: &Value, shorter: &Value) -> bool {
    fn contains<T: PartialEq>(longer: &[T], shorter: &[T]) -> bool {
        let mut rest = longer.iter();
        longer.len() > shorter.len() && shorter.iter().all(|item| rest.any(|other| other == item))
    }
    match (longer, shorter) {
        (Value::References(longer), Value::References(shorter)) => contains(longer, shorter),
        (Value::Scalars(longer), Value::Scalars(shorter)) => contains(longer, shorter),
        // An object that does not exist yet has no elements of any type.
        (Value::Scalars(longer), Value::References(shorter)) => {
            shorter.is_empty() && !longer.is_empty()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ids::ObjectId;
    use crate::model::{Scalar, Schema};

    const ROOT: ObjectId = ObjectId::from_uuid(uuid::Uuid::from_u128(1));
    const SHAPE: ObjectId = ObjectId::from_uuid(uuid::Uuid::from_u128(2));
    const OTHER: ObjectId = ObjectId::from_uuid(uuid::Uuid::from_u128(3));

    struct World {
        graph: Graph,
        canvas: ModelId,
        shape: ModelId,
        shapes: PropertyId,
        x: PropertyId,
        y: PropertyId,
    }

    fn world() -> World {
        let schema = Schema::builder()
            .model("Canvas", |m| m.property("shapes", "[Shape]"))
            .model("Shape", |m| m.property("x", "Number").property("y", "Number"))
            .build()
            .unwrap();
        let (canvas, model) = schema.find("Canvas").unwrap();
        let shapes = model.find("shapes").unwrap().0;
        let (shape, model) = schema.find("Shape").unwrap();
        let (x, y) = (model.find("x").unwrap().0, model.find("y").unwrap().0);
        let fragments = vec![
            Fragment::new(FragmentKind::Change, ROOT, canvas)
                .with(shapes, Value::References([SHAPE].into())),
            Fragment::new(FragmentKind::Add, SHAPE, shape),
        ];
        let graph = Graph::from_state(Arc::new(schema), ROOT, fragments).unwrap();
        World { graph, canvas, shape, shapes, x, y }
    }

    fn number(number: f64) -> Value {
        Value::Scalar(Some(Scalar::Number(number)))
    }

    impl World {
        fn add_shape(&self) -> Vec<Constraint> {
            vec![
                self.constraint(
                    FragmentKind::Add,
                    self.shape,
                    &[(self.x, PropertyConstraint::New)],
                ),
                self.constraint(
                    FragmentKind::Change,
                    self.canvas,
                    &[(self.shapes, PropertyConstraint::Insert)],
                ),
            ]
        }

        fn constraint(
            &self,
            kind: FragmentKind,
            model: ModelId,
            properties: &[(PropertyId, PropertyConstraint)],
        ) -> Constraint {
            let properties = properties.to_vec();
            Constraint { kind, model, properties, additional: false, repeated: false }
        }

        fn add(&self) -> Fragment {
            Fragment::new(FragmentKind::Add, OTHER, self.shape).with(self.x, number(1.0))
        }

        fn shapes(&self, shapes: &[ObjectId]) -> Fragment {
            Fragment::new(FragmentKind::Change, ROOT, self.canvas)
                .with(self.shapes, Value::References(shapes.into()))
        }

        fn edit(&self, edit: CollectionEdit) -> Fragment {
            Fragment::new(FragmentKind::Change, ROOT, self.canvas)
                .with_edits(self.shapes, vec![edit])
        }

        fn admits(&self, constraints: &[Constraint], fragments: Vec<Fragment>) -> bool {
            admits(constraints, &self.graph, &ChangeSet::atomic(fragments), None)
        }
    }

    #[test]
    fn fragments_fit_one_to_one_in_any_order() {
        let world = world();
        let rule = world.add_shape();
        let insert = world.shapes(&[SHAPE, OTHER]);
        assert!(world.admits(&rule, vec![world.add(), insert.clone()]));
        assert!(world.admits(&rule, vec![insert.clone(), world.add()]));
        assert!(!world.admits(&rule, vec![insert.clone()]));
        assert!(!world.admits(&rule, vec![world.add(), insert.clone(), insert.clone()]));
        assert!(!world.admits(&rule, vec![world.add().with(world.y, number(1.0)), insert]));
    }

    #[test]
    fn an_insert_keeps_what_is_there() {
        let world = world();
        let rule = world.add_shape();
        for (shapes, expected) in [
            (&[OTHER, SHAPE][..], true),
            (&[SHAPE, OTHER], true),
            (&[OTHER], false),
            (&[SHAPE], false),
            (&[OTHER, OTHER], false),
        ] {
            assert_eq!(world.admits(&rule, vec![world.add(), world.shapes(shapes)]), expected);
        }
        let insert = CollectionEdit::Insert { object: OTHER, after: None };
        assert!(world.admits(&rule, vec![world.add(), world.edit(insert)]));
        let remove = CollectionEdit::Remove { object: SHAPE };
        assert!(!world.admits(&rule, vec![world.add(), world.edit(remove)]));
    }

    #[test]
    fn a_value_must_be_the_one_that_is_named() {
        let world = world();
        let value = PropertyConstraint::Value(number(5.0));
        let rule = [world.constraint(FragmentKind::Change, world.shape, &[(world.x, value)])];
        let change = |x| {
            vec![Fragment::new(FragmentKind::Change, SHAPE, world.shape).with(world.x, number(x))]
        };
        assert!(world.admits(&rule, change(5.0)));
        assert!(!world.admits(&rule, change(6.0)));
    }

    #[test]
    fn a_repeated_constraint_takes_one_fragment_or_more() {
        let world = world();
        let mut rule = world.add_shape();
        rule[0].repeated = true;
        let insert = world.shapes(&[SHAPE, OTHER]);
        assert!(world.admits(&rule, vec![world.add(), insert.clone(), world.add()]));
        assert!(!world.admits(&rule, vec![insert]));
    }

    #[test]
    fn constraints_that_compete_for_a_fragment_are_sorted_out() {
        let world = world();
        let any = Constraint {
            additional: true,
            ..world.constraint(FragmentKind::Change, world.shape, &[])
        };
        let five = PropertyConstraint::Value(number(5.0));
        let exact = world.constraint(FragmentKind::Change, world.shape, &[(world.x, five)]);
        let change =
            |x| Fragment::new(FragmentKind::Change, SHAPE, world.shape).with(world.x, number(x));
        let rule = [any, exact];
        assert!(world.admits(&rule, vec![change(5.0), change(6.0)]));
        assert!(!world.admits(&rule, vec![change(6.0), change(7.0)]));
    }

    #[test]
    fn a_removal_takes_something_out_and_puts_nothing_in() {
        let world = world();
        let remove = PropertyConstraint::Remove;
        let rule =
            [world.constraint(FragmentKind::Change, world.canvas, &[(world.shapes, remove)])];
        for (shapes, expected) in
            [(&[][..], true), (&[SHAPE], false), (&[OTHER], false), (&[SHAPE, OTHER], false)]
        {
            assert_eq!(world.admits(&rule, vec![world.shapes(shapes)]), expected, "{shapes:?}");
        }
        let take = CollectionEdit::Remove { object: SHAPE };
        let put = CollectionEdit::Insert { object: OTHER, after: None };
        let edits = |edits: &[CollectionEdit]| {
            let change = Fragment::new(FragmentKind::Change, ROOT, world.canvas);
            vec![change.with_edits(world.shapes, edits.to_vec())]
        };
        assert!(world.admits(&rule, edits(&[take])));
        assert!(!world.admits(&rule, edits(&[put])));
        assert!(!world.admits(&rule, edits(&[take, put])), "it exchanges one for another");
        assert!(!world.admits(&rule, edits(&[])), "it does nothing");
        let insert = PropertyConstraint::Insert;
        let rule =
            [world.constraint(FragmentKind::Change, world.canvas, &[(world.shapes, insert)])];
        assert!(world.admits(&rule, edits(&[put])));
        assert!(!world.admits(&rule, edits(&[put, take])), "nor the other way about");
        assert!(!world.admits(&rule, edits(&[])));
    }

    #[test]
    fn other_properties_and_kinds_are_admitted_only_where_it_says_so() {
        let world = world();
        let new = || [(world.x, PropertyConstraint::New)];
        let exact = world.constraint(FragmentKind::Change, world.shape, &new());
        let more = Constraint { additional: true, ..exact.clone() };
        let change = || Fragment::new(FragmentKind::Change, SHAPE, world.shape);
        let both = || change().with(world.x, number(1.0)).with(world.y, number(2.0));
        assert!(!world.admits(std::slice::from_ref(&exact), vec![both()]));
        assert!(world.admits(std::slice::from_ref(&more), vec![both()]));
        assert!(!world.admits(&[more], vec![change().with(world.y, number(2.0))]), "x is wanted");
        let nothing = change().with(world.x, Value::Scalar(None));
        assert!(world.admits(std::slice::from_ref(&exact), vec![nothing]), "unset is a value");
        for kind in [FragmentKind::Add, FragmentKind::Remove, FragmentKind::MoveChange] {
            let other = Fragment { kind, ..change().with(world.x, number(1.0)) };
            assert!(!world.admits(std::slice::from_ref(&exact), vec![other]), "{kind:?}");
        }
    }

    #[test]
    fn an_added_object_has_no_elements_yet_whatever_its_id() {
        let world = world();
        let insert = PropertyConstraint::Insert;
        let rule = [world.constraint(FragmentKind::Add, world.canvas, &[(world.shapes, insert)])];
        for id in [ROOT, OTHER] {
            let add = Fragment::new(FragmentKind::Add, id, world.canvas)
                .with(world.shapes, Value::References([OTHER].into()));
            assert!(world.admits(&rule, vec![add]), "{id}");
        }
    }

    #[test]
    fn what_the_author_does_not_see_is_compared_with_nothing() {
        struct Blind;
        impl Sight for Blind {
            fn sees(&self, _: ObjectId) -> bool {
                true
            }
            fn sees_property(&self, _: ObjectId, _: PropertyId) -> bool {
                false
            }
        }
        let world = world();
        let remove = PropertyConstraint::Remove;
        let rule =
            [world.constraint(FragmentKind::Change, world.canvas, &[(world.shapes, remove)])];
        let changes = ChangeSet::atomic([world.shapes(&[])]);
        assert!(admits(&rule, &world.graph, &changes, None));
        assert!(!admits(&rule, &world.graph, &changes, Some(&Blind)));
    }
}

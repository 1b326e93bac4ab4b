//! Changing: what a transaction sees, and what it wants done.

use jetstream::Model;
use jetstream::core::model::graph::Graph;
use jetstream::core::model::{CollectionEdit, FragmentKind, Scalar, Schema, Value};
use jetstream::core::time::Timestamp;
use jetstream::typed::{self, Id, ModelMut, ModelRef, state_of};
use proptest::prelude::*;

use super::models::*;
use super::{fragments, graph, refusal, update};

fn shape(x: f64) -> Shape {
    Shape { x, ..Shape::default() }
}

fn canvas(xs: impl IntoIterator<Item = i32>) -> Graph {
    let shapes = xs.into_iter().map(|x| shape(f64::from(x))).collect();
    graph(Canvas { name: "Demo".into(), shapes })
}

fn xs(graph: &Graph) -> Vec<f64> {
    typed::read::<Canvas>(graph).unwrap().shapes().iter().map(|shape| shape.x()).collect()
}

#[test]
fn a_transaction_sees_what_it_wrote_and_others_see_it_as_a_whole() {
    let mut graph = canvas([1, 2]);
    let before = graph.clone();
    let id = update::<Canvas, _>(&mut graph, |canvas| {
        canvas.set_name("New");
        assert_eq!(canvas.name(), "New");
        let id = canvas.shapes_mut().push(shape(3.0));
        assert_eq!(canvas.shapes().len(), 3);
        let mut shapes = canvas.shapes_mut();
        let mut pushed = shapes.get(id).unwrap();
        pushed.set_x(pushed.x() + 1.0);
        shapes.at(0).unwrap().set_x(10.0);
        assert_eq!(canvas.shapes().iter().map(|s| s.x()).collect::<Vec<_>>(), [10.0, 2.0, 4.0]);
        id
    });
    assert_eq!(xs(&graph), [10.0, 2.0, 4.0]);
    assert_eq!(xs(&before), [1.0, 2.0]);
    let canvas = typed::read::<Canvas>(&graph).unwrap();
    assert_eq!(canvas.name(), "New");
    assert_eq!(canvas.find(id).unwrap().width(), 100.0);
}

#[test]
fn adding_to_a_collection_is_an_edit_whatever_its_length() {
    let graph = canvas(0..1000);
    let last = typed::read::<Canvas>(&graph).unwrap().shapes().last().unwrap().id();
    let fragments = fragments::<Canvas, _>(&graph, |canvas| {
        canvas.shapes_mut().push(shape(1.0));
    });
    assert_eq!(fragments.len(), 2);
    let (canvas, shape) = match &fragments[..] {
        [a, b] if a.kind == FragmentKind::Add => (b, a),
        [a, b] => (a, b),
        _ => unreachable!(),
    };
    assert_eq!((canvas.kind, shape.kind), (FragmentKind::Change, FragmentKind::Add));
    assert!(canvas.properties.is_empty());
    let after = Some(last.object_id());
    assert_eq!(canvas.collections[0].1, [CollectionEdit::Insert { object: shape.object, after }]);
}

#[test]
fn what_changes_nothing_is_not_sent() {
    let graph = canvas([1]);
    let fragments = fragments::<Canvas, _>(&graph, |canvas| {
        canvas.set_name("Demo");
        canvas.shapes_mut().at(0).unwrap().set_y(5.0);
        canvas.shapes_mut().at(0).unwrap().set_y(0.0);
        canvas.shapes_mut().at(0).unwrap().set_x(1.0);
        canvas.shapes_mut().retain(|_| true);
        canvas.shapes_mut().remove::<Shape>(Id::new(graph.root()));
    });
    assert_eq!(fragments, []);
}

#[test]
fn what_is_made_and_dropped_again_was_never_there() {
    let graph = graph(Kitchen::default());
    let fragments = fragments::<Kitchen, _>(&graph, |kitchen| {
        let id = kitchen.items_mut().push(Item::default());
        kitchen.items_mut().remove(id);
        kitchen.set_cook(Cook { knife: Some(Item::default()), ..Cook::default() });
        kitchen.set_cook(None);
    });
    assert!(fragments.iter().all(|fragment| fragment.kind == FragmentKind::Change));
}

#[test]
fn collections_are_edited_at_every_place() {
    let mut graph = canvas([1, 2, 3]);
    update::<Canvas, _>(&mut graph, |canvas| {
        let mut shapes = canvas.shapes_mut();
        shapes.insert(0, shape(0.0));
        shapes.insert(99, shape(4.0));
        shapes.insert(2, shape(1.5));
        let two = shapes.as_ref().iter().find(|shape| shape.x() == 2.0).unwrap().id();
        shapes.insert_after(two, shape(2.5));
    });
    assert_eq!(xs(&graph), [0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0]);
    update::<Canvas, _>(&mut graph, |canvas| {
        let mut shapes = canvas.shapes_mut();
        shapes.retain(|shape| shape.x().fract() == 0.0);
        assert_eq!(shapes.len(), 5);
        let gone = shapes.remove_at(0).unwrap();
        assert!(shapes.get(gone).is_none());
        assert!(shapes.remove_at(9).is_none());
        let last = shapes.as_ref().last().unwrap().id();
        assert!(shapes.move_to(0, last));
        shapes.for_each(|shape| shape.set_y(1.0));
    });
    assert_eq!(xs(&graph), [4.0, 1.0, 2.0, 3.0]);
    update::<Canvas, _>(&mut graph, |canvas| {
        canvas.shapes_mut().clear();
        canvas.shapes_mut().push(shape(7.0));
    });
    assert_eq!(xs(&graph), [7.0]);
    update::<Canvas, _>(&mut graph, |canvas| {
        let old = canvas.shapes().first().unwrap().id();
        canvas.set_shapes([shape(8.0), shape(9.0)]);
        canvas.shapes_mut().push(old);
    });
    assert_eq!(xs(&graph), [8.0, 9.0, 7.0]);
}

#[test]
fn every_kind_of_property_can_be_set() {
    let mut graph = graph(Kitchen::default());
    update::<Kitchen, _>(&mut graph, |kitchen| {
        kitchen.set_title("T");
        kitchen.set_open(false);
        kitchen.set_founded_at(Timestamp(1));
        kitchen.set_flavour(Flavour::Sour);
        kitchen.set_heat(Heat::High);
        kitchen.set_motto("hot".to_owned());
        kitchen.set_rating(4.5);
        kitchen.set_vegan(Some(true));
        kitchen.set_inspected_at(std::time::UNIX_EPOCH);
        kitchen.set_mood(Flavour::Sweet);
        kitchen.set_burner(Some(Heat::Off));
        kitchen.set_labels(["a", "b"]);
        kitchen.set_scores([1.0, 2.0]);
        kitchen.set_counts([1, 2]);
        kitchen.set_closures(vec![Timestamp(2)]);
        kitchen.set_flavours([Flavour::Sour]);
        kitchen.set_kind(2.5);
        let pan = kitchen.set_main_item(Item::default());
        kitchen.favourites_mut().push(pan);
        kitchen.set_items([pan]);
    });
    let kitchen = typed::read::<Kitchen>(&graph).unwrap();
    let value = kitchen.to_owned().unwrap();
    assert_eq!(value.motto.as_deref(), Some("hot"));
    assert_eq!(value.rating, Some(4.5));
    assert_eq!(value.mood, Some(Flavour::Sweet));
    assert_eq!(value.labels, ["a", "b"]);
    assert_eq!(value.counts, [1, 2]);
    assert_eq!(value.favourites, [kitchen.main_item().unwrap().id()]);
    assert_eq!(value.items, [Item::default()]);

    update::<Kitchen, _>(&mut graph, |kitchen| {
        kitchen.set_motto(None);
        kitchen.set_mood(None);
        kitchen.set_main_item(None);
        kitchen.labels_mut().push("c");
        kitchen.labels_mut().insert(0, "z");
        kitchen.labels_mut().remove(1);
        kitchen.labels_mut().retain(|label| label != "b");
        kitchen.counts_mut().push(9_u32);
        kitchen.scores_mut().clear();
    });
    let value = typed::read::<Kitchen>(&graph).unwrap().to_owned().unwrap();
    assert_eq!((value.motto, value.mood, value.main_item), (None, None, None));
    assert_eq!(value.labels, ["z", "c"]);
    assert_eq!(value.counts, [1, 2, 9]);
    assert!(value.scores.is_empty());
}

#[test]
fn a_submodel_goes_wherever_its_supermodel_does() {
    let mut graph = graph(Kitchen::default());
    let (cook, chef) = update::<Kitchen, _>(&mut graph, |kitchen| {
        let cook = kitchen.staff_mut().push(Cook::default());
        let chef = kitchen.staff_mut().push(Chef::default());
        kitchen.set_cook(chef);
        let mut chef_mut = kitchen.staff_mut();
        let mut chef_mut = chef_mut.get(chef).unwrap();
        chef_mut.set_stars(2);
        // Inherited setters are there as if they were its own.
        chef_mut.set_name("Carla");
        chef_mut.set_speciality(Flavour::Sweet);
        chef_mut.cook_mut().person_mut().set_age(30);
        (cook, chef)
    });
    let kitchen = typed::read::<Kitchen>(&graph).unwrap();
    let names: Vec<_> = kitchen.staff().iter().map(|person| person.name()).collect();
    assert_eq!(names, ["", "Carla"]);
    assert_eq!(kitchen.cook().unwrap().id(), chef.upcast());
    assert_eq!(kitchen.find(chef).unwrap().age().unwrap().unwrap(), 30);
    assert!(kitchen.find::<Chef>(Id::new(cook.object_id())).is_none());
}

#[test]
fn a_deleted_object_leaves_every_property_that_holds_it() {
    let mut graph = graph(Kitchen::default());
    let pan = update::<Kitchen, _>(&mut graph, |kitchen| {
        let pan = kitchen.set_main_item(Item::default());
        kitchen.items_mut().push(pan);
        kitchen.items_mut().push(pan);
        pan
    });
    update::<Kitchen, _>(&mut graph, |kitchen| {
        // Holders that are themselves new in this transaction count, too.
        kitchen.favourites_mut().push(pan);
        assert!(kitchen.delete(pan));
        assert!(kitchen.main_item().is_none());
        assert!(kitchen.items().is_empty());
        assert!(kitchen.favourites().is_empty());
        let root = kitchen.id();
        assert!(!kitchen.delete(root));
        assert!(!kitchen.delete(Id::<Item>::new(root.object_id())));
    });
    assert_eq!(graph.len(), 1);
}

#[test]
fn a_mistake_makes_the_whole_transaction_fail() {
    let graph = canvas([1]);
    let mistake = refusal::<Canvas, _>(&graph, |canvas| {
        canvas.set_name("New");
        canvas.shapes_mut().at(0).unwrap().set_x(f64::NAN);
        canvas.shapes_mut().push(shape(f64::INFINITY));
    });
    assert_eq!(mistake, "\"x\" of \"Shape\": NaN is no finite number");
    let mistake = refusal::<Canvas, _>(&graph, |canvas| {
        canvas.shapes_mut().push(shape(f64::INFINITY));
    });
    assert_eq!(mistake, "\"x\" of \"Shape\": inf is no finite number");
}

#[test]
fn a_reference_that_leads_nowhere_makes_the_transaction_fail() {
    let (gone, _) = state_of(Item::default()).unwrap();
    let graph = graph(Kitchen::default());
    let expected = |property: &str, model: &str| {
        format!("\"{property}\" of \"{model}\": {gone} is not in the scope")
    };
    let mistake = refusal::<Kitchen, _>(&graph, |kitchen| {
        kitchen.set_main_item(Id::<Item>::new(gone));
        assert!(kitchen.main_item().is_none());
    });
    assert_eq!(mistake, expected("mainItem", "Kitchen"));
    let mistake = refusal::<Kitchen, _>(&graph, |kitchen| {
        kitchen.items_mut().push(Id::<Item>::new(gone));
    });
    assert_eq!(mistake, expected("items", "Kitchen"));
    let mistake = refusal::<Kitchen, _>(&graph, |kitchen| {
        kitchen.set_tree(Tree { parent: Some(Id::new(gone)), ..Tree::default() });
        assert!(kitchen.tree().unwrap().parent().is_none());
    });
    assert_eq!(mistake, expected("parent", "Node"));
    let mistake = refusal::<Kitchen, _>(&graph, |kitchen| {
        kitchen.set_main_item(Id::<Item>::new(graph.root()));
    });
    let root = graph.root();
    assert_eq!(
        mistake,
        format!("\"mainItem\" of \"Kitchen\": {root} is a Kitchen, and the property takes Item")
    );
}

#[test]
fn a_submodel_that_the_scope_does_not_know_makes_the_transaction_fail() {
    #[derive(Model)]
    struct Dishwasher {
        #[model(extends)]
        person: Person,
    }
    let graph = graph(Kitchen::default());
    let expected = "\"Dishwasher\": the scope has no such model; \
                    name it in `#[model(submodels(…))]` of one that the scope has";
    let mistake = refusal::<Kitchen, _>(&graph, |kitchen| {
        let id = kitchen.staff_mut().push(Dishwasher::default());
        assert!(kitchen.staff().is_empty());
        assert!(kitchen.find(id).is_none());
    });
    assert_eq!(mistake, expected);
    #[derive(Model)]
    struct Souschef {
        #[model(extends)]
        cook: Cook,
    }
    let mistake = refusal::<Kitchen, _>(&graph, |kitchen| {
        kitchen.set_cook(Souschef::default());
        assert!(kitchen.cook().is_none());
    });
    assert_eq!(mistake, expected.replace("Dishwasher", "Souschef"));
}

#[test]
fn a_scope_whose_schema_comes_from_elsewhere_is_changed_by_name() {
    let schema = Schema::builder()
        .model("Item", |m| m.property("qty", "Number").property("name", "String"))
        .build()
        .unwrap();
    let (model, _) = schema.find("Item").unwrap();
    let (root, _) = state_of(Item::default()).unwrap();
    let mut graph = Graph::new(schema.into(), root, model);
    update::<Item, _>(&mut graph, |item| {
        item.set_qty(4);
        item.set_name("pan");
    });
    let root = graph.object(graph.root()).unwrap();
    let (qty, _) = graph.schema().model(model).find("qty").unwrap();
    assert_eq!(root.value(qty), Value::Scalar(Some(Scalar::Number(4.0))));
    assert_eq!(typed::read::<Item>(&graph).unwrap().name(), "pan");
}

/// One thing done to a collection, with places that need not exist.
#[derive(Debug, Clone)]
enum Step {
    PushNew,
    PushOld(usize),
    Insert(usize),
    InsertAfter(usize, usize),
    Move(usize, usize),
    Remove(usize),
    RemoveAt(usize),
    Delete(usize),
    Keep(usize),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0usize..40;
    prop_oneof![
        4 => Just(Step::PushNew),
        2 => place.clone().prop_map(Step::PushOld),
        2 => place.clone().prop_map(Step::Insert),
        3 => (place.clone(), place.clone()).prop_map(|(a, b)| Step::InsertAfter(a, b)),
        1 => (place.clone(), place.clone()).prop_map(|(a, b)| Step::Move(a, b)),
        4 => place.clone().prop_map(Step::Remove),
        1 => place.clone().prop_map(Step::RemoveAt),
        1 => place.clone().prop_map(Step::Delete),
        1 => (2usize..5).prop_map(Step::Keep),
        1 => Just(Step::Clear),
    ]
}

/// Does the same to the collection and to a plain list of ids.
fn carry_out(canvas: &mut CanvasMut<'_>, list: &mut Vec<Id<Shape>>, step: &Step) {
    let mut shapes = canvas.shapes_mut();
    let first = |list: &[Id<Shape>], id| list.iter().position(|other| *other == id);
    match *step {
        Step::PushNew => list.push(shapes.push(shape(0.0))),
        Step::PushOld(place) => {
            if let Some(id) = list.get(place).copied() {
                list.push(shapes.push(id));
            }
        }
        Step::Insert(place) => {
            let id = shapes.insert(place, shape(0.0));
            list.insert(place.min(list.len()), id);
        }
        Step::InsertAfter(place, other) => {
            let (Some(id), Some(after)) = (list.get(place).copied(), list.get(other).copied())
            else {
                return;
            };
            shapes.insert_after(after, id);
            list.insert(first(list, after).unwrap() + 1, id);
        }
        Step::Move(from, to) => {
            if let Some(id) = list.get(from).copied() {
                assert!(shapes.move_to(to, id));
                list.remove(first(list, id).unwrap());
                list.insert(to.min(list.len()), id);
            }
        }
        Step::Remove(place) => {
            if let Some(id) = list.get(place).copied() {
                assert!(shapes.remove(id));
                list.remove(first(list, id).unwrap());
            }
        }
        Step::RemoveAt(place) => {
            let expected = (place < list.len()).then(|| list.remove(place));
            assert_eq!(shapes.remove_at(place), expected);
        }
        Step::Delete(place) => {
            if let Some(id) = list.get(place).copied() {
                assert!(canvas.delete(id));
                list.retain(|other| *other != id);
            }
        }
        Step::Keep(every) => {
            let kept: Vec<_> = list.iter().step_by(every).copied().collect();
            shapes.retain(|shape| kept.contains(&shape.id()));
            list.retain(|id| kept.contains(id));
        }
        Step::Clear => {
            shapes.clear();
            list.clear();
        }
    }
}

proptest! {
    #[test]
    fn a_collection_in_a_transaction_is_a_list(
        length in 0i32..40,
        transactions in prop::collection::vec(
            prop::collection::vec((step(), any::<bool>()), 0..30), 1..4,
        ),
    ) {
        let mut graph = canvas(0..length);
        let mut list: Vec<_> = typed::read::<Canvas>(&graph).unwrap().shapes().ids().collect();
        for steps in transactions {
            update::<Canvas, _>(&mut graph, |canvas| {
                for (step, look) in &steps {
                    carry_out(canvas, &mut list, step);
                    let shapes = canvas.shapes();
                    assert_eq!(shapes.len(), list.len());
                    assert!(list.iter().all(|id| shapes.contains(*id)));
                    // Looking works the elements out; they have to be right without it, too.
                    if !look {
                        continue;
                    }
                    assert_eq!(shapes.ids().collect::<Vec<_>>(), list);
                    assert_eq!(shapes.last().map(|shape| shape.id()), list.last().copied());
                    assert_eq!(shapes.at(3).map(|shape| shape.id()), list.get(3).copied());
                }
            });
            let shapes = typed::read::<Canvas>(&graph).unwrap().shapes();
            prop_assert_eq!(shapes.ids().collect::<Vec<_>>(), list.clone());
        }
    }
}

/// One thing done to a graph of nodes. Nodes are named by their place among all that were ever made.
#[derive(Debug, Clone)]
enum Growth {
    NewLeft(usize),
    NewChild(usize),
    NewBranch(usize),
    OldLeft(usize, usize),
    OldChild(usize, usize),
    OldParent(usize, usize),
    Cut(usize),
    RemoveChild(usize, usize),
    Rename(usize),
    Delete(usize),
}

fn growth() -> impl Strategy<Value = Growth> {
    let node = 0usize..12;
    let two = (node.clone(), node.clone());
    prop_oneof![
        node.clone().prop_map(Growth::NewLeft),
        node.clone().prop_map(Growth::NewChild),
        node.clone().prop_map(Growth::NewBranch),
        two.clone().prop_map(|(a, b)| Growth::OldLeft(a, b)),
        two.clone().prop_map(|(a, b)| Growth::OldChild(a, b)),
        two.clone().prop_map(|(a, b)| Growth::OldParent(a, b)),
        node.clone().prop_map(Growth::Cut),
        two.prop_map(|(a, b)| Growth::RemoveChild(a, b)),
        node.clone().prop_map(Growth::Rename),
        node.prop_map(Growth::Delete),
    ]
}

fn grow(root: &mut TreeMut<'_>, nodes: &mut Vec<Id<Tree>>, growth: &Growth) {
    let place = match *growth {
        Growth::NewLeft(a) | Growth::NewChild(a) | Growth::NewBranch(a) | Growth::Cut(a) => a,
        Growth::OldLeft(a, _) | Growth::OldChild(a, _) | Growth::OldParent(a, _) => a,
        Growth::RemoveChild(a, _) | Growth::Rename(a) | Growth::Delete(a) => a,
    };
    let id = nodes[place % nodes.len()];
    let old = |place: usize| nodes[place % nodes.len()];
    if let Growth::OldLeft(_, b) | Growth::OldChild(_, b) | Growth::OldParent(_, b) = *growth
        && root.find(old(b)).is_none()
    {
        return;
    }
    let Some(mut node) = root.find(id) else { return };
    let leaf = |label: &str| Tree { label: label.into(), ..Tree::default() };
    match *growth {
        Growth::NewLeft(_) => nodes.push(node.set_left(leaf("left"))),
        Growth::NewChild(_) => nodes.push(node.children_mut().push(leaf("child"))),
        Growth::NewBranch(_) => {
            let branch =
                Tree { children: vec![leaf("a")], left: Some(leaf("b").into()), ..leaf("c") };
            nodes.push(node.children_mut().push(branch));
            let child = root.find(nodes[nodes.len() - 1]).unwrap().children().first().unwrap().id();
            nodes.push(child);
        }
        Growth::OldLeft(_, b) => node.set_left(old(b)),
        Growth::OldChild(_, b) => {
            node.children_mut().push(old(b));
        }
        Growth::OldParent(_, b) => node.set_parent(Some(old(b))),
        Growth::Cut(_) => node.set_left(None),
        Growth::RemoveChild(_, b) => {
            node.children_mut().remove(old(b));
        }
        Growth::Rename(_) => node.set_label(format!("{}'", node.label())),
        Growth::Delete(_) => {
            root.delete(id);
        }
    }
}

/// All nodes that the root reaches, each with all that it says.
fn reached(root: TreeRef<'_>) -> Vec<String> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    let mut waiting = vec![root];
    while let Some(node) = waiting.pop() {
        if seen.contains(&node.id()) {
            continue;
        }
        seen.push(node.id());
        let (left, parent) = (node.left(), node.parent());
        let children: Vec<_> = node.children().iter().collect();
        found.push(format!("{node:?} {} {left:?} {parent:?} {children:?}", node.label()));
        waiting.extend(left.into_iter().chain(parent).chain(children));
    }
    found
}

proptest! {
    /// Whatever hangs from whatever, in circles, twice, or not at all in the end.
    #[test]
    fn a_transaction_sees_the_scope_as_it_will_be(
        transactions in prop::collection::vec(prop::collection::vec(growth(), 0..12), 1..6),
    ) {
        let mut graph = graph(Tree::default());
        let mut nodes = vec![Id::new(graph.root())];
        for steps in transactions {
            let seen = update::<Tree, _>(&mut graph, |root| {
                for step in &steps {
                    grow(root, &mut nodes, step);
                }
                reached(ModelRef::from_object(ModelMut::object(root)))
            });
            prop_assert_eq!(seen, reached(typed::read::<Tree>(&graph).unwrap()));
        }
    }
}

//! Values into objects, and objects back into values.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jetstream::Model;
use jetstream::core::model::{Fragment, FragmentKind, Scalar, Value};
use jetstream::core::time::Timestamp;
use jetstream::typed;

use super::models::*;
use super::{apply, graph, update};

fn kitchen() -> Kitchen {
    let item = |name: &str, qty| Item { name: name.into(), qty };
    let person = |name: &str| Person { name: name.into(), age: Some(40) };
    let cook =
        Cook { person: person("Carl"), speciality: Flavour::Sweet, knife: Some(item("knife", 3)) };
    let leaf = |label: &str| Tree { label: label.into(), ..Tree::default() };
    Kitchen {
        title: "Galley".into(),
        open: false,
        founded_at: Timestamp(1_400_000_000_500),
        flavour: Flavour::Sour,
        heat: Heat::High,
        motto: Some("hot".into()),
        rating: Some(4.5),
        vegan: Some(true),
        inspected_at: Some(UNIX_EPOCH + Duration::from_millis(1_500)),
        mood: Some(Flavour::Salty),
        burner: Some(Heat::Off),
        labels: vec!["a".into(), "b".into()],
        scores: vec![1.0, 2.5],
        counts: vec![7, u32::MAX],
        switches: vec![true, false],
        closures: vec![Timestamp(-1)],
        flavours: vec![Flavour::Sweet, Flavour::Sweet],
        heats: vec![Heat::Low],
        main_item: Some(item("pan", 1)),
        items: vec![item("pot", 2), item("jar", 3)],
        favourites: vec![],
        staff: vec![person("Paula")],
        cook: Some(cook.clone()),
        chef: Some(Box::new(Chef { cook, stars: 3 })),
        tree: Some(Tree {
            left: Some(Box::new(leaf("l"))),
            children: vec![leaf("c")],
            ..leaf("t")
        }),
        annex: Some(Box::default()),
        kind: 0.5,
    }
}

#[test]
fn a_value_comes_back_as_it_went_in() {
    for value in [kitchen(), Kitchen::default()] {
        let graph = graph(value.clone());
        graph.check().unwrap();
        assert_eq!(typed::read::<Kitchen>(&graph).unwrap().to_owned(), Ok(value));
    }
}

#[test]
fn a_value_is_a_change_of_the_root_and_an_add_of_each_object_depth_first() {
    let shape = |x| Shape { x, ..Shape::default() };
    let canvas = Canvas { name: "Demo".into(), shapes: vec![shape(1.0), shape(2.0)] };
    let (root, fragments) = typed::state_of(canvas).unwrap();
    let kinds: Vec<_> = fragments.iter().map(|f| f.kind).collect();
    assert_eq!(kinds, [FragmentKind::Change, FragmentKind::Add, FragmentKind::Add]);
    assert_eq!(fragments[0].object, root);
    let schema = Canvas::schema();
    let (_, canvas) = schema.find("Canvas").unwrap();
    let shapes = [fragments[1].object, fragments[2].object];
    assert_eq!(
        fragments[0].properties,
        [
            (canvas.find("name").unwrap().0, Value::Scalar(Some("Demo".into()))),
            (canvas.find("shapes").unwrap().0, Value::References(shapes.into())),
        ]
    );
    assert_eq!(fragments[2].properties[0].1, Value::Scalar(Some(Scalar::Number(2.0))));
    assert_eq!(fragments[2].properties.len(), 5);
}

#[test]
fn ids_are_random_and_of_version_4() {
    let (a, _) = typed::state_of(Canvas::default()).unwrap();
    let (b, _) = typed::state_of(Canvas::default()).unwrap();
    assert_ne!(a, b);
    assert_eq!(a.as_uuid().get_version_num(), 4);
}

/// What `state_of` says about an item with this quantity in a field of this type.
macro_rules! written {
    ($type:ty, $value:expr) => {{
        #[derive(Model)]
        struct Sample {
            value: $type,
        }
        match typed::state_of(Sample { value: $value }) {
            Ok((_, fragments)) => Ok(fragments[0].properties[0].1.clone()),
            Err(error) => Err(error.to_string()),
        }
    }};
}

#[test]
fn what_no_property_can_hold_is_refused_with_its_name() {
    let number = |number| Ok(Value::Scalar(Some(Scalar::Number(number))));
    assert_eq!(written!(f64, 1.5), number(1.5));
    assert_eq!(written!(i64, -(1 << 53) + 1), number(-9_007_199_254_740_991.0));
    assert_eq!(written!(u64, 3), number(3.0));
    assert_eq!(written!(Option<u8>, None), Ok(Value::Scalar(None)));
    assert_eq!(
        written!(f64, f64::NAN).unwrap_err(),
        "\"value\" of \"Sample\": NaN is no finite number"
    );
    assert_eq!(
        written!(Option<f32>, Some(f32::INFINITY)).unwrap_err(),
        "\"value\" of \"Sample\": inf is no finite number"
    );
    assert_eq!(
        written!(u64, 1 << 53).unwrap_err(),
        "\"value\" of \"Sample\": 9007199254740992 is no exact number in JavaScript (±2^53 - 1)"
    );
    assert_eq!(
        written!(Vec<Timestamp>, vec![Timestamp(i64::MAX)]).unwrap_err(),
        "\"value\" of \"Sample\": the date is outside the years that JavaScript knows"
    );
}

#[test]
fn a_system_time_is_rounded_down_to_the_millisecond() {
    let date = |millis| Ok(Value::Scalar(Some(Scalar::Date(Timestamp(millis)))));
    let micros = Duration::from_micros;
    assert_eq!(written!(SystemTime, UNIX_EPOCH + micros(1_999)), date(1));
    assert_eq!(written!(SystemTime, UNIX_EPOCH - micros(1)), date(-1));
    assert_eq!(written!(SystemTime, UNIX_EPOCH - micros(1_000)), date(-1));
    assert_eq!(written!(SystemTime, UNIX_EPOCH - micros(1_001)), date(-2));
}

/// A change of one property of the root, as a client would make it.
fn change(graph: &jetstream::core::model::graph::Graph, property: &str, value: Value) -> Fragment {
    let root = graph.object(graph.root()).unwrap();
    let (property, _) = graph.schema().model(root.model()).find(property).unwrap();
    Fragment::new(FragmentKind::Change, graph.root(), root.model()).with(property, value)
}

#[test]
fn an_unset_property_reads_as_its_default_or_as_the_default_of_its_type() {
    let mut graph = graph(kitchen());
    for property in ["title", "open", "foundedAt", "flavour", "heat", "motto"] {
        let unset = change(&graph, property, Value::Scalar(None));
        apply(&mut graph, [unset]);
    }
    let kitchen = typed::read::<Kitchen>(&graph).unwrap();
    assert_eq!(kitchen.title(), "Unnamed");
    assert!(kitchen.open());
    assert_eq!(kitchen.founded_at(), Timestamp(1_000_000_000_000));
    assert_eq!(kitchen.flavour(), Flavour::Salty);
    assert_eq!(kitchen.heat(), Heat::Low);
    assert_eq!(kitchen.motto(), None);
    assert_eq!(kitchen.to_owned().unwrap().title, "Unnamed");
}

#[test]
fn a_number_that_is_no_integer_of_the_field_is_an_error_that_names_it() {
    for (number, text) in [
        (1.5, "1.5 is no u32"),
        (-1.0, "-1 is no u32"),
        (4_294_967_296.0, "4294967296 is no u32"),
        (1e300, "is no u32"),
    ] {
        let mut graph = graph(Item::default());
        let fragment = change(&graph, "qty", Value::Scalar(Some(Scalar::Number(number))));
        apply(&mut graph, [fragment]);
        let item = typed::read::<Item>(&graph).unwrap();
        let error = item.qty().unwrap_err().to_string();
        assert!(error.starts_with(&format!("\"qty\" of Item {}: ", graph.root())), "{error}");
        assert!(error.ends_with(text), "{error}");
        assert_eq!(item.to_owned().unwrap_err(), item.qty().unwrap_err());
    }
}

#[test]
fn an_object_that_holds_itself_cannot_become_a_value_but_can_be_read_in_place() {
    let mut graph =
        graph(Tree { label: "t".into(), left: Some(Box::default()), ..Tree::default() });
    update::<Tree, _>(&mut graph, |tree| {
        let root = tree.id();
        tree.left_mut().unwrap().set_left(root);
    });
    let tree = typed::read::<Tree>(&graph).unwrap();
    assert_eq!(tree.left().unwrap().left().unwrap().label(), "t");
    assert_eq!(
        tree.to_owned().unwrap_err().to_string(),
        format!("Node {}: it holds itself, which a value cannot", graph.root())
    );
}

#[test]
fn an_id_refers_back_without_holding_and_is_copied_as_itself() {
    let mut graph = graph(Tree { left: Some(Box::default()), ..Tree::default() });
    update::<Tree, _>(&mut graph, |tree| {
        let root = tree.id();
        tree.left_mut().unwrap().set_parent(root);
    });
    let tree = typed::read::<Tree>(&graph).unwrap();
    let value = tree.to_owned().unwrap();
    assert_eq!(value.left.unwrap().parent, Some(tree.id()));
}

#[test]
fn a_value_may_not_nest_endlessly_nor_become_endlessly_many() {
    let mut deep = graph(Tree::default());
    let depth = typed::COPY_DEPTH_MAX + 1;
    update::<Tree, _>(&mut deep, |tree| {
        let mut id = tree.id();
        for _ in 1..depth {
            tree.find(id).unwrap().set_left(Tree::default());
            id = tree.find(id).unwrap().left_mut().unwrap().id();
        }
    });
    let error = typed::read::<Tree>(&deep).unwrap().to_owned().unwrap_err().to_string();
    assert!(error.ends_with("it lies deeper than a value may, which is 128"), "{error}");

    // Forty objects, each held twice by the one before: a million millions of copies.
    let mut doubled = graph(Tree::default());
    update::<Tree, _>(&mut doubled, |tree| {
        let mut id = tree.id();
        for _ in 0..40 {
            let next = tree.find(id).unwrap().set_left(Tree::default());
            tree.find(id).unwrap().children_mut().push(next);
            id = next;
        }
    });
    let error = typed::read::<Tree>(&doubled).unwrap().to_owned().unwrap_err().to_string();
    assert!(
        error.ends_with("a value holds at most 16 copies for each object of the scope"),
        "{error}"
    );
}

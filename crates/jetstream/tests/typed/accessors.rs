//! Reading in place: what generated accessors give.

use jetstream::Model;
use jetstream::core::ids::ObjectId;
use jetstream::typed::{self, Id, ModelProperty, ModelRef};

use super::graph;
use super::models::*;

fn canvas() -> Canvas {
    let shapes = [1.0, 2.0, 3.0].map(|x| Shape { x, ..Shape::default() });
    Canvas { name: "Demo".into(), shapes: shapes.into() }
}

#[test]
fn a_collection_is_read_by_place_and_by_id() {
    let graph = graph(canvas());
    let canvas = typed::read::<Canvas>(&graph).unwrap();
    assert_eq!(canvas.name(), "Demo");
    let shapes = canvas.shapes();
    assert_eq!(shapes.len(), 3);
    assert!(!shapes.is_empty());
    assert_eq!(shapes.iter().map(|shape| shape.x()).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
    assert_eq!(shapes.into_iter().count(), 3);
    assert_eq!(shapes.at(1).unwrap().x(), 2.0);
    assert!(shapes.at(3).is_none());
    let last = shapes.last().unwrap();
    assert_eq!(last.x(), 3.0);
    assert_eq!(shapes.get(last.id()).unwrap().x(), 3.0);
    assert!(shapes.contains(last.id()));
    assert!(!shapes.contains::<Shape>(Id::new(graph.root())));
    assert_eq!(shapes.ids().last(), Some(last.id()));
}

#[test]
fn an_object_is_found_by_its_id_only_as_what_it_is() {
    let graph = graph(canvas());
    let canvas = typed::read::<Canvas>(&graph).unwrap();
    let shape = canvas.shapes().first().unwrap();
    assert_eq!(canvas.find(shape.id()).unwrap().x(), 1.0);
    assert!(canvas.find::<Canvas>(Id::new(shape.id().object_id())).is_none());
    assert!(canvas.find::<Kitchen>(Id::new(shape.id().object_id())).is_none());
    let nobody: ObjectId = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    assert!(canvas.find::<Shape>(Id::new(nobody)).is_none());
}

#[test]
fn references_to_objects_outlive_the_accessor_they_came_from() {
    let graph = graph(canvas());
    let (name, shape) = {
        let canvas = typed::read::<Canvas>(&graph).unwrap();
        (canvas.name(), canvas.shapes().first().unwrap())
    };
    assert_eq!((name, shape.x()), ("Demo", 1.0));
}

#[test]
fn a_submodel_reads_as_its_supermodel_and_back() {
    let carl = Person { name: "Carl".into(), age: Some(40) };
    let chef = Chef { cook: Cook { person: carl, ..Cook::default() }, stars: 3 };
    let graph = graph(Kitchen { chef: Some(Box::new(chef)), ..Kitchen::default() });
    let kitchen = typed::read::<Kitchen>(&graph).unwrap();
    let chef = kitchen.chef().unwrap();
    // Inherited accessors are there as if they were its own.
    assert_eq!(chef.name(), "Carl");
    assert_eq!(chef.age().unwrap().unwrap(), 40);
    assert_eq!(chef.speciality(), Flavour::Sour);
    assert_eq!(chef.stars().unwrap(), 3);
    let person: PersonRef<'_> = chef.cook().person();
    assert_eq!(person.object().model().name().as_ref(), "Chef");
    assert_eq!(person.cast::<Chef>().unwrap().stars().unwrap(), 3);
    assert_eq!(person.cast::<Cook>().unwrap().id().object_id(), chef.id().object_id());
    assert!(person.cast::<Waiter>().is_none());
    assert_eq!(chef.id().upcast::<Person>(), person.id());
}

#[test]
fn collections_of_plain_values_are_read_in_place() {
    let graph = graph(Kitchen {
        labels: vec!["a".into(), "b".into()],
        counts: vec![1, 2],
        heats: vec![Heat::High],
        ..Kitchen::default()
    });
    let kitchen = typed::read::<Kitchen>(&graph).unwrap();
    assert_eq!(kitchen.labels().iter().collect::<Vec<&str>>(), ["a", "b"]);
    assert_eq!(kitchen.labels().get(1), Some("b"));
    assert_eq!(kitchen.counts().into_iter().sum::<Result<u32, _>>().unwrap(), 3);
    assert_eq!(kitchen.heats().iter().collect::<Vec<_>>(), [Heat::High]);
    assert!(kitchen.scores().is_empty());
}

#[test]
fn a_field_with_the_name_of_a_generated_method_wins() {
    #[derive(Model)]
    struct Page {
        id: String,
        find: f64,
        r#type: bool,
    }
    let graph = graph(Page { id: "p".into(), find: 1.0, r#type: true });
    let page = typed::read::<Page>(&graph).unwrap();
    assert_eq!(page.id(), "p");
    assert_eq!(page.find(), 1.0);
    assert!(page.r#type());
    assert_eq!(page.object().id(), graph.root());
}

#[test]
fn a_model_without_properties_is_a_model() {
    #[derive(Model, Debug, PartialEq)]
    struct Mark {}
    let graph = graph(Mark {});
    assert_eq!(typed::read::<Mark>(&graph).unwrap().to_owned(), Ok(Mark {}));
}

#[test]
fn reading_a_scope_of_other_models_is_refused() {
    let graph = graph(Shape::default());
    let mismatch = typed::read::<Canvas>(&graph).unwrap_err();
    assert_eq!(mismatch.0, ["no model `Canvas`"]);
    let kitchen = super::graph(Kitchen::default());
    let mismatch = typed::read::<Item>(&kitchen).unwrap_err();
    assert_eq!(mismatch.0, ["the root is a `Kitchen`, not a `Item`"]);
}

#[test]
fn properties_are_named_in_both_directions() {
    assert_eq!(KitchenProperty::MainItem.name(), "mainItem");
    assert_eq!(KitchenProperty::find("type"), Some(KitchenProperty::Kind));
    assert_eq!(KitchenProperty::find("kind"), None);
    let name = ChefProperty::Cook(CookProperty::Person(PersonProperty::Name));
    assert_eq!(ChefProperty::find("name"), Some(name));
    assert_eq!(name.name(), "name");
    assert_eq!(ChefProperty::find("stars"), Some(ChefProperty::Stars));
}

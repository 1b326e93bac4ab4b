//! What is remembered of members, and what is forgotten.

use super::*;
use crate::model::Schema;

#[test]
fn of_many_versions_those_that_somebody_has_seen_last_stay() {
    let id = |number| ObjectId::from_uuid(uuid::Uuid::from_u128(number));
    let schema = Schema::builder().model("Node", |m| m.property("all", "[Node]")).build().unwrap();
    let (node, model) = schema.find("Node").unwrap();
    let (all, _) = model.find("all").unwrap();
    let root = Fragment::new(FragmentKind::Change, id(1), node)
        .with(all, Value::References([id(1)].into()));
    let graph = Graph::from_state(Arc::new(schema), id(1), vec![root]).unwrap();
    let mut told = Told::default();
    for (member, seen) in [(1, 0), (2, 30)] {
        told.join(MemberId(member), Revision(seen), false);
    }
    let place = (id(1), all);
    told.before(&graph, Revision(0), &[place]);
    (1..=1_500).for_each(|revision| told.after(&graph, Revision(revision), None, &[place]));
    let kept: Vec<u64> = told.versions[&place].iter().map(|v| v.revision.0).collect();
    assert_eq!((kept.len(), &kept[..3]), (VERSIONS_MAX, &[0, 30, 479][..]));
    assert_eq!(told.version_elements, VERSIONS_MAX);
}

#[test]
fn versions_of_large_collections_are_kept_within_their_bound() {
    let id = |number| ObjectId::from_uuid(uuid::Uuid::from_u128(number));
    let schema = Schema::builder().model("Node", |m| m.property("all", "[Node]")).build().unwrap();
    let (node, model) = schema.find("Node").unwrap();
    let (all, _) = model.find("all").unwrap();
    let root = Fragment::new(FragmentKind::Change, id(1), node)
        .with(all, Value::References([id(1); 100_000].into()));
    let graph = Graph::from_state(Arc::new(schema), id(1), vec![root]).unwrap();
    let mut told = Told::default();
    told.join(MemberId(1), Revision(0), false);
    for revision in 1..=50 {
        told.after(&graph, Revision(revision), None, &[(id(1), all)]);
        let kept: usize =
            told.versions.values().flatten().map(|version| version.elements.len()).sum();
        assert_eq!(kept, told.version_elements);
        assert!((1..=VERSION_ELEMENTS_MAX).contains(&kept), "{kept}");
    }
    told.leave(MemberId(1));
    assert_eq!(told.version_elements, 0);
}

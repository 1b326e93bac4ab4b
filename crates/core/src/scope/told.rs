//! What members below 1.0 were told, and may not have seen when they made their next edit.
//!
//! The original's clients apply what arrives over their own edits, and send whole collections. When such
//! an edit crosses a change by somebody else, client and server end with different values, or the edit
//! takes back what the other one did. So for these members a scope remembers the properties that were
//! changed since what they have acknowledged, and the collections that they may have had, and
//! - reads a whole collection as an edit of the one that explains it best ([`Told::understand`]),
//! - notes where a member may show something else ([`Told::doubt`]), and states the present values of
//!   these places again ([`Told::repair`]).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::access::Glimpse;
use crate::ids::{MemberId, ObjectId, Revision};
use crate::model::merge::rebase;
use crate::model::{
    ChangeSet, ErrorCode, Fragment, FragmentKind, Graph, ObjectRef, PropertyId, PropertyType,
    Rejection, Scalar, Value,
};

use super::pending::Arrival;

/// Whether a member may show something else than is there, and how soon that should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// It shows what is there.
    None,
    /// It may wait a moment for the member to pause.
    Patient,
    /// The member should be told at once.
    Urgent,
}

/// A property of an object.
pub(super) type Place = (ObjectId, PropertyId);

/// What the members below 1.0 were told since what they have acknowledged.
#[derive(Debug, Default)]
pub(super) struct Told {
    members: BTreeMap<MemberId, Record>,
    /// How many members have seen everything up to a revision, and no more: the first of them says what
    /// may be forgotten, without a look at all members with each acknowledgement.
    seen: BTreeMap<Revision, usize>,
    changes: HashMap<Place, Changes>,
    /// The values that collections of references have had.
    versions: HashMap<Place, VecDeque<Version>>,
    /// How many elements those have together.
    version_elements: usize,
    /// The entries of `changes` and `versions`, oldest first.
    log: VecDeque<(Revision, Place)>,
    /// Up to here nothing is known any more: members that have not seen so much are repaired always.
    forgotten: Revision,
    /// Members may come back who were here before a crash: up to this revision nothing is forgotten, although
    /// nobody is here who could want it.
    kept_until: Option<Revision>,
}

/// Who changed a property lately.
#[derive(Debug, Clone, Copy)]
struct Changes {
    last: (Revision, Option<MemberId>),
    /// The latest by anybody but the author of the last.
    by_another: Revision,
}

#[derive(Debug)]
struct Version {
    revision: Revision,
    elements: Arc<[ObjectId]>,
}

/// What an edit can be based on.
struct Base<'a> {
    record: &'a Record,
    arrival: Option<&'a Arrival>,
    glimpse: Glimpse<'a>,
}

/// What is known of one member.
#[derive(Debug, Default)]
struct Record {
    /// Everything up to here it had acknowledged one acknowledgement ago. An edit that it made before it
    /// acknowledged something may still come after that acknowledgement, but not after the next.
    seen: Revision,
    /// Everything up to here it has acknowledged.
    acknowledged: Revision,
    /// It was here before a crash, and what it sends may still be from then.
    returns: bool,
    /// When it got a whole state: until that is acknowledged, any property may be another.
    state: Revision,
    /// Where it may show something else than is there, and the objects there that it surely has.
    doubts: IndexMap<Place, HashSet<ObjectId>>,
    /// Repairs that it may not have seen.
    repairs: HashMap<Place, Revision>,
    /// The collections that it sent last, and the revisions that came of them: until it has seen those,
    /// its next edit may build on what it sent.
    sent: HashMap<Place, (Revision, Arc<[ObjectId]>)>,
    /// Collections that it emptied because an edit was refused. It will tell us so as if it were an edit.
    emptied: HashMap<Place, Revision>,
    /// It writes dates as text, so that is how it reads them best.
    writes_dates_as_text: bool,
}

/// How many commits after a crash it is kept what was changed before it.
const KEPT_COMMITS: u64 = 1_000;
/// Of longer collections no versions are kept for members who may or may not come back: to note one costs as
/// much as the collection is long.
const KEPT_ELEMENTS_MAX: usize = 1_000;
impl Record {
    /// Whether the member may have emptied a collection because an edit of it was refused. Which edits were
    /// refused before a crash is not known any more.
    fn may_have_emptied(&self, place: Place) -> bool {
        self.returns || self.emptied.contains_key(&place)
    }
}

/// Past so many changes that somebody has not acknowledged, the oldest are forgotten.
const LOG_MAX: usize = 100_000;
/// Past so many versions of one collection, the oldest are forgotten, but for those that somebody has
/// seen last. A client that was cut off goes on editing, and any of the versions since then may be what it
/// had: the collections that people edit together are short, and of those many are kept.
const VERSIONS_MAX: usize = 1_024;
/// Of long collections there are fewer versions: to understand an edit each is looked at.
const VERSIONS_MIN: usize = 64;
const VERSION_ELEMENTS_EACH: usize = 100_000;
/// Past so many elements of all versions together, the oldest are forgotten, 32 MB of ids: some twenty
/// versions of the longest collection that fits into a message.
const VERSION_ELEMENTS_MAX: usize = 2_000_000;
/// Past so many elements that were looked at to understand one ChangeSet, its other whole collections are
/// refused. It takes many edits of large collections in one message to come here, and each costs the
/// scope time and memory that its few bytes do not show.
const UNDERSTOOD_ELEMENTS_MAX: usize = 4_000_000;

impl Told {
    /// Knows nothing of what was before this revision, and keeps what comes after it.
    pub(super) fn since(revision: Revision) -> Self {
        let kept_until = Some(Revision(u64::MAX));
        Self { forgotten: revision, kept_until, ..Self::default() }
    }

    /// The crash was here: who was there before it comes back soon, or not at all.
    pub(super) fn goes_on_at(&mut self, revision: Revision) {
        let until = Revision(revision.0.saturating_add(KEPT_COMMITS));
        self.kept_until = self.kept_until.map(|_| until);
    }

    /// `returns`: the member was here before, and may have edits under way that it made on whatever it had.
    pub(super) fn join(&mut self, member: MemberId, revision: Revision, returns: bool) {
        let (seen, state) = if returns { (Revision(0), revision) } else { (revision, Revision(0)) };
        let record = Record { seen, acknowledged: seen, returns, state, ..Record::default() };
        if let Some(before) = self.members.insert(member, record) {
            self.forget_seen(before.seen);
        }
        *self.seen.entry(seen).or_default() += 1;
    }

    pub(super) fn leave(&mut self, member: MemberId) {
        if let Some(record) = self.members.remove(&member) {
            self.forget_seen(record.seen);
            self.prune();
        }
    }

    fn forget_seen(&mut self, revision: Revision) {
        let members = self.seen.get_mut(&revision).expect("every member is counted where it is");
        *members -= 1;
        if *members == 0 {
            self.seen.remove(&revision);
        }
    }

    /// Notes that a member gets the whole state at this revision.
    pub(super) fn tell_state(&mut self, member: MemberId, revision: Revision) {
        if let Some(record) = self.members.get_mut(&member) {
            record.state = revision;
        }
    }

    /// Notes that a member has acknowledged everything up to this revision.
    pub(super) fn see(&mut self, member: MemberId, revision: Revision) {
        let Some(record) = self.members.get_mut(&member) else { return };
        let seen = record.acknowledged;
        record.acknowledged = seen.max(revision);
        if seen <= record.seen {
            return;
        }
        record.returns = false;
        let before = std::mem::replace(&mut record.seen, seen);
        record.repairs.retain(|_, told| *told > seen);
        record.emptied.retain(|_, told| *told > seen);
        record.sent.retain(|_, (told, _)| *told > seen);
        self.forget_seen(before);
        *self.seen.entry(seen).or_default() += 1;
        self.prune();
    }

    /// What a member's ChangeSet that has to wait can be based on, if it holds no more than `room`
    /// elements. The versions that a scope remembers may be forgotten before it is its turn.
    pub(super) fn arrival(
        &self,
        graph: &Graph,
        revision: Revision,
        member: MemberId,
        changes: &ChangeSet,
        room: usize,
    ) -> Option<Arrival> {
        self.members.get(&member)?;
        let mut arrival = Arrival { revision, collections: Vec::new() };
        let mut left = room;
        for fragment in changes.fragments.iter().flatten() {
            let Some(object) = graph.object(fragment.object) else { continue };
            if object.model() != fragment.model {
                continue;
            }
            for (property, value) in &fragment.properties {
                let Value::References(_) = value else { continue };
                left = left.checked_sub(object.references_len(*property))?;
                if let Value::References(elements) = object.value(*property) {
                    arrival.collections.push(((object.id(), *property), elements));
                }
            }
        }
        Some(arrival)
    }

    /// Reads the whole collections of a member's ChangeSet as the edits that they are. `arrival`: what
    /// was there when it came, if it had to wait.
    pub(super) fn understand<'a>(
        &self,
        graph: &Graph,
        member: MemberId,
        changes: &'a ChangeSet,
        arrival: Option<&Arrival>,
        glimpse: Glimpse<'_>,
    ) -> Cow<'a, ChangeSet> {
        let mut changes = Cow::Borrowed(changes);
        let mut looked_at = 0;
        let Some(record) = self.members.get(&member) else { return changes };
        for index in 0..changes.fragments.len() {
            let Ok(fragment) = &changes.fragments[index] else { continue };
            let seen = graph.object(fragment.object).filter(|o| glimpse.sees(o.id()));
            let Some(object) = seen else { continue };
            if object.model() != fragment.model {
                continue;
            }
            if looked_at > UNDERSTOOD_ELEMENTS_MAX && sets_collection(fragment) {
                changes.to_mut().fragments[index] =
                    Err(too_large("too many edits of large collections in one message"));
                continue;
            }
            let meant: Vec<(usize, Value)> = fragment
                .properties
                .iter()
                .enumerate()
                .filter_map(|(slot, (property, sent))| {
                    let base = Base { record, arrival, glimpse };
                    Some((slot, self.meant(&base, object, *property, sent, &mut looked_at)?))
                })
                .collect();
            for (slot, value) in meant {
                if let Ok(fragment) = &mut changes.to_mut().fragments[index] {
                    fragment.properties[slot].1 = value;
                }
            }
        }
        changes
    }

    /// What a member means by a whole collection, if it is something else than what it says.
    fn meant(
        &self,
        base: &Base<'_>,
        object: ObjectRef<'_>,
        property: PropertyId,
        sent: &Value,
        looked_at: &mut usize,
    ) -> Option<Value> {
        let place = (object.id(), property);
        let empty = match sent {
            Value::References(elements) => elements.is_empty(),
            Value::Scalars(elements) => elements.is_empty(),
            Value::Scalar(_) | Value::Reference(_) => return None,
        };
        let present = object.references_len(property) + object.scalars(property).len();
        if empty && base.record.may_have_emptied(place) {
            *looked_at += present;
            return Some(base.glimpse.clip(object.value(property)));
        }
        let Value::References(sent) = sent else { return None };
        let bases = base.glimpse.known(self.bases(base, place));
        if bases.is_empty() {
            return None;
        }
        *looked_at += present + bases.iter().map(|base| base.len() + sent.len()).sum::<usize>();
        let Value::References(present) = base.glimpse.clip(object.value(property)) else {
            return None;
        };
        // A client does not send what it has: a base that explains everything is none.
        let result = rebase(bases.iter().map(|base| &**base), sent, &present);
        (result[..] != sent[..]).then(|| Value::References(result.into()))
    }

    /// The collections that a member may have had at this place when it made an edit, latest first.
    fn bases(&self, base: &Base<'_>, place: Place) -> Vec<Arc<[ObjectId]>> {
        let Base { record, arrival, .. } = base;
        let mut bases: Vec<Arc<[ObjectId]>> = Vec::new();
        if let Some(versions) = self.versions.get(&place) {
            let seen = versions.iter().rposition(|v| v.revision <= record.seen).unwrap_or(0);
            let known = versions.iter().skip(seen).rev();
            // What came after the ChangeSet cannot be what it builds on.
            let known = known.filter(|v| arrival.is_none_or(|then| v.revision <= then.revision));
            bases.extend(known.map(|v| v.elements.clone()));
        }
        let then = arrival.iter().flat_map(|then| &then.collections);
        bases.extend(then.filter(|(at, _)| *at == place).map(|(_, elements)| elements.clone()));
        bases.extend(record.sent.get(&place).map(|(_, elements)| elements.clone()));
        if record.may_have_emptied(place) {
            bases.push([].into());
        }
        bases
    }

    /// Notes the values of collections that are about to change for the first time.
    pub(super) fn before(&mut self, graph: &Graph, revision: Revision, places: &[Place]) {
        if self.is_idle() {
            return;
        }
        for place in places {
            if !self.versions.contains_key(place) {
                self.note_version(graph, revision, *place);
            }
        }
    }

    /// Notes what a commit changed.
    pub(super) fn after(
        &mut self,
        graph: &Graph,
        revision: Revision,
        author: Option<MemberId>,
        places: &[Place],
    ) {
        if self.is_idle() {
            return;
        }
        if self.kept_until.is_some_and(|until| until < revision) {
            self.kept_until = None;
            self.prune();
        }
        for place in places {
            let before = self.changes.get(place).copied();
            let by_another = match before {
                Some(changes) if changes.last.1 != author => changes.last.0,
                Some(changes) => changes.by_another,
                None => Revision(0),
            };
            self.changes.insert(*place, Changes { last: (revision, author), by_another });
            self.note_version(graph, revision, *place);
            self.log.push_back((revision, *place));
        }
        while self.log.len() > LOG_MAX || self.version_elements > VERSION_ELEMENTS_MAX {
            let Some((revision, place)) = self.log.pop_front() else { return };
            self.forgotten = revision;
            self.forget(place, revision);
        }
    }

    fn note_version(&mut self, graph: &Graph, revision: Revision, place: Place) {
        let Some(object) = graph.object(place.0) else { return };
        let property = graph.schema().model(object.model()).property(place.1);
        if !(property.is_reference() && property.is_collection()) {
            return;
        }
        let many = |max| object.references(place.1).take(max + 1).count() > max;
        if self.members.is_empty() && many(KEPT_ELEMENTS_MAX) {
            return;
        }
        let elements: Arc<[_]> = object.references(place.1).map(|element| element.id()).collect();
        self.version_elements += elements.len();
        let versions = self.versions.entry(place).or_default();
        versions.push_back(Version { revision, elements });
        let length = versions.back().map_or(0, |version| version.elements.len());
        if versions.len() > versions_max(length) {
            self.drop_spare_version(place);
        }
    }

    /// Drops the oldest version that is not the last that some member has surely seen. A member that was
    /// away for many versions is understood by that one: what has come since is then not in its array
    /// for a reason that is known, and is not taken out.
    fn drop_spare_version(&mut self, place: Place) {
        let Some(versions) = self.versions.get_mut(&place) else { return };
        let mut seen = vec![false; versions.len()];
        for record in self.members.values() {
            let later = versions.partition_point(|version| version.revision <= record.seen);
            seen[later.saturating_sub(1)] = true;
        }
        let spare = seen.iter().position(|seen| !seen).unwrap_or_default();
        let dropped = versions.remove(spare);
        self.version_elements -= dropped.map_or(0, |version| version.elements.len());
    }

    fn drop_first_version(&mut self, place: Place) {
        let first = self.versions.get_mut(&place).and_then(VecDeque::pop_front);
        self.version_elements -= first.map_or(0, |version| version.elements.len());
    }

    /// Notes where a member may show something else than is there, now that its ChangeSet is answered.
    pub(super) fn doubt(
        &mut self,
        graph: &Graph,
        revision: Revision,
        member: MemberId,
        sent: &ChangeSet,
        replies: &[Result<(), Rejection>],
    ) -> Doubt {
        let Some(mut record) = self.members.remove(&member) else { return Doubt::None };
        let mut doubt = Doubt::None;
        // Of several values for one place in a ChangeSet the client shows the last.
        let mut last: IndexMap<Place, &Value> = IndexMap::new();
        for (fragment, reply) in sent.fragments.iter().zip(replies) {
            let Ok(fragment) = fragment else { continue };
            record.writes_dates_as_text |= !fragment.dates_as_sent.is_empty();
            let Some(object) = graph.object(fragment.object) else { continue };
            if fragment.kind != FragmentKind::Change || object.model() != fragment.model {
                continue;
            }
            for (property, value) in &fragment.properties {
                let place = (object.id(), *property);
                if reply.is_ok() {
                    last.insert(place, value);
                } else if matches!(value, Value::References(_) | Value::Scalars(_)) {
                    // The client takes a refused edit of a collection back by emptying it, and tells us
                    // so as if that were an edit. Then it is repaired.
                    record.emptied.insert(place, revision);
                }
            }
        }
        for (place, value) in last {
            let Some(object) = graph.object(place.0) else { continue };
            let crossed =
                self.may_show_another(&record, member, place) || *value != object.value(place.1);
            let is_unsure = record.state > record.seen || record.doubts.contains_key(&place);
            if !crossed && !is_unsure {
                continue;
            }
            // While a member shows another collection than is there, its edits are easily misread.
            let urgent = crossed && matches!(value, Value::References(_));
            doubt = doubt.max(if urgent { Doubt::Urgent } else { Doubt::Patient });
            let mut bases = self.bases(
                &Base { record: &record, arrival: None, glimpse: Glimpse::default() },
                place,
            );
            if let Value::References(elements) = value {
                record.sent.insert(place, (revision, elements.clone()));
                bases.push(elements.clone());
            } else {
                bases.clear();
            }
            let surely_there = in_all(&bases);
            record
                .doubts
                .entry(place)
                .and_modify(|before| before.retain(|id| surely_there.contains(id)))
                .or_insert(surely_there);
        }
        self.note_sent(&mut record, revision, sent, replies);
        self.members.insert(member, record);
        doubt
    }

    /// Notes values that an answer gave a member instead of its own. It may have edited them again since,
    /// and shows what the answer says.
    pub(super) fn amend(
        &mut self,
        revision: Revision,
        member: MemberId,
        places: impl Iterator<Item = Place>,
    ) {
        if let Some(record) = self.members.get_mut(&member) {
            record.repairs.extend(places.map(|place| (place, revision)));
        }
    }

    /// What a member must be told so that it shows what is there: first objects that it may have
    /// dropped, then values.
    pub(super) fn repair(
        &mut self,
        graph: &Graph,
        revision: Revision,
        member: MemberId,
    ) -> Vec<Fragment> {
        let Some(record) = self.members.get_mut(&member) else { return Vec::new() };
        let mut repair = Repair { graph, restated: IndexSet::new(), changes: Vec::new() };
        for (place, surely_there) in std::mem::take(&mut record.doubts) {
            let Some(object) = graph.object(place.0) else { continue };
            let present = object.value(place.1);
            let dropped = present.references().iter().filter(|id| !surely_there.contains(*id));
            dropped.for_each(|id| repair.restate(*id));
            record.repairs.insert(place, revision);
            repair.changes.push((place, present));
        }
        for id in &repair.restated {
            let Some(object) = graph.object(*id) else { continue };
            let properties = graph.schema().model(object.model()).properties();
            record.repairs.extend(properties.map(|(property, _)| ((*id, property), revision)));
        }
        repair.into_fragments(record.writes_dates_as_text)
    }

    /// Remembers the collections that a member had when it sent them.
    fn note_sent(
        &self,
        record: &mut Record,
        revision: Revision,
        sent: &ChangeSet,
        replies: &[Result<(), Rejection>],
    ) {
        for (fragment, reply) in sent.fragments.iter().zip(replies) {
            let (Ok(fragment), Ok(())) = (fragment, reply) else { continue };
            for (property, value) in &fragment.properties {
                let place = (fragment.object, *property);
                if let Value::References(elements) = value
                    && self.versions.contains_key(&place)
                {
                    record.sent.insert(place, (revision, elements.clone()));
                }
            }
        }
    }

    fn may_show_another(&self, record: &Record, member: MemberId, place: Place) -> bool {
        let by_others = match self.changes.get(&place) {
            Some(changes) if changes.last.1 != Some(member) => changes.last.0,
            Some(changes) => changes.by_another,
            None => Revision(0),
        };
        let repaired = record.repairs.get(&place).copied().unwrap_or_default();
        by_others.max(repaired).max(self.forgotten) > record.seen
    }

    /// Whether nobody is here, or comes back, who may not have seen something.
    fn is_idle(&self) -> bool {
        self.members.is_empty() && self.kept_until.is_none()
    }

    /// Forgets what everybody has seen.
    fn prune(&mut self) {
        if self.kept_until.is_some() {
            return;
        }
        let Some(seen) = self.seen.keys().next().copied() else {
            *self = Self::default();
            return;
        };
        while let Some((revision, _)) = self.log.front()
            && *revision <= seen
        {
            let (_, place) = self.log.pop_front().expect("looked at one line above");
            self.forget(place, seen);
        }
    }

    /// Forgets what was at a place before a revision. The latest of it stays, if there was something later:
    /// it is what the next edit may be based on.
    fn forget(&mut self, place: Place, revision: Revision) {
        if self.changes.get(&place).is_some_and(|changes| changes.last.0 <= revision) {
            self.changes.remove(&place);
            let versions = self.versions.remove(&place).unwrap_or_default();
            self.version_elements -= versions.iter().map(|v| v.elements.len()).sum::<usize>();
            return;
        }
        let second = |told: &Self| Some(told.versions.get(&place)?.get(1)?.revision);
        while second(self).is_some_and(|second| second <= revision) {
            self.drop_first_version(place);
        }
    }
}

/// How many versions of a collection of this length are kept.
fn versions_max(length: usize) -> usize {
    (VERSION_ELEMENTS_EACH / length.max(1)).clamp(VERSIONS_MIN, VERSIONS_MAX)
}

fn sets_collection(fragment: &Fragment) -> bool {
    let mut values = fragment.properties.iter().map(|(_, value)| value);
    values.any(|value| matches!(value, Value::References(_) | Value::Scalars(_)))
}

fn too_large(message: &str) -> Rejection {
    Rejection::new(ErrorCode::TooLarge, message)
}

/// The objects that are in each of these collections; none, if there are no collections.
fn in_all(collections: &[Arc<[ObjectId]>]) -> HashSet<ObjectId> {
    let Some((first, rest)) = collections.split_first() else { return HashSet::new() };
    let mut all: HashSet<ObjectId> = first.iter().copied().collect();
    for collection in rest {
        let there: HashSet<ObjectId> = collection.iter().copied().collect();
        all.retain(|id| there.contains(id));
    }
    all
}

/// A repair in the making.
struct Repair<'g> {
    graph: &'g Graph,
    /// Objects that the member may have dropped.
    restated: IndexSet<ObjectId>,
    changes: Vec<(Place, Value)>,
}

impl Repair<'_> {
    /// States an object with everything below: the client drops what leaves a collection, with all that
    /// only that held.
    fn restate(&mut self, id: ObjectId) {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let Some(object) = self.graph.object(id) else { continue };
            if id == self.graph.root() || !self.restated.insert(id) {
                continue;
            }
            for (property, _) in self.graph.schema().model(object.model()).properties() {
                stack.extend(object.value(property).references());
            }
        }
    }

    fn into_fragments(self, dates_as_text: bool) -> Vec<Fragment> {
        let graph = self.graph;
        let adds = self.restated.iter().filter_map(|id| graph.object(*id)).map(|object| {
            let properties = graph.schema().model(object.model()).properties();
            let values = properties.map(|(property, _)| (property, object.value(property)));
            Fragment {
                properties: values.filter(|(_, v)| *v != Value::Reference(None)).collect(),
                ..Fragment::new(FragmentKind::Add, object.id(), object.model())
            }
        });
        let mut fragments: Vec<Fragment> = adds.collect();
        for ((id, property), value) in self.changes {
            let Some(object) = graph.object(id) else { continue };
            match fragments.last_mut() {
                Some(last) if last.kind == FragmentKind::Change && last.object == id => {
                    last.properties.push((property, value));
                }
                _ => fragments.push(
                    Fragment::new(FragmentKind::Change, id, object.model()).with(property, value),
                ),
            }
        }
        if dates_as_text {
            fragments.iter_mut().for_each(|fragment| write_dates_as_text(graph, fragment));
        }
        fragments
    }
}

/// The original's JavaScript client reads a number as milliseconds, but a text as what it says.
fn write_dates_as_text(graph: &Graph, fragment: &mut Fragment) {
    let model = graph.schema().model(fragment.model);
    for (property, value) in &fragment.properties {
        if model.property(*property).kind() == PropertyType::Date
            && let Value::Scalar(Some(Scalar::Date(date))) = value
            && let Some(text) = date.to_iso8601()
        {
            fragment.dates_as_sent.push((*property, format!("\"{text}\"").into()));
        }
    }
}

#[cfg(test)]
mod tests;

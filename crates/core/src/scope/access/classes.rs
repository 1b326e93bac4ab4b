//! The members of a scope by what they may read.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::judging::{Author, Completed};
use super::passage::{Passage, clip_fragment};
use super::view::{Glimpse, Step, View};
use super::{Access, Claims, ClassKey, Denial, FetchesBy, Rights};
use crate::ids::{MemberId, ObjectId, SharedText};
use crate::model::prospect::Prospect;
use crate::model::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, Graph, PropertyId, Rejection, Sight, Value,
};
use crate::scope::Bodies;
use crate::scope::kept_state::KeptState;
use crate::wire::encode;
use crate::wire::message::Dialect;

/// Who may do and see what in a scope with rules.
#[derive(Debug)]
pub(in crate::scope) struct Classes {
    access: Access,
    members: BTreeMap<MemberId, Guest>,
    /// `None` is the class of those who may read everything.
    classes: BTreeMap<Option<ClassKey>, Class>,
}

#[derive(Debug)]
struct Guest {
    rights: Arc<dyn Rights>,
    class: Option<ClassKey>,
    dialect: Dialect,
    is_known: bool,
}

#[derive(Debug)]
struct Class {
    /// Those of its first member. All members read alike.
    rights: Arc<dyn Rights>,
    view: Option<View>,
    members: BTreeMap<MemberId, Dialect>,
    /// The state as they see it; of no use to those who see everything.
    state: KeptState,
}

/// What a commit is to those who see different things.
#[derive(Debug, Default)]
pub(in crate::scope) struct Consequences {
    /// What its author is told beside the reply.
    pub(in crate::scope) supplement: Option<SharedText>,
    /// What the others are told.
    pub(in crate::scope) audiences: Vec<Audience>,
    /// Those who see less now.
    pub(in crate::scope) narrowed: Vec<MemberId>,
}

/// What other claims of a member come to.
#[derive(Debug, Default)]
pub(in crate::scope) struct Renewal {
    /// What it has to be told, so that it shows what it may see now.
    pub(in crate::scope) body: Option<SharedText>,
    /// Whether it sees less of something.
    pub(in crate::scope) narrows: bool,
}

/// Some members, and what they are told: members of one class who speak the same dialect get the same text.
#[derive(Debug)]
pub(in crate::scope) struct Audience {
    pub(in crate::scope) to: Arc<[MemberId]>,
    pub(in crate::scope) body: SharedText,
}

impl Classes {
    pub(in crate::scope) const fn new(access: Access) -> Self {
        Self { access, members: BTreeMap::new(), classes: BTreeMap::new() }
    }

    /// Whether members may see different things.
    pub(in crate::scope) fn narrow(&self) -> bool {
        self.access.policy.narrows()
    }

    /// Takes a member in.
    ///
    /// # Errors
    ///
    /// It may not be here.
    pub(in crate::scope) fn join(
        &mut self,
        graph: &Graph,
        member: MemberId,
        dialect: Dialect,
        claims: &Claims,
    ) -> Result<(), Rejection> {
        let rights = self.access.policy.rights(claims, &self.access.scope);
        let is_known = !claims.is_anonymous();
        may_fetch(graph, &*rights).map_err(|denial| denial.rejection(is_known))?;
        let class = rights.class();
        self.enter(graph, member, dialect, &class, &rights);
        self.members.insert(member, Guest { rights, class, dialect, is_known });
        Ok(())
    }

    pub(in crate::scope) fn leave(&mut self, member: MemberId) {
        if let Some(guest) = self.members.remove(&member) {
            self.exit(member, &guest.class);
        }
    }

    /// Other claims of a member.
    ///
    /// # Errors
    ///
    /// It may not be here any more, and is not.
    pub(in crate::scope) fn renew(
        &mut self,
        graph: &Graph,
        member: MemberId,
        claims: &Claims,
    ) -> Result<Renewal, Rejection> {
        let Some(guest) = self.members.get_mut(&member) else { return Ok(Renewal::default()) };
        let rights = self.access.policy.rights(claims, &self.access.scope);
        guest.is_known = !claims.is_anonymous();
        if let Err(denial) = may_fetch(graph, &*rights) {
            let rejection = denial.rejection(guest.is_known);
            self.leave(member);
            return Err(rejection);
        }
        let dialect = guest.dialect;
        let after = rights.class();
        guest.rights = rights.clone();
        let before = std::mem::replace(&mut guest.class, after.clone());
        if before == after {
            return Ok(Renewal::default());
        }
        self.enter(graph, member, dialect, &after, &rights);
        let (fragments, narrows) = {
            let view = |key: &Option<ClassKey>| self.classes.get(key).and_then(|c| c.view.as_ref());
            let (from, to) = (view(&before), view(&after));
            let turn = View::between(graph, from, to);
            let step = Step::default();
            let passage = Passage { graph, view: to, turn: &turn, step: &step };
            (passage.fragments(dialect), turn.narrows(&step))
        };
        self.exit(member, &before);
        Ok(Renewal { body: encoded(graph, &fragments, dialect), narrows })
    }

    /// Lets those go who may not be here any more after a commit. They are not told of it.
    pub(in crate::scope) fn expel(
        &mut self,
        graph: &Graph,
        step: &Step,
    ) -> Vec<(MemberId, Rejection)> {
        let by = match step.changed.contains_key(&graph.root()) {
            true => FetchesBy::Root,
            false => FetchesBy::Objects,
        };
        let asked = self.members.iter().filter(|(_, guest)| guest.rights.fetches_by() >= by);
        let denied = asked.filter_map(|(member, guest)| {
            let denial = may_fetch(graph, &*guest.rights).err()?;
            Some((*member, denial.rejection(guest.is_known)))
        });
        let denied: Vec<_> = denied.collect();
        for (member, _) in &denied {
            self.leave(*member);
        }
        denied
    }

    /// The state as a member sees it, and what it sees; `None`: it sees everything, like those whom no rule
    /// keeps from anything.
    pub(in crate::scope) fn state(
        &mut self,
        member: MemberId,
    ) -> Option<(&mut KeptState, &dyn Sight)> {
        let key = &self.members.get(&member)?.class;
        let kept = self.classes.values().map(|class| class.state.byte_length()).sum::<usize>();
        if kept > STATES_BYTES_MAX {
            let others = self.classes.iter_mut().filter(|(other, _)| *other != key);
            others.for_each(|(_, class)| class.state = KeptState::default());
        }
        let class = self.classes.get_mut(key)?;
        Some((&mut class.state, class.view.as_ref()?))
    }

    /// Whether the texts that are kept are what would be written afresh.
    pub(in crate::scope) fn check_states(&mut self, graph: &Graph) -> Result<(), String> {
        self.classes.values_mut().try_for_each(|class| match &class.view {
            Some(view) => class.state.check(graph, Some(view)),
            None => Ok(()),
        })
    }

    /// Lets go of the texts of all states.
    pub(in crate::scope) fn forget_states(&mut self) {
        self.classes.values_mut().for_each(|class| class.state = KeptState::default());
    }

    /// A member as the rules know it.
    pub(in crate::scope) fn author(
        &self,
        member: MemberId,
        completed: Completed,
    ) -> Option<Author<'_>> {
        let guest = self.members.get(&member)?;
        let (rights, is_known) = (&*guest.rights, guest.is_known);
        Some(Author { rights, view: self.view(member), completed, is_known })
    }

    /// What a member means who does not see everything: the hidden elements of a collection that it sends
    /// whole stay where they are, and those that it has not heard are hidden by now are left out.
    pub(in crate::scope) fn meant<'a>(
        &self,
        graph: &Graph,
        member: MemberId,
        mut changes: Cow<'a, ChangeSet>,
    ) -> (Cow<'a, ChangeSet>, Completed) {
        let mut completed = Completed::default();
        let Some(view) = self.view(member) else { return (changes, completed) };
        // Who adds an object itself does not mean the one that it has not heard is hidden by now.
        let fragments = changes.fragments.iter().flatten();
        let adds = fragments.filter(|fragment| fragment.kind == FragmentKind::Add);
        let added: HashSet<ObjectId> = adds.map(|fragment| fragment.object).collect();
        let departed =
            |id: &ObjectId| !view.sees(*id) && view.has_departed(*id) && !added.contains(id);
        for place in 0..changes.fragments.len() {
            forget_hidden_edits(graph, view, &mut changes, place);
            let Ok(fragment) = &changes.fragments[place] else { continue };
            let Some(object) = graph.object(fragment.object) else { continue };
            if object.model() != fragment.model || !view.sees(fragment.object) {
                continue;
            }
            let meant: Vec<(usize, Vec<ObjectId>)> = fragment
                .properties
                .iter()
                .enumerate()
                .filter_map(|(slot, (property, sent))| {
                    let Value::References(sent) = sent else { return None };
                    let Value::References(present) = object.value(*property) else { return None };
                    Some((slot, with_hidden(graph, view, &present, sent, departed)?))
                })
                .collect();
            for (slot, elements) in meant {
                if let Ok(fragment) = &mut changes.to_mut().fragments[place] {
                    let (property, value) = &mut fragment.properties[slot];
                    *value = Value::References(elements.into());
                    completed.insert((fragment.object, *property));
                }
            }
        }
        (changes, completed)
    }

    /// What a member sees; `None`: everything.
    pub(in crate::scope) fn sight(&self, member: MemberId) -> Option<&dyn Sight> {
        self.view(member).map(|view| view as &dyn Sight)
    }

    /// Whether there may be something that a member does not see.
    pub(in crate::scope) fn sees_part(&self, member: MemberId) -> bool {
        self.view(member).is_some()
    }

    /// What a member has an idea of.
    pub(in crate::scope) fn glimpse(&self, member: MemberId) -> Glimpse<'_> {
        Glimpse(self.view(member))
    }

    /// The same fragments without what a member may not see.
    pub(in crate::scope) fn clip(
        &self,
        member: MemberId,
        fragments: Vec<Fragment>,
    ) -> Vec<Fragment> {
        // Who is no member any more is told nothing.
        if !self.members.contains_key(&member) {
            return Vec::new();
        }
        let Some(view) = self.view(member) else { return fragments };
        fragments.into_iter().filter_map(|fragment| clip_fragment(view, fragment)).collect()
    }

    /// The properties of an object that a plan adds which its author may not see.
    pub(in crate::scope) fn hidden_in_reply(
        &self,
        member: MemberId,
        after: &Prospect<'_>,
        id: ObjectId,
    ) -> Vec<PropertyId> {
        let Some(guest) = self.members.get(&member).filter(|guest| guest.class.is_some()) else {
            return Vec::new();
        };
        let Some(object) = after.object(id) else { return Vec::new() };
        match guest.rights.hidden(after.root(), object) {
            Some(hidden) => hidden.to_vec(),
            None => object.definition().properties().map(|(property, _)| property).collect(),
        }
    }

    /// A commit was made.
    pub(in crate::scope) fn follow(
        &mut self,
        graph: &Graph,
        step: &Step,
        author: Option<MemberId>,
        open: &Bodies,
    ) -> Consequences {
        let mut consequences = Consequences::default();
        let Consequences { supplement, audiences, narrowed } = &mut consequences;
        for class in self.classes.values_mut() {
            let Some(mut view) = class.view.take() else {
                for dialect in [Dialect::Original, Dialect::V1] {
                    audiences.extend(class.audience(dialect, author, open.get(dialect).cloned()));
                }
                continue;
            };
            let turn = view.follow(graph, &*class.rights, step);
            if !class.state.is_empty() {
                turn.note(graph, step, &mut class.state);
            }
            let passage = Passage { graph, view: Some(&view), turn: &turn, step };
            for dialect in [Dialect::Original, Dialect::V1] {
                if class.others(dialect, author).next().is_some() {
                    let body = encoded(graph, &passage.fragments(dialect), dialect);
                    audiences.extend(class.audience(dialect, author, body));
                }
            }
            if let Some(dialect) = author.and_then(|author| class.members.get(&author)) {
                *supplement = encoded(graph, &passage.for_author(), *dialect);
            }
            if turn.narrows(step) {
                narrowed.extend(class.members.keys());
            }
            class.view = Some(view);
        }
        consequences
    }

    fn view(&self, member: MemberId) -> Option<&View> {
        let guest = self.members.get(&member)?;
        self.classes.get(&guest.class)?.view.as_ref()
    }

    fn enter(
        &mut self,
        graph: &Graph,
        member: MemberId,
        dialect: Dialect,
        key: &Option<ClassKey>,
        rights: &Arc<dyn Rights>,
    ) {
        let class = self.classes.entry(key.clone()).or_insert_with(|| Class {
            rights: rights.clone(),
            view: key.is_some().then(|| View::new(graph, &**rights)),
            members: BTreeMap::new(),
            state: KeptState::default(),
        });
        class.members.insert(member, dialect);
    }

    fn exit(&mut self, member: MemberId, key: &Option<ClassKey>) {
        let Some(class) = self.classes.get_mut(key) else { return };
        class.members.remove(&member);
        if class.members.is_empty() {
            self.classes.remove(key);
        }
    }
}

impl Class {
    fn others(
        &self,
        dialect: Dialect,
        author: Option<MemberId>,
    ) -> impl Iterator<Item = MemberId> + '_ {
        let members = self.members.iter();
        let others =
            members.filter(move |(id, spoken)| **spoken == dialect && Some(**id) != author);
        others.map(|(id, _)| *id)
    }

    fn audience(
        &self,
        dialect: Dialect,
        author: Option<MemberId>,
        body: Option<SharedText>,
    ) -> Option<Audience> {
        let to: Arc<[MemberId]> = self.others(dialect, author).collect();
        let body = body?;
        (!to.is_empty()).then_some(Audience { to, body })
    }
}

/// Past so many bytes of texts of all classes together, only the one is kept that is needed at the moment.
const STATES_BYTES_MAX: usize = 64 << 20;

fn may_fetch(graph: &Graph, rights: &dyn Rights) -> Result<(), Denial> {
    rights.fetch(Prospect::present(graph).root())
}

fn encoded(graph: &Graph, fragments: &[Fragment], dialect: Dialect) -> Option<SharedText> {
    (!fragments.is_empty()).then(|| encode::fragments(graph.schema(), fragments, dialect))
}

/// An edit that takes a hidden object out, or puts something behind one, means nobody: for those who see the
/// object it must not mean more.
fn forget_hidden_edits(graph: &Graph, view: &View, changes: &mut Cow<'_, ChangeSet>, place: usize) {
    let is_hidden = |id: &ObjectId| !view.sees(*id) && graph.object(*id).is_some();
    let names_hidden = |edit: &CollectionEdit| match edit {
        CollectionEdit::Remove { object } => is_hidden(object),
        CollectionEdit::Insert { after, .. } => after.as_ref().is_some_and(is_hidden),
    };
    let Ok(fragment) = &changes.fragments[place] else { return };
    if !fragment.collections.iter().flat_map(|(_, edits)| edits).any(names_hidden) {
        return;
    }
    let Ok(fragment) = &mut changes.to_mut().fragments[place] else { return };
    for edit in fragment.collections.iter_mut().flat_map(|(_, edits)| edits) {
        match edit {
            CollectionEdit::Remove { object } if is_hidden(object) => *object = ObjectId::NIL,
            CollectionEdit::Insert { after: Some(after), .. } if is_hidden(after) => {
                *after = ObjectId::NIL;
            }
            CollectionEdit::Remove { .. } | CollectionEdit::Insert { .. } => {}
        }
    }
}

/// A collection that was sent by somebody who does not see all of it, with what is hidden in its place: behind
/// what it stands behind now, as far as that is still meant to be there. `None`: it is meant as it was sent.
fn with_hidden(
    graph: &Graph,
    view: &View,
    present: &[ObjectId],
    sent: &[ObjectId],
    departed: impl Fn(&ObjectId) -> bool,
) -> Option<Vec<ObjectId>> {
    let meant: Vec<ObjectId> = sent.iter().copied().filter(|id| !departed(id)).collect();
    // Who names what it cannot know is refused like any id that nobody has.
    if meant.iter().any(|id| !view.sees(*id) && graph.object(*id).is_some()) {
        return None;
    }
    let stays: HashSet<ObjectId> = meant.iter().copied().collect();
    let mut behind: HashMap<Option<ObjectId>, Vec<ObjectId>> = HashMap::new();
    let mut last = None;
    for id in present {
        if !view.sees(*id) {
            behind.entry(last).or_default().push(*id);
        } else if stays.contains(id) {
            last = Some(*id);
        }
    }
    if behind.is_empty() && meant.len() == sent.len() {
        return None;
    }
    let mut complete = behind.remove(&None).unwrap_or_default();
    for id in meant {
        complete.push(id);
        complete.extend(behind.remove(&Some(id)).unwrap_or_default());
    }
    Some(complete)
}

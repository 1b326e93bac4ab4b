//! A client's copy of one scope: what the server confirmed, with our own edits on top.
//!
//! The two are kept apart. What the server sends goes to the confirmed state, which is therefore always
//! some revision of the scope, exactly. What is shown is the confirmed state with the ChangeSets that the
//! server has not answered yet applied again on top. An answer moves a ChangeSet from one to the other, or
//! drops it; so nothing flickers, nothing is lost, and what was refused disappears without a trace.

use std::collections::VecDeque;

use crate::ids::ObjectId;
use crate::model::effects::Effects;
use crate::model::{
    ChangeSet, CollectionEdit, Fragment, Graph, JudgeLimits, PropertyId, Rejection, Value, judge,
};

/// Names an edit until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EditId(u64);

/// The server said something that does not fit the confirmed state: the scope has to be fetched again.
///
/// Between peers that follow the protocol only one thing brings it about: an edit of our own that names what
/// was hidden from us before the server read it. A client that carries on regardless would show something
/// that is nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server's change does not fit the confirmed state: {0}")]
pub struct Diverged(Rejection);

/// Values that the server put in place of those sent, or beside them: for a fragment, by its place.
pub type Modifications = Vec<(usize, Vec<(PropertyId, Value)>)>;

/// A client's copy of one scope.
#[derive(Debug)]
pub struct Replica {
    confirmed: Graph,
    /// Our edits that the server has not answered yet, oldest first.
    pending: VecDeque<(EditId, ChangeSet)>,
    next_edit: EditId,
    /// The confirmed state with `pending` on top; `None` if nothing is pending or it is out of date.
    shown: Option<Graph>,
    /// What has changed in what is shown since somebody asked; `None` if nobody will.
    news: Option<News>,
}

/// What has changed in what is shown.
#[derive(Debug, Default)]
struct News {
    /// Step by step, as far as the steps are known.
    steps: Vec<Effects>,
    /// What was shown after them, where it is only known by comparing what came next.
    before: Option<Graph>,
}

impl Replica {
    /// A copy that begins with a state from the server.
    pub const fn new(confirmed: Graph) -> Self {
        Self { confirmed, pending: VecDeque::new(), next_edit: EditId(0), shown: None, news: None }
    }

    /// Whether [`take_effects`](Self::take_effects) is to have something to tell, from now on.
    pub fn watch(&mut self, watched: bool) {
        if watched != self.news.is_some() {
            self.refresh();
            self.news = watched.then(News::default);
        }
    }

    /// What has changed in what is shown since the last call, if somebody [watches](Self::watch).
    ///
    /// Costs what the changes cost, but for changes of the confirmed state under pending edits: those are
    /// found by comparing everything, once however much was received in between.
    pub fn take_effects(&mut self) -> Vec<Effects> {
        self.refresh();
        let Some(news) = self.news.as_mut().map(std::mem::take) else { return Vec::new() };
        let mut steps = news.steps;
        if let Some(before) = news.before {
            steps.push(Effects::between(&before, self.shown.as_ref().unwrap_or(&self.confirmed)));
        }
        steps.retain(|effects| *effects != Effects::default());
        steps
    }

    /// Makes an edit, to be sent to the server.
    ///
    /// # Errors
    ///
    /// One reply per fragment, if what is shown does not admit all of them: then nothing happens.
    pub fn edit(&mut self, changes: ChangeSet) -> Result<EditId, Vec<Result<(), Rejection>>> {
        self.refresh();
        let shown = self.shown.get_or_insert_with(|| self.confirmed.clone());
        let judgement = judge(shown, &changes, &JudgeLimits::NONE);
        if judgement.replies.iter().any(Result::is_err) {
            return Err(judgement.replies);
        }
        if let Some(plan) = judgement.plan {
            if let Some(news) = self.news.as_mut().filter(|news| news.before.is_none()) {
                news.steps.push(plan.effects(shown));
            }
            shown.apply(plan);
        }
        let id = self.next_edit;
        self.next_edit = EditId(id.0 + 1);
        self.pending.push_back((id, changes));
        Ok(id)
    }

    /// Takes the server's answer to an edit: what it accepted becomes confirmed, the rest disappears.
    ///
    /// An edit that is not pending (any more) is ignored.
    ///
    /// # Errors
    ///
    /// If what the server accepted cannot be applied; see [`Diverged`].
    pub fn answer(
        &mut self,
        edit: EditId,
        replies: &[Result<(), Rejection>],
        modifications: Modifications,
    ) -> Result<(), Diverged> {
        let Some(place) = self.place(edit) else { return Ok(()) };
        // The common case: the server has applied the oldest edit as it lies there, and nothing that is
        // shown changes.
        let as_shown = place == 0
            && self.shown.is_some()
            && modifications.is_empty()
            && replies.iter().all(Result::is_ok);
        if !as_shown {
            self.outdate();
        }
        let (_, mut changes) = self.pending.remove(place).expect("found a few lines above");
        for (place, properties) in modifications {
            if let Some(Ok(fragment)) = changes.fragments.get_mut(place) {
                take_over(fragment, properties);
            }
        }
        let accepted = changes.fragments.into_iter().zip(replies);
        let accepted =
            accepted.filter_map(|(fragment, reply)| fragment.ok().filter(|_| reply.is_ok()));
        let confirmed = self.confirm(accepted.collect(), as_shown);
        if self.pending.is_empty() {
            self.shown = None;
        }
        confirmed
    }

    /// Drops an edit of which the confirmed state says already what became of it, because it came after the
    /// answer.
    pub fn settle(&mut self, edit: EditId) {
        if let Some(place) = self.place(edit) {
            self.outdate();
            self.pending.remove(place);
        }
    }

    /// Takes a commit of somebody else.
    ///
    /// # Errors
    ///
    /// If it cannot be applied; see [`Diverged`].
    pub fn receive(&mut self, fragments: Vec<Fragment>) -> Result<(), Diverged> {
        if !self.pending.is_empty() {
            self.outdate();
        }
        self.confirm(fragments, false)
    }

    /// Takes a whole state in place of the confirmed one. What is pending stays so; if the root is another
    /// one, edits of the old root become edits of the new.
    pub fn reset(&mut self, confirmed: Graph) {
        self.outdate();
        let (old, new) = (self.confirmed.root(), confirmed.root());
        if old != new {
            for (_, changes) in &mut self.pending {
                rename(changes, old, new);
            }
        }
        let old = std::mem::replace(&mut self.confirmed, confirmed);
        if let Some(news) = &mut self.news {
            news.before.get_or_insert(old);
        }
    }

    /// What a view should show. After a change of the confirmed state under pending edits this copies
    /// the graph, once however much was received in between.
    pub fn shown(&mut self) -> &Graph {
        self.refresh();
        self.shown.as_ref().unwrap_or(&self.confirmed)
    }

    /// The state that the server confirmed: some revision of the scope.
    pub const fn confirmed(&self) -> &Graph {
        &self.confirmed
    }

    /// The edits that the server has not answered yet, oldest first.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = (EditId, &ChangeSet)> {
        self.pending.iter().map(|(id, changes)| (*id, changes))
    }

    /// A pending edit, as it was made.
    pub fn changes(&self, edit: EditId) -> Option<&ChangeSet> {
        self.place(edit).map(|place| &self.pending[place].1)
    }

    fn place(&self, edit: EditId) -> Option<usize> {
        self.pending.binary_search_by_key(&edit, |(id, _)| *id).ok()
    }

    /// What is shown is about to become something else. With pending edits, how it differs is only known
    /// afterwards.
    fn outdate(&mut self) {
        let shown = self.shown.take();
        let Some(news) = &mut self.news else { return };
        if let (None, Some(shown)) = (&news.before, shown) {
            news.before = Some(shown);
        }
    }

    /// `quiet`: what is shown has it already.
    fn confirm(&mut self, fragments: Vec<Fragment>, quiet: bool) -> Result<(), Diverged> {
        if fragments.is_empty() {
            return Ok(());
        }
        let changes = ChangeSet::new(fragments);
        let judgement = judge(&self.confirmed, &changes, &JudgeLimits::NONE);
        if let Some(refusal) = judgement.replies.into_iter().find_map(Result::err) {
            self.outdate();
            return Err(Diverged(refusal));
        }
        if let Some(plan) = judgement.plan {
            if let Some(news) = self.news.as_mut().filter(|news| !quiet && news.before.is_none()) {
                news.steps.push(plan.effects(&self.confirmed));
            }
            self.confirmed.apply(plan);
        }
        Ok(())
    }

    fn refresh(&mut self) {
        if self.shown.is_some() || self.pending.is_empty() {
            return;
        }
        let mut shown = self.confirmed.clone();
        for (_, changes) in &self.pending {
            // What does not fit any more is not shown; whether it is refused is for the server to say.
            if let Some(plan) = judge(&shown, changes, &JudgeLimits::NONE).plan {
                shown.apply(plan);
            }
        }
        self.shown = Some(shown);
    }
}

/// Makes what was done to one object be done to another.
fn rename(changes: &mut ChangeSet, from: ObjectId, to: ObjectId) {
    let one = |id: &mut ObjectId| {
        if *id == from {
            *id = to;
        }
    };
    for fragment in changes.fragments.iter_mut().flatten() {
        one(&mut fragment.object);
        for (_, value) in &mut fragment.properties {
            match value {
                Value::Reference(Some(id)) => one(id),
                Value::References(ids) if ids.contains(&from) => {
                    *ids = ids.iter().map(|id| if *id == from { to } else { *id }).collect();
                }
                _ => {}
            }
        }
        for edit in fragment.collections.iter_mut().flat_map(|(_, edits)| edits) {
            match edit {
                CollectionEdit::Insert { object, after } => {
                    one(object);
                    after.as_mut().into_iter().for_each(one);
                }
                CollectionEdit::Remove { object } => one(object),
            }
        }
    }
}

fn take_over(fragment: &mut Fragment, properties: Vec<(PropertyId, Value)>) {
    for (property, value) in properties {
        match fragment.properties.iter_mut().find(|(named, _)| *named == property) {
            Some((_, sent)) => *sent = value,
            None => fragment.properties.push((property, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ids::ObjectId;
    use crate::model::{FragmentKind, Scalar, Schema};

    const ROOT: ObjectId = ObjectId::from_uuid(uuid::Uuid::from_u128(1));

    fn graph() -> Graph {
        let schema = Schema::builder()
            .model("Canvas", |m| m.property("name", "String").property("shapes", "[Canvas]"))
            .build()
            .unwrap();
        let canvas = schema.find("Canvas").unwrap().0;
        Graph::new(Arc::new(schema), ROOT, canvas)
    }

    fn name(graph: &Graph) -> String {
        let root = graph.object(ROOT).unwrap();
        let (name, _) = graph.schema().model(root.model()).find("name").unwrap();
        match root.scalar(name) {
            Some(Scalar::String(text)) => text.to_string(),
            _ => String::new(),
        }
    }

    fn rename(name: &str) -> Fragment {
        let graph = graph();
        let (canvas, model) = graph.schema().find("Canvas").unwrap();
        let property = model.find("name").unwrap().0;
        Fragment::new(FragmentKind::Change, ROOT, canvas)
            .with(property, Value::Scalar(Some(Scalar::from(name))))
    }

    fn add(number: u128) -> [Fragment; 2] {
        let graph = graph();
        let (canvas, model) = graph.schema().find("Canvas").unwrap();
        let shapes = model.find("shapes").unwrap().0;
        let object = ObjectId::from_uuid(uuid::Uuid::from_u128(number));
        let edit = CollectionEdit::Insert { object, after: None };
        [
            Fragment::new(FragmentKind::Add, object, canvas),
            Fragment::new(FragmentKind::Change, ROOT, canvas).with_edits(shapes, vec![edit]),
        ]
    }

    #[test]
    fn a_pending_edit_stays_on_top_of_what_arrives() {
        let mut replica = Replica::new(graph());
        let edit = replica.edit(ChangeSet::new([rename("mine")])).unwrap();
        replica.receive(vec![rename("theirs")]).unwrap();
        assert_eq!(name(replica.shown()), "mine");
        assert_eq!(name(replica.confirmed()), "theirs");
        replica.answer(edit, &[Ok(())], Vec::new()).unwrap();
        assert_eq!(name(replica.confirmed()), "mine");
        assert_eq!(replica.pending().len(), 0);
    }

    #[test]
    fn a_refused_edit_disappears_and_those_behind_it_stay() {
        let mut replica = Replica::new(graph());
        let first = replica.edit(ChangeSet::new([rename("refused")])).unwrap();
        replica.edit(ChangeSet::new(add(2))).unwrap();
        replica.answer(first, &[Err(Rejection::fragment("no"))], Vec::new()).unwrap();
        assert_eq!(name(replica.shown()), "");
        assert_eq!(replica.shown().len(), 2);
        assert_eq!(replica.confirmed().len(), 1);
    }

    #[test]
    fn modifications_are_taken_over() {
        let mut replica = Replica::new(graph());
        let edit = replica.edit(ChangeSet::new([rename("Mine")])).unwrap();
        let modified = rename("mine").properties;
        replica.answer(edit, &[Ok(())], vec![(0, modified)]).unwrap();
        assert_eq!(name(replica.shown()), "mine");
    }

    #[test]
    fn pending_edits_are_put_back_on_a_fresh_state() {
        let mut replica = Replica::new(graph());
        replica.edit(ChangeSet::new(add(2))).unwrap();
        replica.reset(graph());
        assert_eq!(replica.shown().len(), 2);
        assert_eq!(replica.pending().len(), 1);
    }

    #[test]
    fn an_edit_that_does_not_fit_is_refused_at_once() {
        let mut replica = Replica::new(graph());
        let [stray, _] = add(2);
        assert!(replica.edit(ChangeSet::new([stray])).is_err());
        assert_eq!(replica.pending().len(), 0);
        assert_eq!(replica.shown().len(), 1);
    }

    #[test]
    fn an_edit_that_is_answered_before_an_earlier_one_lies_below_it() {
        let mut replica = Replica::new(graph());
        let first = replica.edit(ChangeSet::new([rename("first")])).unwrap();
        let second = replica.edit(ChangeSet::new([rename("second")])).unwrap();
        replica.answer(second, &[Ok(())], Vec::new()).unwrap();
        assert_eq!(name(replica.shown()), "first");
        replica.answer(first, &[Ok(())], Vec::new()).unwrap();
        assert_eq!(name(replica.shown()), "first");
    }

    #[test]
    fn a_commit_that_does_not_fit_is_noticed() {
        let mut replica = Replica::new(graph());
        let [stray, _] = add(2);
        assert!(replica.receive(vec![stray]).is_err());
    }

    #[test]
    fn a_state_with_another_root_takes_pending_edits_of_the_old_one() {
        let mut replica = Replica::new(graph());
        replica.edit(ChangeSet::new(add(2))).unwrap();
        let schema = graph().schema().clone();
        let canvas = schema.find("Canvas").unwrap().0;
        replica.reset(Graph::new(schema, ObjectId::from_uuid(uuid::Uuid::from_u128(9)), canvas));
        assert_eq!(replica.shown().len(), 2);
    }

    /// What is told of the changes leads from each picture to the next, whatever happens below.
    #[test]
    fn effects_lead_from_what_was_shown_to_what_is() {
        let mut replica = Replica::new(graph());
        replica.watch(true);
        let mut before = replica.shown().clone();
        let mut pending = VecDeque::new();
        let mut steps = Vec::new();
        for (number, step) in "eraeerarRAesaeRra".chars().enumerate() {
            let number = 10 + number as u128;
            match step {
                'e' => pending.push_back(replica.edit(ChangeSet::new(add(number))).unwrap()),
                'r' => replica.receive(vec![rename(&number.to_string())]).unwrap(),
                'R' => replica.receive(add(number).into()).unwrap(),
                'a' => {
                    let edit = pending.pop_front().unwrap();
                    replica.answer(edit, &[Ok(()), Ok(())], Vec::new()).unwrap();
                }
                'A' => {
                    let refused = || Err(Rejection::fragment("no"));
                    let edit = pending.pop_front().unwrap();
                    replica.answer(edit, &[refused(), refused()], Vec::new()).unwrap();
                }
                _ => replica.reset(graph()),
            }
            let told = replica.take_effects();
            let after = replica.shown().clone();
            let expected = Effects::between(&before, &after);
            assert_eq!(told.first().cloned().unwrap_or_default(), expected, "at {number}: {step}");
            steps.push(told.len());
            before = after;
        }
        // An answer that only confirms what is shown is no news.
        assert_eq!(steps[2], 0);
    }

    #[test]
    fn who_does_not_watch_is_told_nothing() {
        let mut replica = Replica::new(graph());
        replica.edit(ChangeSet::new(add(2))).unwrap();
        assert_eq!(replica.take_effects(), []);
    }
}

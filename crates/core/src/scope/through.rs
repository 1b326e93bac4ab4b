//! ChangeSets that are written through: somebody else takes them before they are committed, and has the say.
//!
//! Two changes of the same place must be committed in the order in which the other took them, or the two would
//! part for ever. That order cannot be read from answers, which may overtake each other. So what touches the
//! same place is written one after the other, in the order in which it came, and what does not is written side by
//! side: in whatever order those are taken, the result is the same.

use std::collections::{BTreeMap, BTreeSet};

use super::pending::{Amended, Asked, Said, Stage};
use super::{Outcome, Output, Scope, Terms, WriteOrder, durable, refuse_all, tell};
use crate::ids::{ObjectId, Ticket};
use crate::model::draft::Plan;
use crate::model::prospect::Prospect;
use crate::model::{ChangeSet, ErrorCode, Graph, Judgement, PropertyId, Rejection};
use crate::time::{Millis, Now};
use crate::wire::update::Update;

/// What changes touch: whole objects (`None`), or some of their properties.
#[derive(Debug, Default)]
pub(super) struct Touches(BTreeMap<ObjectId, Option<BTreeSet<PropertyId>>>);

impl Touches {
    /// What a plan touches: properties that it changes, and as a whole each object that it makes, takes away or
    /// hangs elsewhere.
    fn of(graph: &Graph, plan: &Plan) -> Self {
        let prospect = Prospect::with(graph, plan);
        let mut touches = Self::default();
        for (key, property) in plan.fields.keys() {
            touches.property(prospect.at(*key).id(), *property);
        }
        let moved = plan.edges.keys().map(|(child, _)| *child).chain(plan.orphans.iter().copied());
        let moved = moved.map(|key| prospect.at(key).id());
        let added = plan.added.iter().map(|added| added.id);
        for object in moved.chain(added) {
            touches.0.insert(object, None);
        }
        touches
    }

    fn property(&mut self, object: ObjectId, property: PropertyId) {
        let properties = self.0.entry(object).or_insert_with(|| Some(BTreeSet::new()));
        if let Some(properties) = properties {
            properties.insert(property);
        }
    }

    fn add(&mut self, other: &Self) {
        for (object, properties) in &other.0 {
            match properties {
                None => drop(self.0.insert(*object, None)),
                Some(properties) => {
                    properties.iter().for_each(|property| self.property(*object, *property));
                }
            }
        }
    }

    /// Whether both touch something.
    fn meet(&self, other: &Self) -> bool {
        other.0.iter().any(|(object, properties)| match (self.0.get(object), properties) {
            (None, _) => false,
            (Some(None), _) | (_, None) => true,
            (Some(Some(ours)), Some(theirs)) => !ours.is_disjoint(theirs),
        })
    }
}

/// What is being written, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Through {
    written: BTreeMap<Ticket, Touches>,
    /// By the order in which they came, in which they also fall due.
    waiting: BTreeMap<u64, Behind>,
    last: u64,
}

/// A ChangeSet that touches what others touch that are being written.
#[derive(Debug)]
struct Behind {
    asked: Asked,
    said: Vec<Said>,
    updates: Vec<Update>,
    touches: Touches,
    due: Millis,
}

/// Where a ChangeSet stands that waited, and until when it may.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    came: u64,
    due: Millis,
}

impl Through {
    /// A call is over.
    pub(super) fn close(&mut self, ticket: Ticket) {
        self.written.remove(&ticket);
    }

    /// When the first of those that wait has waited too long.
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.waiting.first_key_value().map(|(_, behind)| behind.due)
    }

    pub(super) fn into_waiting(self) -> impl Iterator<Item = Asked> {
        self.waiting.into_values().map(|behind| behind.asked)
    }

    fn touches(&self) -> Touches {
        let mut all = Touches::default();
        self.written.values().for_each(|touches| all.add(touches));
        all
    }

    /// Whether something touches what is being written, or what waits for that and came before.
    fn is_met(&self, touches: &Touches, came: u64) -> bool {
        let before = self.waiting.range(..came).map(|(_, behind)| &behind.touches);
        self.written.values().chain(before).any(|other| other.meet(touches))
    }

    /// Takes out those that wait for nothing any more.
    fn release(&mut self) -> Vec<(Turn, Behind)> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let mut taken = self.touches();
        let free = self.waiting.iter().filter(|(_, behind)| {
            let waits = taken.meet(&behind.touches);
            taken.add(&behind.touches);
            !waits
        });
        let free: Vec<u64> = free.map(|(came, _)| *came).collect();
        let release = |came: u64| {
            let behind = self.waiting.remove(&came)?;
            Some((Turn { came, due: behind.due }, behind))
        };
        free.into_iter().filter_map(release).collect()
    }

    /// The turn of a ChangeSet that has come just now.
    fn new_turn(&mut self, due: Millis) -> Turn {
        self.last += 1;
        Turn { came: self.last, due }
    }
}

impl Scope {
    /// Whether somebody else has to take a ChangeSet before it is committed. What leaves with its session is
    /// nobody else's business.
    pub(super) fn is_written_through(&self, changes: &ChangeSet) -> bool {
        self.options.write.is_some() && !durable::is_passing(&self.graph, changes)
    }

    /// Has a ChangeSet taken that was judged, or puts it behind others that touch the same.
    pub(super) fn write(
        &mut self,
        now: Now,
        mut asked: Asked,
        (said, updates): (Vec<Said>, Vec<Update>),
        (meant, judgement, amended): (&ChangeSet, Judgement, &Amended),
        turn: Option<Turn>,
        out: &mut Vec<Output>,
    ) {
        let judgement = self.if_it_can_last(meant, judgement);
        let (Some(plan), true) = (&judgement.plan, self.members.get(asked.member).is_some()) else {
            return self.finish(now, &asked, meant, judgement, (amended, &updates), out);
        };
        let touches = match self.options.write {
            Some(WriteOrder::Places) => Touches::of(&self.graph, plan),
            Some(WriteOrder::Authors) | None => Touches::default(),
        };
        self.note_arrival(&mut asked);
        let due = now.mono.plus(self.options.limits.procedure_timeout_ms);
        let through = &mut self.pending.through;
        let Turn { came, due } = turn.unwrap_or_else(|| through.new_turn(due));
        if through.is_met(&touches, came) {
            self.pending.hold(&asked);
            let behind = Behind { asked, said, updates, touches, due };
            self.pending.through.waiting.insert(came, behind);
            return;
        }
        let completed = tell::completed(self.graph.schema(), meant, &judgement.replies);
        let fragments = completed.into_iter().map(|c| c.fragment.into_owned()).collect();
        let heard = (said, updates, judgement.replies);
        let ticket = self.call(now, asked, Stage::Write, heard, fragments, out);
        self.pending.through.written.insert(ticket, touches);
    }

    /// Goes on with those that waited for what has been written.
    pub(super) fn go_on_writing(&mut self, now: Now, out: &mut Vec<Output>) {
        // One that is not written after all sets others free.
        loop {
            let released = self.pending.through.release();
            if released.is_empty() {
                return;
            }
            for (turn, Behind { asked, said, updates, .. }) in released {
                let member = asked.member;
                self.pending.let_go(&asked);
                let (meant, amended, judgement) = self.heard(&asked, &said);
                let judged = (&meant, judgement, &amended);
                self.write(now, asked, (said, updates), judged, Some(turn), out);
                self.go_on(now, member, out);
            }
        }
    }

    /// Refuses those that have waited too long.
    pub(super) fn give_up_writes(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some(due) = self.pending.through.deadline()
            && due <= now.mono
            && let Some((_, Behind { asked, .. })) = self.pending.through.waiting.pop_first()
        {
            self.pending.let_go(&asked);
            let message = "changes of the same were not written in time";
            let refusal = Rejection::new(ErrorCode::ProcedureFailed, message);
            let judgement = refuse_all(&asked.changes, &refusal);
            self.conclude(now, &asked, &asked.changes, judgement, &Amended::new(), out);
            self.go_on(now, asked.member, out);
        }
        self.go_on_writing(now, out);
    }

    /// Carries out what was decided, and then what else was asked for.
    pub(super) fn finish(
        &mut self,
        now: Now,
        asked: &Asked,
        meant: &ChangeSet,
        judgement: Judgement,
        (amended, updates): (&Amended, &[Update]),
        out: &mut Vec<Output>,
    ) {
        let before = self.revision;
        self.conclude(now, asked, meant, judgement, amended, out);
        if self.revision == before {
            return;
        }
        for update in updates {
            let changes = update.change_set(&self.graph, &self.options.limits, &mut no_id);
            let outcome = match changes {
                Ok(changes) => self.apply(now, &Terms::default(), &changes, out).1,
                Err(refusal) => Outcome::Judged { replies: vec![Err(refusal)], added: Vec::new() },
            };
            let (ticket, revision) = (Ticket(0), self.revision);
            self.pass(Output::Updated { ticket, revision, outcome }, out);
        }
    }
}

/// Updates of a verdict have all their ids.
fn no_id() -> ObjectId {
    ObjectId::NIL
}

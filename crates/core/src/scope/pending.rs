//! ChangeSets that wait for a verdict from outside, and what waits behind them.
//!
//! A procedure with an action asks somebody else, who may take long. Meanwhile the scope goes on: its
//! other members do not notice. Only what the same member says later waits behind, for its
//! ChangeSets keep their order, and its acknowledgements mean something only in their place among them.
//! When the verdict comes, the ChangeSet is judged anew on what is there by then.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::ids::{MemberId, MessageIndex, ObjectId, Origin, Revision, Ticket};
use crate::limits::Limit;
use crate::model::{
    ChangeSet, ErrorCode, Fragment, Judgement, ProcedureName, PropertyId, Rejection, Value,
};
use crate::time::{Millis, Now, sooner};
use crate::wire::update::Update;

use super::through::Through;
use super::told::Place;
use super::{Output, Scope, refuse_all};

/// A question to whoever carries out procedures: may this be applied?
#[derive(Debug, Clone)]
pub struct Call {
    /// Goes into the answer, [`Input::Verdict`](super::Input::Verdict).
    pub ticket: Ticket,
    /// Whose ChangeSet it is.
    pub member: MemberId,
    /// The message that carried it.
    pub origin: Origin,
    /// Which procedure is called; `None`: a ChangeSet that has to be validated.
    pub procedure: Option<ProcedureName>,
    /// Either all fragments are applied or none is.
    pub atomic: bool,
    /// What would be applied at the moment, in order. What cannot be applied anyway is left out.
    pub fragments: Arc<[Fragment]>,
    /// Whether it is to be written through, and not only to be decided about.
    pub write: bool,
    /// The scope's revision at the moment.
    pub revision: Revision,
}

/// The answer to a [`Call`].
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// What is said of each fragment of the call, in order. What is left out at the end is accepted.
    Accept(Vec<FragmentVerdict>),
    /// The same; and if anything is applied, these updates follow as the application's own. Each object that they
    /// make has its id: [`Update::with_ids`].
    AcceptAnd(Vec<FragmentVerdict>, Vec<Update>),
    /// Nothing is applied, and why.
    Refuse(Rejection),
}

/// What becomes of one fragment of a [`Call`].
#[derive(Debug, Clone, PartialEq)]
pub enum FragmentVerdict {
    /// It is applied as it is.
    Accept,
    /// It is applied with these values instead of, or beside, those that it sets.
    Amend(Vec<(PropertyId, Value)>),
    /// It is not applied, and why.
    Refuse(Rejection),
}

impl Verdict {
    /// Everything is applied as it is.
    pub const ACCEPT: Self = Self::Accept(Vec::new());

    /// Nothing is applied, because the action could not be carried out.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Refuse(Rejection::new(ErrorCode::ProcedureFailed, message))
    }
}

/// What a member asks.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) member: MemberId,
    pub(super) message: MessageIndex,
    /// Up to which message the member has its answers.
    pub(super) delivered: MessageIndex,
    pub(super) changes: ChangeSet,
    /// What was there when it came, if that is not now.
    pub(super) arrival: Option<Arrival>,
}

/// What a member below 1.0 can have known of when it sent a ChangeSet that had to wait.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    pub(super) revision: Revision,
    /// The collections that it sets, as they were.
    pub(super) collections: Vec<(Place, Arc<[ObjectId]>)>,
}

/// Something of a member's that waits for its turn.
#[derive(Debug)]
pub(super) enum Waiting {
    Sync(Asked),
    Seen(Revision),
    Leave,
}

/// A call that is out.
#[derive(Debug)]
struct Open {
    asked: Asked,
    /// Which fragments of the ChangeSet were asked about; why the others cannot be applied.
    replies: Vec<Result<(), Rejection>>,
    due: Millis,
    stage: Stage,
    /// What was said of it before, and what is to follow it.
    said: Vec<Said>,
    updates: Vec<Update>,
}

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Whether it may be applied.
    Decide,
    /// That somebody else takes it.
    Write,
}

/// A verdict, and what it is about.
#[derive(Debug)]
pub(super) struct Said {
    replies: Vec<Result<(), Rejection>>,
    verdict: Verdict,
}

/// What has become of a ChangeSet until a call: what was said of it, what is to follow it, and its replies.
type Heard = (Vec<Said>, Vec<Update>, Vec<Result<(), Rejection>>);

/// The values that the verdict put into fragments, by the fragments' places in the ChangeSet.
pub(super) type Amended = BTreeMap<usize, Vec<PropertyId>>;

/// All calls that are out. Costs nothing while there are none.
#[derive(Debug, Default)]
pub(super) struct Pending {
    last_ticket: Ticket,
    /// In the order in which they fall due, for all may take equally long.
    open: BTreeMap<Ticket, Open>,
    /// A line for each member that has a call out, or whose turn it is.
    lines: BTreeMap<MemberId, Line>,
    /// How many elements the arrivals hold that wait.
    elements: usize,
    /// What of them is written through.
    pub(super) through: Through,
}

#[derive(Debug, Default)]
struct Line {
    /// Whether a call of the member is out.
    is_out: bool,
    waiting: VecDeque<Waiting>,
    /// How many ChangeSets of it.
    syncs: usize,
}

/// Past so many elements of collections as they were, no more are kept, 32 MB of ids. Members below
/// 1.0 are then understood by what the scope remembers anyway.
const ARRIVED_ELEMENTS_MAX: usize = 2_000_000;

impl Pending {
    /// Whether what a member says has to wait for its turn.
    pub(super) fn holds(&self, member: MemberId) -> bool {
        !self.lines.is_empty() && self.lines.contains_key(&member)
    }

    /// How many elements of collections an arrival may hold.
    fn room(&self) -> usize {
        ARRIVED_ELEMENTS_MAX.saturating_sub(self.elements)
    }

    /// Puts something behind a member's call. Past `syncs_max` ChangeSets the rest are emptied: they are
    /// refused when it is their turn.
    fn wait(&mut self, member: MemberId, waiting: Waiting, syncs_max: usize) {
        let Some(line) = self.lines.get_mut(&member) else { return };
        let waiting = match (waiting, line.waiting.back_mut()) {
            (Waiting::Seen(revision), Some(Waiting::Seen(last))) => {
                // What was acknowledged in between is not needed: it only makes the scope surer.
                *last = revision.max(*last);
                return;
            }
            (Waiting::Sync(mut asked), _) => {
                if line.syncs >= syncs_max {
                    empty(&mut asked);
                }
                line.syncs += 1;
                self.elements += asked.elements();
                Waiting::Sync(asked)
            }
            (waiting, _) => waiting,
        };
        line.waiting.push_back(waiting);
    }

    /// Notes that somebody is asked.
    fn open(&mut self, open: Open) -> Ticket {
        let ticket = self.last_ticket.next();
        self.last_ticket = ticket;
        self.hold(&open.asked);
        self.open.insert(ticket, open);
        ticket
    }

    /// What a member says from now on waits behind this.
    pub(super) fn hold(&mut self, asked: &Asked) {
        self.elements += asked.elements();
        self.lines.entry(asked.member).or_default().is_out = true;
    }

    /// The opposite.
    pub(super) fn let_go(&mut self, asked: &Asked) {
        self.elements -= asked.elements();
        if let Some(line) = self.lines.get_mut(&asked.member) {
            line.is_out = false;
        }
    }

    /// Takes up what was asked about. `None`: it has had its verdict.
    fn close(&mut self, ticket: Ticket) -> Option<Open> {
        let open = self.open.remove(&ticket)?;
        self.through.close(ticket);
        self.let_go(&open.asked);
        Some(open)
    }

    /// A call that has taken too long.
    fn overdue(&self, now: Millis) -> Option<Ticket> {
        let (ticket, open) = self.open.first_key_value()?;
        (open.due <= now).then_some(*ticket)
    }

    /// All that is not decided yet.
    pub(super) fn into_asked(self) -> impl Iterator<Item = Asked> {
        let waiting = self.lines.into_values().flat_map(|line| line.waiting);
        let waiting = waiting.filter_map(|waiting| match waiting {
            Waiting::Sync(asked) => Some(asked),
            Waiting::Seen(_) | Waiting::Leave => None,
        });
        let behind = self.through.into_waiting();
        self.open.into_values().map(|open| open.asked).chain(behind).chain(waiting)
    }

    /// When the next call has taken too long.
    pub(super) fn deadline(&self) -> Option<Millis> {
        let open = self.open.first_key_value().map(|(_, open)| open.due);
        sooner(open, self.through.deadline())
    }

    /// What comes next of a member, unless a call of it is out. When nothing is left, nothing of it waits
    /// any more.
    fn next(&mut self, member: MemberId) -> Option<Waiting> {
        let line = self.lines.get_mut(&member).filter(|line| !line.is_out)?;
        let next = line.waiting.pop_front();
        match &next {
            None => drop(self.lines.remove(&member)),
            Some(Waiting::Sync(asked)) => {
                line.syncs -= 1;
                self.elements -= asked.elements();
            }
            Some(Waiting::Seen(_) | Waiting::Leave) => {}
        }
        next
    }
}

impl Asked {
    fn elements(&self) -> usize {
        let collections = self.arrival.iter().flat_map(|arrival| &arrival.collections);
        collections.map(|(_, elements)| elements.len()).sum()
    }
}

impl Said {
    /// Does to a ChangeSet what the verdict says. What was not asked about stays refused.
    fn amend(&self, changes: &mut ChangeSet, amended: &mut Amended) {
        let (verdicts, refusal) = match &self.verdict {
            Verdict::Accept(verdicts) | Verdict::AcceptAnd(verdicts, _) => (&verdicts[..], None),
            Verdict::Refuse(refusal) => (&[][..], Some(refusal)),
        };
        let mut verdicts = verdicts.iter().cloned();
        for (place, (slot, reply)) in changes.fragments.iter_mut().zip(&self.replies).enumerate() {
            let verdict = match (reply, refusal) {
                (Err(reason), _) => FragmentVerdict::Refuse(reason.clone()),
                (Ok(()), Some(refusal)) => FragmentVerdict::Refuse(refusal.clone()),
                (Ok(()), None) => verdicts.next().unwrap_or(FragmentVerdict::Accept),
            };
            match (verdict, slot) {
                (FragmentVerdict::Accept, _) => {}
                (FragmentVerdict::Refuse(reason), slot) => *slot = Err(reason),
                (FragmentVerdict::Amend(values), Ok(fragment)) => {
                    let properties: &mut Vec<_> = amended.entry(place).or_default();
                    properties.extend(values.iter().map(|(property, _)| *property));
                    set(fragment, values);
                }
                // It has become unreadable since, and is refused for that.
                (FragmentVerdict::Amend(_), Err(_)) => {}
            }
        }
    }
}

impl Scope {
    /// Whether somebody has to be asked about a ChangeSet.
    pub(super) fn has_action(&self, changes: &ChangeSet) -> bool {
        match &changes.procedure {
            None => self.options.validate,
            Some(name) => self.options.procedures.get(name).is_some_and(|called| called.action),
        }
    }

    /// Sets a ChangeSet aside until there is a verdict.
    pub(super) fn ask(
        &mut self,
        now: Now,
        mut asked: Asked,
        fragments: Arc<[Fragment]>,
        replies: Vec<Result<(), Rejection>>,
        out: &mut Vec<Output>,
    ) {
        self.note_arrival(&mut asked);
        let heard = (Vec::new(), Vec::new(), replies);
        self.call(now, asked, Stage::Decide, heard, fragments, out);
    }

    /// Asks about a ChangeSet of somebody who is a member.
    pub(super) fn call(
        &mut self,
        now: Now,
        asked: Asked,
        stage: Stage,
        (said, updates, replies): Heard,
        fragments: Arc<[Fragment]>,
        out: &mut Vec<Output>,
    ) -> Ticket {
        let (member, message) = (asked.member, asked.message);
        let session = self.members.get(member).map(|author| author.session).unwrap_or_default();
        let origin = Origin { session, message };
        let (procedure, atomic) = (asked.changes.procedure.clone(), asked.changes.atomic);
        let due = now.mono.plus(self.options.limits.procedure_timeout_ms);
        let ticket = self.pending.open(Open { asked, replies, due, stage, said, updates });
        let (write, revision) = (stage == Stage::Write, self.revision);
        let call = Call { ticket, member, origin, procedure, atomic, fragments, write, revision };
        out.push(Output::Call(call));
        ticket
    }

    /// Puts a ChangeSet behind an earlier one of the same member.
    pub(super) fn wait_with(&mut self, mut asked: Asked) {
        self.note_arrival(&mut asked);
        self.wait(asked.member, Waiting::Sync(asked));
    }

    pub(super) fn wait(&mut self, member: MemberId, waiting: Waiting) {
        self.pending.wait(member, waiting, self.options.limits.procedure_waiting_max);
    }

    /// Judges anew what was asked about, with what the verdict says, and goes on with what waited behind.
    pub(super) fn decide(
        &mut self,
        now: Now,
        ticket: Ticket,
        verdict: Verdict,
        out: &mut Vec<Output>,
    ) {
        let Some(open) = self.pending.close(ticket) else { return };
        let Open { asked, replies, stage, mut said, mut updates, .. } = open;
        if let Verdict::AcceptAnd(_, more) = &verdict {
            updates.extend(more.iter().cloned());
        }
        said.push(Said { replies, verdict });
        let (meant, amended, judgement) = self.heard(&asked, &said);
        let member = asked.member;
        let is_next = stage == Stage::Decide && judgement.plan.is_some();
        if is_next && self.is_written_through(&meant) {
            let judged = (&meant, judgement, &amended);
            self.write(now, asked, (said, updates), judged, None, out);
        } else {
            self.finish(now, &asked, &meant, judgement, (&amended, &updates), out);
        }
        self.go_on(now, member, out);
        self.go_on_writing(now, out);
    }

    /// What a ChangeSet has become with what was said of it, judged on what is there by now.
    pub(super) fn heard(&self, asked: &Asked, said: &[Said]) -> (ChangeSet, Amended, Judgement) {
        let meant = self.meaning(asked.member, &asked.changes, asked.arrival.as_ref());
        // What the procedure admits, and what the member may do, is what the member sent, not what a verdict
        // makes of it.
        let (meant, admitted) = self.admit_again(asked.member, meant);
        let (mut meant, mut amended) = (meant.into_owned(), Amended::new());
        said.iter().for_each(|said| said.amend(&mut meant, &mut amended));
        let judgement = match admitted {
            Ok(()) => self.judge_amended(asked.member, &meant, &amended),
            Err(refusal) => refuse_all(&meant, &refusal),
        };
        (meant, amended, judgement)
    }

    /// Refuses what nobody has decided in time.
    pub(super) fn give_up_calls(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some(ticket) = self.pending.overdue(now.mono) {
            let verdict = Verdict::failed("there was no answer in time");
            self.decide(now, ticket, verdict, out);
        }
        self.give_up_writes(now, out);
    }

    /// Does what a member said behind its call, up to the next one.
    pub(super) fn go_on(&mut self, now: Now, member: MemberId, out: &mut Vec<Output>) {
        while let Some(waiting) = self.pending.next(member) {
            match waiting {
                Waiting::Sync(asked) => self.sync(now, asked, out),
                Waiting::Seen(revision) => self.told.see(member, revision),
                Waiting::Leave => self.leave(now, member, out),
            }
        }
    }

    /// Remembers what a member below 1.0 can have known of when it sent what has to wait.
    pub(super) fn note_arrival(&mut self, asked: &mut Asked) {
        if asked.arrival.is_none() {
            let (changes, room) = (&asked.changes, self.pending.room());
            asked.arrival =
                self.told.arrival(&self.graph, self.revision, asked.member, changes, room);
        }
    }
}

/// Puts values in place of, or beside, those that a fragment sets.
fn set(fragment: &mut Fragment, values: Vec<(PropertyId, Value)>) {
    for (property, value) in values {
        fragment.collections.retain(|(edited, _)| *edited != property);
        fragment.dates_as_sent.retain(|(date, _)| *date != property);
        match fragment.properties.iter_mut().find(|(other, _)| *other == property) {
            Some((_, present)) => *present = value,
            None => fragment.properties.push((property, value)),
        }
    }
}

/// Keeps of a ChangeSet only that it must be answered.
fn empty(asked: &mut Asked) {
    asked.arrival = None;
    for fragment in &mut asked.changes.fragments {
        let message = "too many changes wait for an earlier one";
        *fragment = Err(Rejection::too_fast(Limit::ProcedureWaiting, message));
    }
}

//! One shared tree of objects: its members, its revisions, who is told what and when.
//!
//! [`Scope`] is the only writer of its graph. It judges ChangeSets in the order in which they come,
//! turns them into [`Commit`]s, and holds back everything that depends on an [`Entry`] of its log until
//! the shell says that it is durable.

pub mod access;
mod answered;
mod application;
mod awaiting;
mod durable;
mod entry;
mod exchange;
mod gate;
mod guarded;
mod kept_state;
mod members;
mod options;
mod pending;
mod presence;
mod recent;
mod state;
mod tell;
mod through;
mod told;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use indexmap::IndexSet;

use crate::ids::{
    MemberId, MessageIndex, ObjectId, Origin, Position, Revision, SessionId, SharedText,
};
use crate::model::constraint::admits;
use crate::model::{
    ChangeSet, ErrorCode, Fragment, FragmentKind, Graph, JudgeLimits, Judgement, PropertyId,
    Rejection, Sight,
};
use crate::time::{Millis, Now, sooner};
use crate::wire::encode;
use crate::wire::message::Dialect;

pub use access::{Access, Claims};
use access::{Audience, Classes, Consequences, Step};
pub use answered::{
    Answered, REQUEST_ANSWER_MS_MAX, REQUEST_ANSWERS_BYTES_MAX, REQUEST_ANSWERS_MAX,
};
pub use application::{Outcome, Terms};
use awaiting::Awaiting;
use durable::Durable;
pub use entry::{Answer, Commit, Entry};
pub use exchange::{Bodies, Input, Listeners, Output};
use gate::Gate;
use kept_state::KeptState;
use members::{Member, Members};
pub use options::{
    Options, Procedure, REPAIR_DELAY_MS, STATE_KEPT_MS, STATE_STEP_BYTES, Visible, WriteOrder,
};
use pending::{Amended, Asked, Pending, Waiting};
pub use pending::{Call, FragmentVerdict, Verdict};
use presence::Presence;
pub use recent::Recent;
pub use state::{encode_state, first_state_fragments, object_fragment, state_fragments};
use told::{Doubt, Place, Told};

/// One shared tree of objects.
#[derive(Debug)]
pub struct Scope {
    graph: Graph,
    options: Options,
    limits: JudgeLimits,
    members: Members,
    told: Told,
    presence: Presence,
    pending: Pending,
    classes: Option<Classes>,
    /// The members with a repair to come, and when; the soonest first.
    repairs_due: VecDeque<(Millis, MemberId)>,
    revision: Revision,
    gate: Gate,
    /// What the log has of the objects.
    durable: Durable,
    /// What authors were told, as long as it may not have reached them.
    answered: Answered,
    /// Up to where the log that the scope began with has answers of each author.
    answered_before: BTreeMap<SessionId, MessageIndex>,
    /// Why nothing can be stored at present.
    frozen: Option<SharedText>,
    /// The state as text, for the members that come next and see everything.
    state: KeptState,
    /// Until when it is kept, and what there is for those who see a part.
    states_kept_until: Option<Millis>,
    awaiting: Awaiting,
}

impl Scope {
    /// A scope that begins with this graph.
    pub fn new(graph: Graph, options: Options) -> Self {
        Self::restored(Restored::new(graph), options)
    }

    /// A scope that goes on from what was stored.
    pub fn restored(restored: Restored, options: Options) -> Self {
        let Restored { graph, revision, position, answered, recent } = restored;
        let durable = if options.stored { Durable::of(&graph) } else { Durable::default() };
        Self {
            durable,
            answered_before: answered.newest(),
            answered,
            frozen: None,
            gate: Gate::new(position, options.visible),
            graph,
            limits: JudgeLimits::from(&*options.limits),
            classes: options.access.clone().map(Classes::new),
            options,
            members: Members::default(),
            told: recent.into_told(revision),
            presence: Presence::default(),
            pending: Pending::default(),
            repairs_due: VecDeque::new(),
            revision,
            state: KeptState::default(),
            states_kept_until: None,
            awaiting: Awaiting::default(),
        }
    }

    /// Takes one input. All its consequences are in `out` when this returns, but for those that wait
    /// for [`Input::Persisted`].
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Join { member, session, dialect, claims, returns } => {
                self.join(now, member, Member { session, dialect, returns }, &claims, out);
            }
            Input::Leave { member } => match self.pending.holds(member) {
                true => self.wait(member, Waiting::Leave),
                false => self.leave(now, member, out),
            },
            Input::Claims { member, claims } => self.renew(now, member, &claims, out),
            Input::Resync { member } => {
                if self.members.get(member).is_some() {
                    self.tell_state(now, member, false, out);
                }
            }
            Input::Seen { member, revision } => match self.pending.holds(member) {
                true => self.wait(member, Waiting::Seen(revision)),
                false => self.told.see(member, revision),
            },
            Input::Sync { member, message, delivered, changes } => {
                let asked = Asked { member, message, delivered, changes, arrival: None };
                match self.pending.holds(member) {
                    true => self.wait_with(asked),
                    false => self.sync(now, asked, out),
                }
            }
            Input::Verdict { ticket, verdict } => self.decide(now, ticket, verdict, out),
            Input::Update { ticket, terms, changes } => {
                self.update(now, ticket, &terms, &changes, out);
            }
            Input::Persisted { position } => self.gate.open(position, out),
            Input::Frozen { why } => self.frozen = why,
            Input::Deadline => {
                self.repair_what_is_due(now, out);
                self.give_up_calls(now, out);
                self.tell_states(now, out);
                self.forget_states(now);
            }
        }
    }

    /// When [`Input::Deadline`] is due: the next repair, or the end of the time that a call may take or that
    /// a text is kept; at once, while a state is being written.
    pub fn deadline(&self) -> Option<Millis> {
        let repair = self.repairs_due.front().map(|(due, _)| *due);
        let states = sooner(self.awaiting.deadline(), self.states_kept_until);
        sooner(sooner(repair, self.pending.deadline()), states)
    }

    /// The answers that may not have reached their authors.
    pub const fn answered(&self) -> &Answered {
        &self.answered
    }

    /// The objects as they are now, durable or not.
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many commits there have been.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// How many memberships there are.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// The scope's models, bounds and procedures.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Ends a scope whose last entries could not be stored: what its members and the application asked
    /// and were not told yet is refused.
    ///
    /// `kept` is what the log has: who has an answer there is told it when it joins again.
    pub fn into_refusals(self, why: &str, kept: &Answered) -> Vec<Output> {
        let (refusal, revision) = (not_saved(why), self.revision);
        let refuse = |member, message, count| {
            let (lasting, body) = (false, encode::refusals(&refusal, count));
            Output::Reply { member, message, revision, lasting, body }
        };
        let is_kept = |member, message| {
            let session = self.members.get(member).map(|member| member.session);
            session.is_some_and(|session| kept.get(Origin { session, message }).is_some())
        };
        let undecided = self
            .pending
            .into_asked()
            .map(|asked| refuse(asked.member, asked.message, asked.changes.fragments.len()));
        let refused = self.gate.into_held().filter_map(|output| match output {
            Output::Reply { member, message, body, .. } if !is_kept(member, message) => {
                Some(refuse(member, message, encode::replies_count(&body)))
            }
            Output::Updated { ticket, outcome, .. } => {
                let outcome = outcome.into_not_saved(why);
                Some(Output::Updated { ticket, revision, outcome })
            }
            _ => None,
        });
        refused.chain(undecided).collect()
    }

    fn join(
        &mut self,
        now: Now,
        member: MemberId,
        joining: Member,
        claims: &Claims,
        out: &mut Vec<Output>,
    ) {
        let session = joining.session;
        if let Some(classes) = &mut self.classes
            && let Err(error) = classes.join(&self.graph, member, joining.dialect, claims)
        {
            return self.pass(Output::Dismissed { member, error }, out);
        }
        let is_first = !self.members.has_session(session);
        self.members.join(member, joining);
        if is_first {
            self.tell_answers(member, session, out);
        }
        self.tell_state(now, member, true, out);
    }

    /// Gives a session that comes back after a crash the answers that may not have reached it: before the
    /// state, which has what they are about.
    fn tell_answers(&mut self, member: MemberId, session: SessionId, out: &mut Vec<Output>) {
        let revision = self.revision;
        for answer in self.answered.of(session) {
            let (message, body) = (answer.origin.message, answer.reply.clone());
            let reply = Output::Reply { member, message, revision, lasting: true, body };
            self.gate.pass(reply, out);
        }
    }

    fn leave(&mut self, now: Now, member: MemberId, out: &mut Vec<Output>) {
        let Some(session) = self.members.leave(member) else { return };
        self.told.leave(member);
        self.awaiting.leave(member);
        if let Some(classes) = &mut self.classes {
            classes.leave(member);
        }
        // A session that fetched the scope twice is still there with its other membership.
        if self.members.has_session(session) {
            return;
        }
        self.answered.forget(session);
        self.answered_before.remove(&session);
        if let Some(changes) = self.presence.leave(&self.graph, session) {
            self.apply(now, &Terms::default(), &changes, out);
        }
    }

    /// Judges a member's ChangeSet. Either that decides it, or somebody is asked. One that was answered
    /// before is answered again.
    fn sync(&mut self, now: Now, asked: Asked, out: &mut Vec<Output>) {
        let Some(author) = self.members.get(asked.member) else { return };
        let (member, message, changes) = (asked.member, asked.message, &asked.changes);
        if let Some(answer) = self.answered.get(Origin { session: author.session, message }) {
            let (revision, body) = (self.revision, answer.reply.clone());
            let reply = Output::Reply { member, message, revision, lasting: true, body };
            return self.pass(reply, out);
        }
        if self.was_passed_over(author.session, message)
            && !durable::is_passing(&self.graph, changes)
        {
            let judgement = refuse_all(changes, &not_saved("what came after it is"));
            return self.conclude(now, &asked, changes, judgement, &Amended::new(), out);
        }
        let meant = self.meaning(member, changes, asked.arrival.as_ref());
        let (meant, judgement) = self.judge(member, meant);
        // Nobody is asked about what cannot be kept.
        let judgement = self.if_it_can_last(&meant, judgement);
        if judgement.plan.is_some() && self.has_action(&meant) {
            let completed = tell::completed(self.graph.schema(), &meant, &judgement.replies);
            let fragments = completed.into_iter().map(|c| c.fragment.into_owned()).collect();
            drop(meant);
            return self.ask(now, asked, fragments, judgement.replies, out);
        }
        if judgement.plan.is_some() && self.is_written_through(&meant) {
            let meant = meant.into_owned();
            let nothing = (Vec::new(), Vec::new());
            let judged = (&meant, judgement, &Amended::new());
            return self.write(now, asked, nothing, judged, None, out);
        }
        self.conclude(now, &asked, &meant, judgement, &Amended::new(), out);
    }

    /// Whether the log that the scope began with has an answer to a later message of this session, and so
    /// would have one to this message if it had been taken: it was refused, because nothing could be stored
    /// at that moment. Applied now, it would undo what its author did later.
    fn was_passed_over(&self, session: SessionId, message: MessageIndex) -> bool {
        self.answered_before.get(&session).is_some_and(|newest| message < *newest)
    }

    /// Carries out what was judged, tells the author what became of it, and the others what changed.
    fn conclude(
        &mut self,
        now: Now,
        asked: &Asked,
        meant: &ChangeSet,
        judgement: Judgement,
        amended: &Amended,
        out: &mut Vec<Output>,
    ) {
        let Asked { member, message, changes, .. } = asked;
        let (member, message) = (*member, *message);
        let Some(author) = self.members.get(member) else { return };
        let judgement = self.if_it_can_last(meant, judgement);
        let replies = judgement.replies.clone();
        tell_limits(&replies, out);
        let mut completed = tell::completed(self.graph.schema(), meant, &replies);
        let amended = &self.hide_from_author(member, &judgement, &mut completed, amended);
        let body = tell::reply(self.graph.schema(), author.dialect, &replies, &completed, amended);
        let origin = Origin { session: author.session, message };
        let by = By::member(member, origin, asked.delivered);
        let before = self.gate.last_entry();
        let mut told = self.commit(now, &by, meant, judgement, &completed, &body, out);
        let applied = completed.iter().map(|completed| &*completed.fragment);
        self.presence.note(&self.graph, origin.session, applied);
        let revision = self.revision;
        match &told {
            Some(told) => self.pass(Output::Committed(told.commit.clone()), out),
            None => self.refused(now, origin, asked.delivered, &body, out),
        }
        let lasting = self.gate.last_entry() > before;
        self.pass(Output::Reply { member, message, revision, lasting, body }, out);
        self.told.amend(revision, member, amended_places(&completed, amended));
        if let Some(body) = told.as_mut().and_then(|told| told.supplement.take()) {
            self.pass(Output::Repair { member, revision, body }, out);
        }
        if let Some(body) = self.reworded(asked, author.dialect, &replies) {
            self.pass(Output::Repair { member, revision, body }, out);
        }
        match self.told.doubt(&self.graph, revision, member, changes, &replies) {
            Doubt::None => {}
            Doubt::Patient if self.options.repair_delay_ms > 0 => self.repair_later(now, member),
            Doubt::Patient | Doubt::Urgent => self.repair(member, out),
        }
        self.repair_what_is_due(now, out);
        if let Some(told) = told {
            self.broadcast(now, told, Some(member), out);
        }
    }

    /// Tells the members what a commit changed, all but its author.
    fn broadcast(
        &mut self,
        now: Now,
        told: ToTell,
        except: Option<MemberId>,
        out: &mut Vec<Output>,
    ) {
        let ToTell { commit, bodies, audiences, expelled, .. } = told;
        match audiences {
            None => {
                let to = match (expelled.is_empty(), except) {
                    (true, None) => Listeners::All,
                    (true, Some(author)) => Listeners::AllBut(author),
                    (false, _) => {
                        let gone = expelled.iter().map(|(member, _)| *member);
                        let others: BTreeSet<MemberId> = gone.chain(except).collect();
                        Listeners::AllButThese(Arc::new(others))
                    }
                };
                self.pass(Output::Broadcast { commit, to, bodies }, out);
            }
            Some(audiences) => {
                let revision = commit.revision;
                for Audience { to, body } in audiences {
                    self.pass(Output::Sync { to, revision, body }, out);
                }
            }
        }
        for (member, error) in expelled {
            self.dismiss(now, member, error, out);
        }
    }

    /// What was judged, unless nothing can be stored and something of it would have to be.
    fn if_it_can_last(&self, changes: &ChangeSet, judgement: Judgement) -> Judgement {
        match &self.frozen {
            Some(why) if judgement.plan.is_some() && !durable::is_passing(&self.graph, changes) => {
                refuse_all(changes, &not_saved(why))
            }
            _ => judgement,
        }
    }

    /// States present values to a member that may show others.
    fn repair(&mut self, member: MemberId, out: &mut Vec<Output>) {
        let revision = self.revision;
        let repair = self.told.repair(&self.graph, revision, member);
        let repair = match &self.classes {
            Some(classes) => classes.clip(member, repair),
            None => repair,
        };
        if !repair.is_empty() {
            let body = encode::fragments(self.graph.schema(), &repair, Dialect::Original);
            self.pass(Output::Repair { member, revision, body }, out);
        }
    }

    /// The delay is the same for all, so the queue is in order. A member is in it once.
    fn repair_later(&mut self, now: Now, member: MemberId) {
        if !self.repairs_due.iter().any(|(_, waiting)| *waiting == member) {
            let due = now.mono.plus(self.options.repair_delay_ms);
            self.repairs_due.push_back((due, member));
        }
    }

    fn repair_what_is_due(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some((due, member)) = self.repairs_due.front().copied()
            && due <= now.mono
        {
            self.repairs_due.pop_front();
            self.repair(member, out);
        }
    }

    /// Whether a call of a procedure is one that the procedure admits.
    fn admit(&self, changes: &ChangeSet, sight: Option<&dyn Sight>) -> Result<(), Rejection> {
        let Some(name) = &changes.procedure else { return Ok(()) };
        // The texts are those that the original's clients know.
        let refuse =
            |why: String| Err(Rejection::fragment(format!("Could not apply SyncMessage: {why}")));
        let (model, method) = name.parts();
        if self.graph.schema().find(model).is_none() {
            return refuse(format!(
                "No such model '{model}' for procedure call with procedure '{name}'"
            ));
        }
        match self.options.procedures.get(name) {
            None => refuse(format!("No such procedure '{method}' for model '{model}'")),
            Some(procedure) if !admits(&procedure.constraints, &self.graph, changes, sight) => {
                refuse("Changes do not match the procedure constraints".to_owned())
            }
            Some(_) => Ok(()),
        }
    }

    /// Carries out what was accepted. What the others are to be told comes back.
    #[expect(clippy::too_many_arguments, reason = "one commit, from its two callers")]
    fn commit(
        &mut self,
        now: Now,
        by: &By<'_>,
        changes: &ChangeSet,
        judgement: Judgement,
        completed: &[tell::Completed<'_>],
        reply: &SharedText,
        out: &mut Vec<Output>,
    ) -> Option<ToTell> {
        let plan = judgement.plan?;
        let places = changed_places(completed, &judgement.touched);
        let step = self.classes.is_some().then(|| Step::of(&self.graph, &plan));
        self.told.before(&self.graph, self.revision, &places);
        self.state.note(&plan);
        self.graph.apply(plan);
        self.revision = self.revision.next();
        let author = by.member;
        self.told.after(&self.graph, self.revision, author, &places);
        let mut fragments: Vec<Fragment> =
            completed.iter().map(|c| c.fragment.clone().into_owned()).collect();
        let sees_part = |classes: &Classes| author.is_some_and(|id| classes.sees_part(id));
        if self.classes.as_ref().is_some_and(sees_part) {
            tell::spell_out_moves(&self.graph, &mut fragments, &judgement.touched);
        }
        let fragments: Arc<[Fragment]> = fragments.into();
        let commit = Arc::new(Commit {
            revision: self.revision,
            time: now.wall,
            origin: by.origin,
            author: by.author.cloned(),
            delivered: by.delivered,
            fragments,
            reply: reply.clone(),
        });
        self.persist(&commit, out);
        let bodies = self.bodies(changes, &judgement.replies, &judgement.touched, &commit);
        let (audiences, supplement, expelled) = (None, None, Vec::new());
        let mut told = ToTell { commit, bodies, audiences, supplement, expelled };
        if let (Some(classes), Some(step)) = (&mut self.classes, step) {
            told.expelled = classes.expel(&self.graph, &step);
            if classes.narrow() {
                let consequences = classes.follow(&self.graph, &step, author, &told.bodies);
                let Consequences { supplement, audiences, narrowed } = consequences;
                (told.supplement, told.audiences) = (supplement, Some(audiences));
                if !narrowed.is_empty() {
                    self.pass(Output::Recall { to: narrowed.into() }, out);
                }
            }
        }
        Some(told)
    }

    /// Hands out what of a commit has to be durable.
    fn persist(&mut self, commit: &Arc<Commit>, out: &mut Vec<Output>) {
        if self.options.stored
            && let Some(stored) = self.durable.stored(&self.graph, commit)
        {
            self.enter(Entry::Commit(stored), out);
        }
    }

    /// Nothing of a ChangeSet was applied. That has to last as well: sent again after a crash, it must
    /// not be judged otherwise.
    fn refused(
        &mut self,
        now: Now,
        origin: Origin,
        delivered: MessageIndex,
        reply: &SharedText,
        out: &mut Vec<Output>,
    ) {
        // While the scope is frozen, nothing can be made to last.
        if self.options.stored && self.frozen.is_none() {
            let answer = Answer { origin, time: now.wall, delivered, reply: reply.clone() };
            self.enter(Entry::Answer(answer), out);
        }
    }

    fn enter(&mut self, entry: Entry, out: &mut Vec<Output>) {
        if let Some(answer) = entry.answer() {
            self.answered.note(answer);
        }
        out.push(Output::Persist { position: self.gate.next_entry(), entry });
    }

    fn bodies(
        &self,
        changes: &ChangeSet,
        replies: &[Result<(), Rejection>],
        touched: &[(ObjectId, PropertyId)],
        commit: &Commit,
    ) -> Bodies {
        let schema = self.graph.schema();
        let mut bodies = Bodies::default();
        if self.members.speak(Dialect::V1) {
            bodies.v1 = Some(encode::fragments(schema, &commit.fragments, Dialect::V1));
        }
        if self.members.speak(Dialect::Original) {
            let fragments = tell::for_originals(&self.graph, changes, replies, touched);
            if !fragments.is_empty() {
                bodies.original = Some(encode::fragments(schema, &fragments, Dialect::Original));
            }
        }
        bodies
    }

    /// Lets an output out at once, or once what it depends on is durable.
    fn pass(&mut self, output: Output, out: &mut Vec<Output>) {
        if let Some(output) = self.awaiting.admit(output) {
            self.gate.pass(output, out);
        }
    }
}

/// Who is to be told what of a commit.
struct ToTell {
    commit: Arc<Commit>,
    bodies: Bodies,
    /// Where members see different things: what each of them is told, instead of the bodies.
    audiences: Option<Vec<Audience>>,
    /// What the author is told beside its reply.
    supplement: Option<SharedText>,
    /// Members who may not be here any more.
    expelled: Vec<(MemberId, Rejection)>,
}

/// Where a commit comes from.
struct By<'a> {
    /// The member whose it is; `None`: the application.
    member: Option<MemberId>,
    origin: Option<Origin>,
    /// On whose behalf the application made it.
    author: Option<&'a SharedText>,
    /// Up to where the author has its answers.
    delivered: MessageIndex,
}

impl<'a> By<'a> {
    const fn member(member: MemberId, origin: Origin, delivered: MessageIndex) -> Self {
        Self { member: Some(member), origin: Some(origin), author: None, delivered }
    }

    const fn application(terms: &'a Terms) -> Self {
        let author = terms.author.as_ref();
        Self { member: None, origin: terms.origin, author, delivered: MessageIndex(0) }
    }
}

/// What a scope goes on from.
#[derive(Debug)]
pub struct Restored {
    /// The objects.
    pub graph: Graph,
    /// The last commit.
    pub revision: Revision,
    /// The last entry of the log.
    pub position: Position,
    /// The answers that may not have reached their authors.
    pub answered: Answered,
    /// What was changed lately.
    pub recent: Recent,
}

impl Restored {
    /// The beginning of a scope that has no log yet.
    pub fn new(graph: Graph) -> Self {
        let (answered, recent) = (Answered::default(), Recent::default());
        Self { graph, revision: Revision(0), position: Position(0), answered, recent }
    }
}

/// The properties that somebody set in place of their author.
fn amended_places<'a>(
    completed: &'a [tell::Completed<'_>],
    amended: &'a Amended,
) -> impl Iterator<Item = Place> + 'a {
    let fragments =
        completed.iter().filter_map(|c| Some((c.fragment.object, amended.get(&c.place)?)));
    fragments.flat_map(|(object, properties)| properties.iter().map(move |id| (object, *id)))
}

/// The properties that a commit changes, each once.
fn changed_places(completed: &[tell::Completed<'_>], touched: &[Place]) -> Vec<Place> {
    let fragments = completed.iter().map(|completed| &completed.fragment);
    let changes = fragments.filter(|fragment| fragment.kind != FragmentKind::Add);
    let set = changes.flat_map(|f| f.properties.iter().map(|(property, _)| (f.object, *property)));
    let places: IndexSet<Place> = set.chain(touched.iter().copied()).collect();
    places.into_iter().collect()
}

/// Why a change was not made: it would be gone with the next crash.
fn not_saved(why: &str) -> Rejection {
    Rejection::new(ErrorCode::Internal, format!("not saved: {why}"))
}

/// Tells which bounds a ChangeSet has met, each once.
fn tell_limits(replies: &[Result<(), Rejection>], out: &mut Vec<Output>) {
    let before = out.len();
    for limit in replies.iter().filter_map(|reply| reply.as_ref().err()?.limit) {
        let is_told = |output: &Output| matches!(output, Output::Limited(told) if *told == limit);
        if !out[before..].iter().any(is_told) {
            out.push(Output::Limited(limit));
        }
    }
}

fn refuse_all(changes: &ChangeSet, refusal: &Rejection) -> Judgement {
    let replies = changes.fragments.iter().map(|_| Err(refusal.clone())).collect();
    Judgement { replies, plan: None, touched: Vec::new() }
}

#[cfg(test)]
mod tests;

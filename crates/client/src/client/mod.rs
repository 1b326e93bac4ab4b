//! A client as a plain machine: its session, and its copies of the scopes that it fetched.
//!
//! What arrives goes through the session, which makes it whole and puts it in order, to the copy that it
//! concerns; what is edited goes the other way. Here is decided what outlives a session that the server has
//! forgotten (every copy and every pending edit) and what becomes of each edit: it is answered, or given
//! up with a reason, never dropped in silence.
//!
//! No socket, no clock and no task is in here; [`Session`](crate::Session) puts them around it.

mod copy;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;

use jetstream_core::ids::{MessageIndex, ObjectId, ScopeIndex};
use jetstream_core::model::effects::Effects;
use jetstream_core::model::{ChangeSet, ErrorCode, Graph, Rejection, Schema};
use jetstream_core::replica::EditId;
use jetstream_core::session::{ClientConfig, ClientInput, ClientOutput, ClientSession, Frame};
use jetstream_core::time::{Millis, Now};
use jetstream_core::wire::message::{
    ClientBody, Dialect, FragmentReply, RawFragment, ServerBody, ServerMessage,
};

use copy::{Copy, Phase};

/// JSON that an application adds to a request: an object.
pub type Params = serde_json::Map<String, serde_json::Value>;

/// Names a copy of a scope within its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyId(u64);

/// What a [`Client`] has for its owner.
#[derive(Debug)]
pub enum Event {
    /// There is a session that messages go through.
    Online {
        /// The one that there was before; otherwise it is new.
        resumed: bool,
    },
    /// The application on the server refused a session.
    Refused {
        /// Why.
        error: Rejection,
    },
    /// What was shown to say who the client is, is good for so many seconds more. Then the session ends, unless
    /// something else is shown before: [`Client::renew`].
    Expiring {
        /// From now on.
        seconds: u64,
    },
    /// The server has looked at what [`Client::renew`] has shown.
    Renewed(Result<(), Rejection>),
    /// Drop the connection and make another.
    Reconnect,
    /// The session is over: drop the connection and make another, for a new session.
    Over {
        /// Why.
        error: Rejection,
    },
    /// A copy has its first state.
    Fetched(CopyId),
    /// A copy is no more: the server denied it, or what it sent cannot be read.
    Closed {
        /// Which.
        copy: CopyId,
        /// Why.
        error: Rejection,
    },
    /// What a copy shows has changed.
    Changed {
        /// Which.
        copy: CopyId,
        /// Because of whom.
        origin: Origin,
        /// Which objects came, changed and left.
        effects: Effects,
    },
    /// What became of an edit.
    Answered {
        /// Of which copy.
        copy: CopyId,
        /// Which edit.
        edit: EditId,
        /// Whether the server made it true.
        outcome: Result<(), NotApplied>,
    },
    /// Something for a copy without models.
    Raw {
        /// Which.
        copy: CopyId,
        /// What.
        news: RawNews,
    },
}

/// Because of whom something has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This copy was edited.
    Local,
    /// The server sent it: somebody else's change, or that an edit of ours was refused.
    Server,
}

/// What the server says of a scope, untouched.
#[derive(Debug, Clone)]
pub enum RawNews {
    /// Its whole state, in place of all that was known of it.
    State {
        /// The root object.
        root: ObjectId,
        /// The root, then all other objects.
        fragments: Vec<RawFragment>,
    },
    /// What somebody changed.
    Sync {
        /// In order.
        fragments: Vec<RawFragment>,
    },
}

/// Why an edit is not, or not wholly, in the scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    /// The server refused it: one reply for each fragment. Unless the ChangeSet was atomic, those that are
    /// `Ok` were applied.
    #[error("the server refused it: {}", reasons(.0))]
    Refused(Vec<Result<(), Rejection>>),
    /// The session ended between the question and the answer. It was the call of a procedure, which may
    /// have had effects that nobody sees here, so it is not repeated.
    #[error("the session ended before the answer came")]
    Unknown,
    /// The scope or the session was closed first.
    #[error("closed before the answer came: {0}")]
    Closed(Rejection),
}

fn reasons(replies: &[Result<(), Rejection>]) -> String {
    let mut reasons: Vec<&str> = Vec::new();
    for rejection in replies.iter().filter_map(|reply| reply.as_ref().err()) {
        if !reasons.contains(&rejection.message.as_str()) {
            reasons.push(&rejection.message);
        }
    }
    reasons.join("; ")
}

/// A client: its session and its copies of scopes.
#[derive(Debug)]
pub struct Client {
    session: ClientSession,
    copies: BTreeMap<CopyId, Copy>,
    next_copy: CopyId,
    by_index: BTreeMap<ScopeIndex, CopyId>,
    /// What the messages that wait for an answer were about.
    asked: BTreeMap<MessageIndex, Asked>,
    /// The longest message that the server reads, in bytes.
    message_bytes_max: usize,
    /// Scratch.
    outputs: Vec<ClientOutput>,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Fetch(CopyId),
    Sync(CopyId, EditId),
    Renew,
}

impl Client {
    /// A client without a session. `jitter_seed` keeps clients that began together apart.
    pub fn new(config: ClientConfig, jitter_seed: u64) -> Self {
        Self {
            session: ClientSession::new(config, jitter_seed),
            copies: BTreeMap::new(),
            next_copy: CopyId(0),
            by_index: BTreeMap::new(),
            asked: BTreeMap::new(),
            message_bytes_max: MESSAGE_BYTES_MAX,
            outputs: Vec::new(),
        }
    }

    /// Takes an input in; all its consequences are in `out` when this returns, or come from
    /// [`next_frame`](Self::next_frame).
    pub fn handle(&mut self, now: Now, input: ClientInput<'_>, out: &mut Vec<Event>) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.session.handle(now, input, &mut outputs);
        for output in outputs.drain(..) {
            match output {
                ClientOutput::Established { limits } => {
                    let said =
                        limits.and_then(|limits| usize::try_from(limits.message_bytes_max).ok());
                    self.message_bytes_max = said.unwrap_or(MESSAGE_BYTES_MAX);
                    out.push(Event::Online { resumed: false });
                }
                ClientOutput::Resumed => out.push(Event::Online { resumed: true }),
                ClientOutput::Refused { error } => out.push(Event::Refused { error }),
                ClientOutput::Expiring { seconds } => out.push(Event::Expiring { seconds }),
                ClientOutput::Reconnect => out.push(Event::Reconnect),
                ClientOutput::Message(message) => self.message(message, out),
                ClientOutput::Over { error } => {
                    self.start_over();
                    out.push(Event::Over { error });
                }
            }
        }
        self.outputs = outputs;
        for (id, copy) in &mut self.copies {
            tell_changes(*id, copy, Origin::Server, out);
        }
    }

    /// Writes what the server can be sent now into `frame`; false if there is nothing.
    pub fn next_frame(&mut self, now: Now, frame: &mut Frame) -> bool {
        self.session.next_frame(now, frame)
    }

    /// When [`ClientInput::Deadline`] is due. It can change with every call of `handle`.
    pub fn deadline(&self) -> Option<Millis> {
        self.session.deadline()
    }

    /// What the next connection must name to resume the session; `None`: it will create one.
    pub fn token(&self) -> Option<&str> {
        self.session.token()
    }

    /// Shows who the client is anew, without another connection. The answer is [`Event::Renewed`], unless the
    /// session is over before.
    pub fn renew(&mut self, credential: String) {
        if self.token().is_some() && self.session.dialect() >= Dialect::V1 {
            let params = Params::from_iter([("token".to_owned(), credential.into())]);
            let message = self.session.send(&ClientBody::SessionRenew { params });
            self.asked.insert(message, Asked::Renew);
        }
    }

    /// Asks for a scope. With a schema its copy can be read and edited; without, everything that the server
    /// says of it comes as [`Event::Raw`].
    pub fn fetch(&mut self, name: &str, params: Params, schema: Option<Arc<Schema>>) -> CopyId {
        let id = self.next_copy;
        self.next_copy = CopyId(id.0 + 1);
        self.copies.insert(id, Copy::new(name, params, schema));
        self.ask(id);
        id
    }

    /// What a copy shows: the confirmed state with the pending edits on top. `None` before the first
    /// state. A copy that was closed shows what was confirmed last.
    pub fn graph(&mut self, copy: CopyId) -> Option<&Graph> {
        Some(self.copies.get_mut(&copy)?.replica.as_mut()?.shown())
    }

    /// Edits a copy: shown at once, sent when it can be.
    ///
    /// # Errors
    ///
    /// One reply per fragment, if what is shown does not admit all of them; or that there is no such copy.
    /// Then nothing happens.
    pub fn edit(
        &mut self,
        id: CopyId,
        changes: ChangeSet,
        out: &mut Vec<Event>,
    ) -> Result<EditId, NotApplied> {
        let closed = || NotApplied::Closed(Rejection::message("the scope is closed"));
        let copy = self.copies.get_mut(&id).filter(|copy| copy.is_open()).ok_or_else(closed)?;
        let replica = copy.replica.as_mut().ok_or_else(closed)?;
        if replica.pending().len() >= PENDING_MAX {
            let why = format!("more than {PENDING_MAX} edits wait for an answer");
            return Err(NotApplied::Refused(vec![Err(Rejection::message(why))]));
        }
        let edit = replica.edit(changes).map_err(NotApplied::Refused)?;
        tell_changes(id, copy, Origin::Local, out);
        copy.unsent.push_back(edit);
        self.send_edits(id, out);
        Ok(edit)
    }

    /// Whether [`Event::Changed`] is to come for a copy.
    pub fn watch(&mut self, copy: CopyId, watched: bool) {
        if let Some(copy) = self.copies.get_mut(&copy) {
            copy.watch(watched);
        }
    }

    /// How many edits of a copy wait for an answer.
    pub fn pending(&self, copy: CopyId) -> usize {
        self.copies.get(&copy).map_or(0, Copy::pending)
    }

    /// How many edits wait for an answer, in all copies.
    pub fn pending_all(&self) -> usize {
        self.copies.values().map(Copy::pending).sum()
    }

    /// Why a copy was closed, if it was.
    pub fn closed(&self, copy: CopyId) -> Option<&Rejection> {
        match &self.copies.get(&copy)?.phase {
            Phase::Closed(error) => Some(error),
            _ => None,
        }
    }

    /// Asks for a copy's whole state again. What was sent under its old index is answered before it is.
    pub fn refresh(&mut self, id: CopyId) {
        let Some(copy) = self.copies.get_mut(&id) else { return };
        if let Some(scope_index) = copy.phase.index() {
            self.by_index.remove(&scope_index);
            self.session.send(&ClientBody::ScopeUnfetch { scope_index });
            self.ask(id);
        }
    }

    /// Leaves a scope, as soon as what is pending is answered.
    pub fn leave(&mut self, id: CopyId) {
        if let Some(copy) = self.copies.get_mut(&id) {
            copy.leaving = true;
            self.leave_if_idle(id);
        }
    }

    /// Ends the session, behind what was sent before.
    pub fn close(&mut self) {
        if self.token().is_some() {
            self.session.send(&ClientBody::SessionClose);
        }
    }

    /// Gives up all copies and what is pending in them: nobody will send it any more.
    pub fn abandon(&mut self, error: &Rejection, out: &mut Vec<Event>) {
        for id in self.copies.keys().copied().collect::<Vec<_>>() {
            self.close_copy(id, error.clone(), out);
        }
    }

    fn message(&mut self, message: ServerMessage, out: &mut Vec<Event>) {
        match message.body {
            ServerBody::ScopeFetchReply { reply_to, result } => {
                self.fetch_answered(reply_to, result, out);
            }
            ServerBody::ScopeState { scope_index, root, fragments } => {
                self.state(scope_index, root, fragments, out);
            }
            ServerBody::ScopeSync { scope_index, fragments } => {
                self.sync(scope_index, fragments, out);
            }
            ServerBody::ScopeSyncReply { reply_to, replies } => {
                self.sync_answered(reply_to, &replies, out);
            }
            ServerBody::Reply { reply_to, error } => {
                if let Some(Asked::Renew) = self.asked.remove(&reply_to) {
                    out.push(Event::Renewed(error.map_or(Ok(()), Err)));
                }
            }
            // The session's own affair.
            ServerBody::SessionCreateReply { .. }
            | ServerBody::SessionExpiring { .. }
            | ServerBody::Ping { .. } => {}
        }
    }

    fn ask(&mut self, id: CopyId) {
        let Some(copy) = self.copies.get_mut(&id).filter(|copy| copy.is_wanted()) else { return };
        copy.phase = Phase::Asked;
        let (name, params) = (copy.name.clone(), copy.params.clone());
        let message = self.session.send(&ClientBody::ScopeFetch { name, params });
        self.asked.insert(message, Asked::Fetch(id));
    }

    fn fetch_answered(
        &mut self,
        message: MessageIndex,
        result: Result<ScopeIndex, Rejection>,
        out: &mut Vec<Event>,
    ) {
        let Some(Asked::Fetch(id)) = self.asked.remove(&message) else { return };
        match (result, self.copies.get_mut(&id)) {
            (Ok(index), Some(copy)) => {
                copy.phase = Phase::Accepted(index);
                self.by_index.insert(index, id);
            }
            // Nobody wants it any more.
            (Ok(scope_index), None) => {
                self.session.send(&ClientBody::ScopeUnfetch { scope_index });
            }
            (Err(error), _) => self.close_copy(id, error, out),
        }
    }

    fn state(
        &mut self,
        index: ScopeIndex,
        root: ObjectId,
        fragments: Vec<RawFragment>,
        out: &mut Vec<Event>,
    ) {
        let Some(&id) = self.by_index.get(&index) else { return };
        let Some(copy) = self.copies.get_mut(&id) else { return };
        copy.phase = Phase::Live(index);
        let first = !std::mem::replace(&mut copy.fetched, true);
        if copy.reading.is_none() {
            out.push(Event::Raw { copy: id, news: RawNews::State { root, fragments } });
            out.extend(first.then_some(Event::Fetched(id)));
            return;
        }
        match copy.take_state(root, &fragments) {
            Err(error) => {
                self.session.send(&ClientBody::ScopeUnfetch { scope_index: index });
                return self.close_copy(id, error, out);
            }
            Ok(settled) => out.extend(settled.into_iter().map(|(edit, outcome)| Event::Answered {
                copy: id,
                edit,
                outcome,
            })),
        }
        out.extend(first.then_some(Event::Fetched(id)));
        self.send_edits(id, out);
        self.leave_if_idle(id);
    }

    fn sync(&mut self, index: ScopeIndex, fragments: Vec<RawFragment>, out: &mut Vec<Event>) {
        let Some(&id) = self.by_index.get(&index) else { return };
        let Some(copy) = self.copies.get_mut(&id) else { return };
        if copy.reading.is_none() {
            return out.push(Event::Raw { copy: id, news: RawNews::Sync { fragments } });
        }
        if copy.receive(&fragments).is_err() {
            self.refresh(id);
        }
    }

    fn sync_answered(
        &mut self,
        message: MessageIndex,
        replies: &[FragmentReply],
        out: &mut Vec<Event>,
    ) {
        let Some(Asked::Sync(id, edit)) = self.asked.remove(&message) else { return };
        let Some(copy) = self.copies.get_mut(&id) else { return };
        let (outcome, fits) = copy.answer(edit, replies);
        out.push(Event::Answered { copy: id, edit, outcome });
        if !fits {
            self.refresh(id);
        }
        self.leave_if_idle(id);
    }

    fn send_edits(&mut self, id: CopyId, out: &mut Vec<Event>) {
        // Messages that wait share a frame, which the server bounds like a message.
        let bytes_max = self.message_bytes_max - self.message_bytes_max / 16;
        let Some(copy) = self.copies.get_mut(&id) else { return };
        let Some(scope_index) = copy.live() else { return };
        while let Some(edit) = copy.unsent.pop_front() {
            let Some(body) = copy.encode(edit, scope_index) else { continue };
            if byte_length(&body) > bytes_max {
                let why = format!("the edit takes more than {bytes_max} bytes to send");
                let outcome = copy.give_up(edit, Rejection::new(ErrorCode::TooLarge, why));
                out.push(Event::Answered { copy: id, edit, outcome: Err(outcome) });
                tell_changes(id, copy, Origin::Server, out);
                continue;
            }
            let message = self.session.send(&body);
            self.asked.insert(message, Asked::Sync(id, edit));
        }
    }

    /// The server has forgotten us: everything is asked for again, in a new session.
    fn start_over(&mut self) {
        self.by_index.clear();
        for asked in std::mem::take(&mut self.asked).into_values() {
            if let Asked::Sync(id, edit) = asked
                && let Some(copy) = self.copies.get_mut(&id)
            {
                copy.unsure.push_back(edit);
            }
        }
        for id in self.copies.keys().copied().collect::<Vec<_>>() {
            self.ask(id);
            self.leave_if_idle(id);
        }
    }

    fn leave_if_idle(&mut self, id: CopyId) {
        let Some(copy) = self.copies.get(&id).filter(|copy| copy.leaving && copy.pending() == 0)
        else {
            return;
        };
        if let Some(scope_index) = copy.phase.index() {
            self.by_index.remove(&scope_index);
            self.session.send(&ClientBody::ScopeUnfetch { scope_index });
        }
        self.copies.remove(&id);
    }

    /// A copy that had a state stays to be read, until it is left.
    fn close_copy(&mut self, id: CopyId, error: Rejection, out: &mut Vec<Event>) {
        let Some(copy) = self.copies.get_mut(&id) else { return };
        if let Some(index) = copy.phase.index() {
            self.by_index.remove(&index);
        }
        for edit in copy.close(error.clone()) {
            let outcome = Err(NotApplied::Closed(error.clone()));
            out.push(Event::Answered { copy: id, edit, outcome });
        }
        tell_changes(id, copy, Origin::Server, out);
        if copy.replica.is_none() {
            self.copies.remove(&id);
        }
        out.push(Event::Closed { copy: id, error });
    }
}

fn tell_changes(id: CopyId, copy: &mut Copy, origin: Origin, out: &mut Vec<Event>) {
    let Some(replica) = &mut copy.replica else { return };
    let changes = replica.take_effects().into_iter();
    out.extend(changes.map(|effects| Event::Changed { copy: id, origin, effects }));
}

/// Roughly how long a message is.
fn byte_length(body: &ClientBody) -> usize {
    match body {
        ClientBody::ScopeSync { fragments, .. } => {
            fragments.iter().map(|fragment| fragment.get().len() + 1).sum()
        }
        _ => 0,
    }
}

/// The longest message that a server reads which does not say otherwise, in bytes. One that is longer would
/// cost the connection, again and again.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// How many edits of one copy may wait for an answer. Beyond it they are refused at once.
///
/// Hours of work without a connection; who goes on and on is a program that should look at its outcomes.
pub const PENDING_MAX: usize = 100_000;

#[cfg(test)]
mod tests;

//! What clients make of what they receive.

use jetstream_core::ids::{ScopeIndex, SessionId};
use jetstream_core::limits::Limits;
use jetstream_core::model::{ChangeSet, Fragment, Graph, Rejection};
use jetstream_core::replica::{EditId, Modifications, Replica};
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::message::{
    Dialect, FragmentReply, RawFragment, ServerBody, ServerMessage,
};

use super::World;
use super::double::Double;
use super::settings::Manner;
use crate::event::{ClientId, Event, News, ScopeId};
use crate::oracle::Oracle;

/// A client's copy of a scope.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) scope: ScopeId,
    pub(crate) content: Content,
    /// An edit of the client's own was accepted and does not fit what it has by now: something that it names
    /// was hidden meanwhile. A client fetches the scope again then; until a state comes, the copy is nothing.
    pub(crate) misfits: bool,
}

/// What a copy holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// The state is under way.
    Awaited,
    /// What a 1.0 client keeps.
    Replica(Box<Replica>),
    /// What a client below 1.0 makes of what it is told.
    Watched(Oracle),
    /// What the original's client makes of it, with its own edits.
    Double(Double),
}

/// An edit that was sent.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) index: ScopeIndex,
    /// Its name in the replica; `None` if the client did not ask its replica before it sent it.
    pub(super) edit: Option<EditId>,
    pub(super) changes: ChangeSet,
}

impl World {
    /// A client takes a message over.
    pub(super) fn client_message(
        &mut self,
        id: ClientId,
        message: ServerMessage,
    ) -> Result<(), String> {
        let Some(session) = self.clients[id].session else {
            return Err("a message without a session".to_owned());
        };
        let index = message.index;
        let news = news(&message.body);
        self.tell(&Event::Received { session, message: index, news });
        match message.body {
            ServerBody::ScopeFetchReply { reply_to, result } => {
                let asked = self.clients[id].fetching.remove(&reply_to);
                let asked = asked.ok_or("an answer to a fetch that nobody asked for")?;
                if let (Ok(index), Some(scope)) = (result, asked) {
                    let awaited = Copy { scope, content: Content::Awaited, misfits: false };
                    self.clients[id].copies.entry(index).or_insert(awaited);
                }
                Ok(())
            }
            ServerBody::ScopeState { scope_index, root, fragments } => {
                let fragments = self.read(&fragments)?;
                let graph = Graph::from_state(self.schema.clone(), root, fragments);
                let graph = graph.map_err(|errors| format!("an impossible state: {errors:?}"))?;
                self.take_state(id, scope_index, graph);
                self.tell_shown(session, id, scope_index);
                Ok(())
            }
            ServerBody::ScopeSync { scope_index, fragments } => {
                let fragments = self.read(&fragments)?;
                self.take_changes(id, scope_index, fragments);
                self.tell_shown(session, id, scope_index);
                Ok(())
            }
            ServerBody::ScopeSyncReply { reply_to, replies } => {
                let unanswered = self.clients[id].unanswered.remove(&reply_to);
                let unanswered = unanswered.ok_or("an answer to nothing that was asked")?;
                self.tell(&Event::Settled { session, message: reply_to, answered: true });
                let index = unanswered.index;
                self.take_answer(id, unanswered, replies)?;
                self.tell_shown(session, id, index);
                Ok(())
            }
            other => Err(format!("an unexpected message: {other:?}")),
        }
    }

    fn take_state(&mut self, id: ClientId, index: ScopeIndex, graph: Graph) {
        let Manner { dialect, edits_together, .. } = self.clients[id].manner;
        let Some(copy) = self.clients[id].copies.get_mut(&index) else { return };
        copy.misfits = false;
        match &mut copy.content {
            Content::Replica(replica) => replica.reset(graph),
            content if dialect == Dialect::V1 => {
                *content = Content::Replica(Box::new(Replica::new(graph)));
            }
            Content::Double(double) => double.reset(&graph),
            content if edits_together => *content = Content::Double(Double::of(&graph)),
            content => *content = Content::Watched(Oracle::of(&graph)),
        }
    }

    fn take_changes(&mut self, id: ClientId, index: ScopeIndex, fragments: Vec<Fragment>) {
        let Some(copy) = self.clients[id].copies.get_mut(&index) else { return };
        match &mut copy.content {
            Content::Awaited => {}
            // Where changes were dropped, what does not fit is made good by the state that follows. If
            // none were, `whole` finds that the copy is at no revision.
            Content::Replica(replica) => drop(replica.receive(fragments)),
            Content::Watched(watched) => watched.trust(&fragments),
            Content::Double(double) => double.receive(&fragments),
        }
    }

    fn take_answer(
        &mut self,
        id: ClientId,
        unanswered: Unanswered,
        replies: Vec<FragmentReply>,
    ) -> Result<(), String> {
        let Unanswered { index, edit, mut changes } = unanswered;
        if replies.len() != changes.fragments.len() {
            return Err(format!(
                "{} fragments, {} answers",
                changes.fragments.len(),
                replies.len()
            ));
        }
        let modifications = self.modifications(&changes, &replies)?;
        let results: Vec<Result<(), Rejection>> =
            replies.into_iter().map(|reply| reply.error.map_or(Ok(()), Err)).collect();
        self.note_accepted(id, &changes, &results);
        let now = self.now;
        let Some(copy) = self.clients[id].copies.get_mut(&index) else { return Ok(()) };
        match (&mut copy.content, edit) {
            (Content::Replica(replica), Some(edit)) => {
                copy.misfits |= replica.answer(edit, &results, modifications).is_err();
            }
            (Content::Replica(replica), None) => {
                for (place, properties) in modifications {
                    if let Ok(fragment) = &mut changes.fragments[place] {
                        fragment.properties.extend(properties);
                    }
                }
                copy.misfits |= replica.receive(accepted(changes, &results)).is_err();
            }
            (Content::Double(double), _) => double.answer(&results, now),
            (Content::Watched(watched), _) => watched.trust(&accepted(changes, &results)),
            (Content::Awaited, _) => {}
        }
        Ok(())
    }

    fn modifications(
        &self,
        changes: &ChangeSet,
        replies: &[FragmentReply],
    ) -> Result<Modifications, String> {
        let limits = Limits::default();
        let typing = Typing { schema: &self.schema, dialect: Dialect::V1, limits: &limits };
        let mut modifications = Vec::new();
        for (place, reply) in replies.iter().enumerate() {
            if let (Some(text), Ok(fragment)) = (&reply.modifications, &changes.fragments[place]) {
                let properties = typing.properties(fragment.model, text);
                modifications.push((place, properties.map_err(|error| error.message)?));
            }
        }
        Ok(modifications)
    }

    fn read(&self, fragments: &[RawFragment]) -> Result<Vec<Fragment>, String> {
        let limits = Limits::default();
        let typing = Typing { schema: &self.schema, dialect: Dialect::V1, limits: &limits };
        let read = fragments.iter().map(|fragment| typing.fragment(fragment));
        read.collect::<Result<_, _>>().map_err(|error| format!("a fragment of nobody: {error}"))
    }

    fn tell_shown(&mut self, session: SessionId, id: ClientId, index: ScopeIndex) {
        let mut properties = std::mem::take(&mut self.properties);
        let mut result = Ok(());
        if let Some(Copy { content: Content::Replica(replica), .. }) =
            self.clients[id].copies.get(&index)
        {
            let confirmed = replica.confirmed();
            result = properties.observe(&Event::Shown { session, index, confirmed });
        }
        self.properties = properties;
        if let Err(why) = result {
            self.fail(why);
        }
    }
}

fn accepted(changes: ChangeSet, results: &[Result<(), Rejection>]) -> Vec<Fragment> {
    let both = changes.fragments.into_iter().zip(results).filter(|(_, result)| result.is_ok());
    both.filter_map(|(fragment, _)| fragment.ok()).collect()
}

/// What a message of a scope says, as its text went over the wire.
fn news(body: &ServerBody) -> Option<News> {
    let list = |fragments: &[RawFragment]| {
        let texts: Vec<&str> = fragments.iter().map(|fragment| fragment.get()).collect();
        format!("[{}]", texts.join(","))
    };
    match body {
        ServerBody::ScopeState { scope_index, root, fragments } => {
            let text = format!("\"rootUUID\":\"{root}\",\"fragments\":{}", list(fragments));
            Some(News::State(*scope_index, text.into()))
        }
        ServerBody::ScopeSync { scope_index, fragments } => {
            Some(News::Sync(*scope_index, list(fragments).into()))
        }
        ServerBody::ScopeSyncReply { reply_to, replies } => {
            Some(News::Reply(*reply_to, replies.len()))
        }
        _ => None,
    }
}

//! What goes into scopes and comes out of them.

use jetstream_core::ids::{MemberId, MessageIndex, Revision, Ticket};
use jetstream_core::model::{ChangeSet, Fragment, FragmentKind, Scalar, Value};
use jetstream_core::scope::{Claims, Entry, Input, Output, Terms};
use jetstream_core::session::{self, Delivery};
use jetstream_core::wire::StateBody;
use jetstream_core::wire::message::Dialect;

use super::World;
use super::host::Address;
use super::settings::Planted;
use crate::event::{Event, News, ScopeId, Told};
use crate::veil::{self, Level};
use crate::workload::{ROOT, Workload};

impl World {
    /// The next request reaches its scope.
    pub(super) fn mail_arrives(&mut self, scope: ScopeId) {
        let Some((_, input)) = self.hosts[scope].mail.pop_front() else { return };
        let now = self.wall();
        let judged = match &input {
            Input::Sync { member, message, changes, .. } => {
                Some((Some((*member, *message)), changes.clone()))
            }
            Input::Update { changes, .. } => Some((None, changes.clone())),
            _ => None,
        };
        let gone = match &input {
            Input::Leave { member } => Some(*member),
            _ => None,
        };
        if let Input::Join { member, claims, .. } | Input::Claims { member, claims } = &input {
            self.sees(scope, *member, claims);
        }
        let mut out = Vec::new();
        let host = &mut self.hosts[scope];
        host.scope.handle(now, input, &mut out);
        if let Some(member) = gone {
            host.addresses.remove(&member);
            host.following.remove(&member);
        }
        if self.settings.verdict_ms.is_some() || self.settings.veiled {
            if let Some((Some(author), changes)) = judged {
                self.hosts[scope].judged.insert(author, (None, changes.fragments.len()));
            }
            self.shadow(scope, &out);
        } else if let Some((author, changes)) = judged {
            self.judged(scope, author, &changes, &out);
        }
        self.scope_outputs(scope, out);
    }

    /// The application changes a scope.
    pub(super) fn update(&mut self, scope: ScopeId) {
        let graph = self.hosts[scope].scope.graph().clone();
        let (dice, dialect) = (&mut self.dice, Dialect::V1);
        let title = Scalar::from(format!("by the application at {}", self.now.0));
        let (board, model) = graph.schema().find("Board").expect("the root's model");
        let (property, _) = model.find("title").expect("boards have titles");
        let mut changes = Workload { dice, graph: &graph, dialect, pool: 1 }.edit();
        changes.fragments.push(Ok(Fragment::new(FragmentKind::Change, ROOT, board)
            .with(property, Value::Scalar(Some(title)))));
        let at = self.within((0, 3));
        self.hosts[scope]
            .send(at, Input::Update { ticket: Ticket(0), terms: Terms::default(), changes });
    }

    /// The store has made an entry durable, and perhaps others with it.
    pub(super) fn stored(&mut self, scope: ScopeId) {
        let Some((_, mut position)) = self.hosts[scope].storing.pop_front() else { return };
        while let Some((at, next)) = self.hosts[scope].storing.front()
            && *at <= self.now
        {
            position = *next;
            self.hosts[scope].storing.pop_front();
        }
        self.hosts[scope].durable = position;
        let revision = self.hosts[scope].durable_revision();
        self.tell(&Event::Persisted { scope, revision });
        let mut out = Vec::new();
        let now = self.wall();
        self.hosts[scope].scope.handle(now, Input::Persisted { position }, &mut out);
        self.scope_outputs(scope, out);
    }

    /// Tells what became of a ChangeSet, before anybody is told.
    fn judged(
        &mut self,
        scope: ScopeId,
        author: Option<(MemberId, MessageIndex)>,
        changes: &ChangeSet,
        out: &[Output],
    ) {
        let host = &mut self.hosts[scope];
        let revision = host.scope.revision();
        let dialect = match author {
            None => Dialect::V1,
            Some((member, message)) => {
                let Some(address) = host.addresses.get(&member) else { return };
                host.judged.insert((member, message), (Some(revision), changes.fragments.len()));
                address.dialect
            }
        };
        let mut properties = std::mem::take(&mut self.properties);
        let graph = self.hosts[scope].scope.graph();
        let event = Event::Judged { scope, dialect, changes, graph, revision };
        let result = properties.observe(&event);
        self.properties = properties;
        if let Err(why) = result {
            self.fail(why);
        }
        let commits = out
            .iter()
            .any(|output| matches!(output, Output::Persist { entry: Entry::Commit(_), .. }));
        self.note(|| {
            let outcome = if commits { "commits" } else { "refuses" };
            format!("scope-{scope} {outcome} {author:?}: revision {revision}")
        });
    }

    pub(super) fn scope_outputs(&mut self, scope: ScopeId, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Persist { entry, .. } => {
                    self.counts.commits += u64::from(entry.commit().is_some());
                    let at = self.within(self.settings.persist_ms);
                    self.hosts[scope].store(at, entry);
                }
                Output::Committed(_) => self.counts.commits += u64::from(self.settings.veiled),
                Output::Limited(_) => {}
                Output::State { member, revision, body } => {
                    self.told_state(scope, member, revision, body);
                }
                Output::Reply { member, message, revision, lasting, body } => {
                    let judged = self.hosts[scope].judged.remove(&(member, message));
                    let (judged_at, fragments) = judged.expect("an answer to what was judged");
                    if judged_at.is_some_and(|at| at != revision) {
                        self.fail(format!("judged at {judged_at:?}, answered at {revision}"));
                    }
                    let news = News::Reply(message, fragments);
                    let delivery = Delivery::Reply { message, revision, lasting, body };
                    self.told(scope, member, revision, news, delivery);
                }
                Output::Repair { member, revision, body } => {
                    let Some(address) = self.address(scope, member) else { continue };
                    let news = News::Sync(address.index, body.clone());
                    self.told(scope, member, revision, news, Delivery::Sync { revision, body });
                }
                Output::Broadcast { commit, to, bodies } => {
                    let following: Vec<MemberId> = self.hosts[scope]
                        .following
                        .iter()
                        .copied()
                        .filter(|member| to.has(*member))
                        .collect();
                    for member in following {
                        let Some(address) = self.address(scope, member) else { continue };
                        if let Some(body) = bodies.get(address.dialect) {
                            let news = News::Sync(address.index, body.clone());
                            let revision = commit.revision;
                            let delivery = Delivery::Sync { revision, body: body.clone() };
                            self.told(scope, member, revision, news, delivery);
                        } else if address.dialect == Dialect::V1 {
                            self.fail(format!("revision {} has no text for 1.0", commit.revision));
                        }
                    }
                }
                Output::Call(call) => self.called(scope, call),
                Output::Sync { to, revision, body } => {
                    for member in to.iter() {
                        let Some(address) = self.address(scope, *member) else { continue };
                        let news = News::Sync(address.index, body.clone());
                        let delivery = Delivery::Sync { revision, body: body.clone() };
                        self.told(scope, *member, revision, news, delivery);
                    }
                }
                Output::Recall { to } => {
                    for member in to.iter() {
                        self.counts.recalls += 1;
                        self.recall(scope, *member);
                    }
                }
                Output::Dismissed { .. } => self.fail("nobody is sent away here".to_owned()),
                Output::Updated { .. } => {}
            }
        }
    }

    /// A member's rights are what they are from now on.
    fn sees(&mut self, scope: ScopeId, member: MemberId, claims: &Claims) {
        let Some(Address { session, index, .. }) = self.address(scope, member) else { return };
        let level = claims.entries().get("level").and_then(serde_json::Value::as_u64);
        let level = level.unwrap_or_default() as Level;
        self.note(|| format!("session {session} sees scope-{scope} at level {level}"));
        self.tell(&Event::Sees { session, index, scope, level });
    }

    fn recall(&mut self, scope: ScopeId, member: MemberId) {
        let Some(Address { session, index, .. }) = self.address(scope, member) else { return };
        self.note(|| format!("session {session} is to forget what waits of {index}"));
        if self.settings.planted != Some(Planted::KeepsWhatIsRecalled) {
            let delivery = Delivery::Recall;
            self.session_input(session, session::Input::Deliver { scope: index, delivery });
        }
    }

    /// Somebody's rights change.
    pub(super) fn renew(&mut self) {
        let members = self.hosts.iter().enumerate();
        let members: Vec<(ScopeId, MemberId)> = members
            .flat_map(|(scope, host)| host.addresses.keys().map(move |member| (scope, *member)))
            .collect();
        let Some((scope, member)) = self.dice.pick(&members).copied() else { return };
        self.counts.renewals += 1;
        let claims = veil::claims(self.dice.below(4) as Level);
        let at = self.within((0, 3));
        self.hosts[scope].send(at, Input::Claims { member, claims });
    }

    fn told_state(
        &mut self,
        scope: ScopeId,
        member: MemberId,
        revision: Revision,
        body: StateBody,
    ) {
        let host = &mut self.hosts[scope];
        let Some(address) = host.addresses.get(&member).copied() else { return };
        host.following.insert(member);
        host.longest_state = host.longest_state.max(body.byte_length());
        let news = News::State(address.index, body.to_text());
        self.told(scope, member, revision, news, Delivery::State { revision, body });
    }

    fn told(
        &mut self,
        scope: ScopeId,
        member: MemberId,
        revision: Revision,
        news: News,
        delivery: Delivery,
    ) {
        let Some(Address { session, index, .. }) = self.address(scope, member) else { return };
        if self.sessions.contains_key(&session) {
            let kind = match &news {
                News::State(..) => "state",
                News::Sync(..) => "sync",
                News::Reply(..) => "reply",
            };
            self.note(|| format!("session {session} is told: {kind} of {index} at {revision}"));
            self.tell(&Event::Told(Told { session, index, scope, revision, news }));
        }
        self.session_input(session, session::Input::Deliver { scope: index, delivery });
    }

    fn address(&self, scope: ScopeId, member: MemberId) -> Option<Address> {
        self.hosts[scope].addresses.get(&member).copied()
    }
}

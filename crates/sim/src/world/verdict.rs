//! Somebody decides about ChangeSets: late, out of order, against them, or never.

use jetstream_core::model::{ChangeSet, Fragment, FragmentKind, Rejection};
use jetstream_core::scope::{Call, Entry, FragmentVerdict, Input, Output, Verdict, encode_state};
use jetstream_core::wire::message::Dialect;

use super::World;
use crate::event::{Event, ScopeId};
use crate::workload::Workload;

impl World {
    /// Somebody is asked.
    pub(super) fn called(&mut self, scope: ScopeId, call: Call) {
        self.counts.calls += 1;
        self.note(|| format!("scope-{scope} asks about {:?}", call.origin));
        let within = self.settings.verdict_ms.expect("nobody is asked otherwise");
        let at = self.within(within);
        // Some answers are lost, or come when the scope does not wait any more.
        if !(self.settings.loses_verdicts && self.dice.one_in(30)) {
            self.hosts[scope].calls.push_back((at, call));
        }
    }

    /// He has decided.
    pub(super) fn verdict(&mut self, scope: ScopeId, place: usize) {
        let Some((_, call)) = self.hosts[scope].calls.remove(place) else { return };
        let (origin, ticket) = (call.origin, call.ticket);
        let verdict = match self.dice.below(6) {
            0 => Verdict::failed("nobody is there"),
            1 | 2 => {
                Verdict::Accept(call.fragments.iter().map(|f| self.opinion(scope, f)).collect())
            }
            _ => Verdict::ACCEPT,
        };
        let refused = matches!(verdict, Verdict::Refuse(_));
        self.note(|| format!("scope-{scope} is told of {origin:?}: {verdict:?}"));
        self.tell(&Event::Decided { scope, origin, refused });
        let mut out = Vec::new();
        let now = self.wall();
        self.hosts[scope].scope.handle(now, Input::Verdict { ticket, verdict }, &mut out);
        self.shadow(scope, &out);
        self.scope_outputs(scope, out);
    }

    /// The scope has waited long enough for something.
    pub(super) fn scope_due(&mut self, scope: ScopeId) {
        let mut out = Vec::new();
        let now = self.wall();
        self.hosts[scope].scope.handle(now, Input::Deadline, &mut out);
        if self.settings.verdict_ms.is_some() || self.settings.veiled {
            self.shadow(scope, &out);
        }
        self.scope_outputs(scope, out);
    }

    fn opinion(&mut self, scope: ScopeId, fragment: &Fragment) -> FragmentVerdict {
        match self.dice.below(5) {
            0 => FragmentVerdict::Refuse(Rejection::message("he does not like it")),
            1 if fragment.kind != FragmentKind::Remove => {
                let graph = self.hosts[scope].scope.graph().clone();
                let (dice, dialect, pool) = (&mut self.dice, Dialect::V1, 1);
                let mut workload = Workload { dice, graph: &graph, dialect, pool };
                FragmentVerdict::Amend(workload.values(fragment.model))
            }
            _ => FragmentVerdict::Accept,
        }
    }

    /// Follows a scope by its commits alone, for one input may bring about several.
    pub(super) fn shadow(&mut self, scope: ScopeId, out: &[Output]) {
        let commits = out.iter().filter_map(|output| match output {
            Output::Persist { entry: Entry::Commit(commit), .. } => Some(&**commit),
            // Where nothing is stored.
            Output::Committed(commit) if self.settings.veiled => Some(&**commit),
            _ => None,
        });
        for commit in commits.collect::<Vec<_>>() {
            let fragments = commit.fragments.to_vec();
            if let Err(why) = self.hosts[scope].shadow.receive(fragments.clone()) {
                return self.fail(format!("commit {} does not fit: {why:?}", commit.revision));
            }
            let mut properties = std::mem::take(&mut self.properties);
            let event = Event::Judged {
                scope,
                dialect: Dialect::V1,
                changes: &ChangeSet::atomic(fragments),
                graph: self.hosts[scope].shadow.confirmed(),
                revision: commit.revision,
            };
            let result = properties.observe(&event);
            self.properties = properties;
            if let Err(why) = result {
                self.fail(why);
            }
            if let Some(origin) = commit.origin {
                self.tell(&Event::Committed { scope, origin });
            }
        }
        let host = &self.hosts[scope];
        if encode_state(host.shadow.confirmed()) != encode_state(host.scope.graph()) {
            self.fail(format!("scope-{scope} is not what its commits say"));
        }
    }
}

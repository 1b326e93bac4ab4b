//! A scope's questions to its actions: asked here, answered in the scope's own time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jetstream_core::ids::Ticket;
use jetstream_core::model::{Graph, ProcedureName};
use jetstream_core::scope::access::ScopeFacts;
use jetstream_core::scope::{Call, Verdict};
use tokio::task::{Id, JoinSet};
use tokio::time::timeout;

use super::task::guard;
use crate::future::catch_panic;
use crate::metrics::{Counted, Metrics};
use crate::procedure::{Action, ActionCall};
use crate::server::SessionInfo;

/// Who decides about what.
#[derive(Clone, Default)]
pub(super) struct Actions {
    /// About calls of procedures.
    pub(super) procedures: BTreeMap<ProcedureName, Arc<dyn Action>>,
    /// About all other ChangeSets.
    pub(super) validate: Option<Arc<dyn Action>>,
    /// Who takes all ChangeSets before they are committed.
    pub(super) write: Option<Arc<dyn Action>>,
}

/// The calls of one scope that are out.
pub(super) struct Calls {
    actions: Actions,
    out: JoinSet<Verdict>,
    tickets: HashMap<Id, Ticket>,
    time_limit: Duration,
    metrics: Metrics,
}

impl Calls {
    pub(super) fn new(actions: Actions, time_limit_ms: u64, metrics: Metrics) -> Self {
        let (out, tickets) = (JoinSet::new(), HashMap::new());
        Self { actions, out, tickets, time_limit: Duration::from_millis(time_limit_ms), metrics }
    }

    /// Nobody wants to know any more.
    pub(super) fn forget(&mut self) {
        self.out = JoinSet::new();
        self.tickets.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Asks whoever decides about this.
    pub(super) fn ask(
        &mut self,
        scope: &ScopeFacts,
        graph: &Graph,
        session: Option<&SessionInfo>,
        call: &Call,
    ) {
        self.metrics.procedure_calls.inc();
        let action = match &call.procedure {
            _ if call.write => self.actions.write.as_ref(),
            Some(name) => self.actions.procedures.get(name),
            None => self.actions.validate.as_ref(),
        };
        let asked = ActionCall { scope, graph, session, call };
        let decision = action.map(|action| guard(|| action.decide(&asked)));
        let (metrics, time_limit) = (self.metrics.clone(), self.time_limit);
        let handle = self.out.spawn(async move {
            let _counted = Counted::new(&metrics.procedure_calls_out);
            let verdict = match decision {
                Some(Ok(decision)) => match timeout(time_limit, catch_panic(decision)).await {
                    Ok(verdict) => verdict,
                    Err(_) => Ok(Verdict::failed("there was no answer in time")),
                },
                Some(Err(panic)) => Err(panic.to_string()),
                None => Ok(Verdict::failed("nobody carries out this procedure")),
            };
            let verdict = verdict.unwrap_or_else(|panic| {
                metrics.handler_panics.inc();
                tracing::error!(%panic, "an action panicked");
                Verdict::failed("the procedure could not be carried out")
            });
            if let Verdict::Refuse(_) = verdict {
                metrics.procedure_refusals.inc();
            }
            verdict
        });
        self.tickets.insert(handle.id(), call.ticket);
    }

    /// The next decision. Only to be awaited while some are out.
    pub(super) async fn next(&mut self) -> Option<(Ticket, Verdict)> {
        let (id, verdict) = match self.out.join_next_with_id().await? {
            Ok((id, verdict)) => (id, verdict),
            // Panics are caught, and nobody cancels them.
            Err(error) => (error.id(), Verdict::failed("the procedure could not be carried out")),
        };
        Some((self.tickets.remove(&id)?, verdict))
    }
}

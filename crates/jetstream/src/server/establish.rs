//! From a connection to a session: by its token, or by a handshake.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use jetstream_core::ids::SessionId;
use jetstream_core::limits::Limit;
use jetstream_core::model::{ErrorCode, Rejection};
use jetstream_core::session::{Accepted, CloseReason, Handshake, HandshakeOutput, ServerSession};
use parking_lot::RwLock;
use tokio::time::{sleep_until, timeout, timeout_at};

use super::Shared;
use super::cell::SessionCell;
use super::directory::new_session_id;
use super::identify::ask;
use super::keeper;
use super::request::{Admission, Known, Occasion, SessionFacts, SessionInfo, SessionRequest};
use super::resumption::{self, Found};
use super::seats::Seats;
use super::session_task::{Order, SessionTask};
use super::token::{Token, TokenHash};
use crate::clock;
use crate::metrics::Counted;
use crate::transport::{Connection, FramePart, FrameSink, FrameSource, Received, Sent};

/// Sees a connection through: to its session, or to its end.
pub(super) async fn establish(server: Arc<Shared>, mut connection: Connection) {
    let Some(token) = connection.info.session_token() else {
        return handshake(server, connection).await;
    };
    let token = TokenHash::of(token);
    connection.info.forget_token();
    let Connection { info, source, sink, pending } = connection;
    let found = resumption::find(&server, token, info).await;
    drop(pending);
    let (cell, identity) = match found {
        Ok(Found::Woken(task)) => return server.spawn(resume(task, source, sink)),
        Ok(Found::Running(cell, identity)) => (cell, identity),
        Err(reason) => {
            tracing::debug!(?reason, "a connection gets no session for its token");
            return goodbye(source, &*sink, &reason).await;
        }
    };
    // The session may end at this very moment.
    let arrived = cell.order(Order::Arrived { source, sink, identity }).await;
    if let Err(Order::Arrived { source, sink, .. }) = arrived {
        goodbye(source, &*sink, &CloseReason::unknown_token()).await;
    }
}

/// Goes on with a session that was stored.
async fn resume(
    mut task: Box<SessionTask>,
    source: Box<dyn FrameSource>,
    sink: Arc<dyn FrameSink>,
) {
    let metrics = task.metrics().clone();
    metrics.sessions_resumed.inc();
    metrics.sessions_restored.inc();
    let _counted = Counted::new(&metrics.sessions);
    task.begin(source, sink, false, None);
    task.run_to_end().await;
}

async fn handshake(server: Arc<Shared>, connection: Connection) {
    let Connection { info, mut source, sink, pending } = connection;
    let mut info = Arc::new(info);
    let mut handshake = Handshake::new(server.limits.clone(), clock::now());
    let reason = loop {
        let deadline = clock::instant(handshake.deadline().expect("it is not over"));
        let output = tokio::select! {
            received = poll_fn(|context| source.poll_frame(context)) => match received {
                Received::Frame(text) => handshake.frame(&text),
                Received::Overhead(_) => handshake.overhead(),
                Received::Ended => return linger(source, &*sink).await,
            },
            () = sleep_until(deadline) => handshake.tick(clock::now()),
        };
        let (params, version, dialect) = match output {
            None => continue,
            Some(HandshakeOutput::Close(reason)) => break reason,
            Some(HandshakeOutput::Create { params, version, dialect }) => {
                (server.handlers.with_models(params, dialect), version, dialect)
            }
        };
        let (connect, occasion) = (info.clone(), Occasion::Begin);
        let request = SessionRequest { connect, params, version, occasion };
        let verdict = timeout_at(deadline, ask(&server, request)).await;
        let Ok((params, version, verdict)) = verdict else { continue };
        let begun = match verdict.0 {
            Ok(Admission { data, claims, expires_at, shown }) => {
                if let (Some(_), Some(info)) = (shown, Arc::get_mut(&mut info)) {
                    info.forget_credentials();
                }
                let (connect, known) = (info.clone(), RwLock::new(Known { claims, expires_at }));
                let facts =
                    |id| SessionFacts { id, dialect, connect, params, version, data, shown, known };
                match timeout_at(deadline, begin(&server, facts, &mut handshake)).await {
                    Ok(begun) => begun,
                    Err(_) => continue,
                }
            }
            Err(error) => Err(error),
        };
        match begun {
            Ok(Some((task, accepted))) => {
                drop(pending);
                // In a task of its own, so that what was needed to get here is let go of.
                return server.spawn(start(task, accepted, source, sink));
            }
            // The client has waited too long: the deadline says so.
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "session denied");
                server.metrics.sessions_denied.inc();
                server.metrics.count_limit(error.limit);
                if let Some(text) = handshake.deny(&error) {
                    sink.send(&[FramePart::Copied(&text)]);
                }
            }
        }
    };
    tracing::debug!(?reason, "connection closed without a session");
    goodbye(source, &*sink, &reason).await;
}

/// A session and its task; `None` if the client did not wait for it.
///
/// Its client is told of it when it is stored: with its token it must be known after a crash.
async fn begin(
    server: &Arc<Shared>,
    facts: impl FnOnce(SessionId) -> SessionFacts,
    handshake: &mut Handshake,
) -> Result<Option<(Box<SessionTask>, Accepted)>, Rejection> {
    let no_randomness = |error: getrandom::Error| {
        tracing::error!(%error, "the system gives no random bytes");
        Rejection::new(ErrorCode::Internal, "the session could not be created")
    };
    let token = Token::generate().map_err(no_randomness)?;
    let jitter_seed = getrandom::u64().map_err(no_randomness)?;
    let limits = server.limits.clone();
    let facts = facts(new_session_id().map_err(no_randomness)?);
    let (now, until) = (clock::now(), facts.known.read().until());
    let machine = ServerSession::new(facts.id, facts.dialect, limits, jitter_seed, now);
    let machine = machine.known_until(now, until);
    let (info, token_hash) = (SessionInfo(Arc::new(facts)), token.hash());
    let seats = Seats::take(server, &info)?;
    let machine = seats.share(machine);
    let machine = match &server.keeper {
        Some(keeper) => {
            let record = keeper::beginning(server.limits.session_timeout_ms);
            let stored = keeper::stored(&info, token_hash, record);
            machine.kept(keeper.clone().save(stored).await.is_some())
        }
        None => machine,
    };
    let metrics = server.metrics.clone();
    let cell = Arc::new(SessionCell::new(info, token_hash, machine, metrics));
    if !server.directory.insert(&cell, server.limits.sessions_max) {
        let max = server.limits.sessions_max;
        let message = format!("the server has no room for more than {max} sessions");
        return Err(Rejection::beyond(Limit::Sessions, message));
    }
    match handshake.accept(token.as_str()) {
        Some(accepted) => {
            let task = SessionTask::new(cell, server.clone()).seated(seats);
            Ok(Some((task, accepted)))
        }
        None => {
            server.directory.remove(&cell);
            Ok(None)
        }
    }
}

async fn start(
    mut task: Box<SessionTask>,
    accepted: Accepted,
    source: Box<dyn FrameSource>,
    sink: Arc<dyn FrameSink>,
) {
    let metrics = task.metrics().clone();
    metrics.sessions_created.inc();
    let _counted = Counted::new(&metrics.sessions);
    let full = sink.send(&[FramePart::Copied(&accepted.reply)]) != Sent::Room;
    task.begin(source, sink, full, accepted.frame.as_deref());
    drop(accepted);
    task.run_to_end().await;
}

/// Closes a connection, and gives the client the time to read why.
pub(super) async fn goodbye(
    source: Box<dyn FrameSource>,
    sink: &dyn FrameSink,
    reason: &CloseReason,
) {
    sink.close(reason.code(), &reason.reason_text());
    linger(source, sink).await;
}

/// Keeps a connection that is closed until the client has taken it in: what is dropped too early is
/// lost on the way.
pub(super) async fn linger(mut source: Box<dyn FrameSource>, sink: &dyn FrameSink) {
    let gone = async {
        poll_fn(|context| sink.poll_writable(context)).await;
        poll_fn(|context| source.poll_gone(context)).await;
    };
    let _ = timeout(LINGER_MAX, gone).await;
}

/// How long a closed connection is kept: a few round trips over a bad network.
const LINGER_MAX: Duration = Duration::from_secs(3);

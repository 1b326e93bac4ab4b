//! What a process counts, for Prometheus.
//!
//! A [`Metrics`] is a handle; clones count together. Servers and scopes use the one of the process
//! unless they are given another, since a process is what Prometheus scrapes.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use jetstream_core::limits::Limit;

/// A handle to the counters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Counters>);

/// The counters themselves.
#[derive(Debug)]
pub struct Counters {
    registry: Registry,
    /// Connections that a transport has accepted, before any handshake.
    pub connections_accepted: Counter,
    /// Connections that were closed at once: too many without a session.
    pub connections_refused: Counter,
    /// Connections that belong to a session now.
    pub connections: Gauge,
    /// Sessions, connected or not.
    pub sessions: Gauge,
    /// Sessions that were created.
    pub sessions_created: Counter,
    /// Sessions that the application or a limit has denied.
    pub sessions_denied: Counter,
    /// Connections that resumed a session.
    pub sessions_resumed: Counter,
    /// Connections that named a session's token and were not let go on with it.
    pub resumptions_denied: Counter,
    /// Sessions that ended by a mistake of the server.
    pub sessions_failed: Counter,
    /// Scopes that are running.
    pub scopes: Gauge,
    /// Members of all scopes.
    pub members: Gauge,
    /// Frames received in sessions.
    pub frames_in: Counter,
    /// Bytes of text in them.
    pub bytes_in: Counter,
    /// Frames sent in sessions.
    pub frames_out: Counter,
    /// Bytes of text in them.
    pub bytes_out: Counter,
    /// States, changes and replies that scopes gave to members.
    pub deliveries: Counter,
    /// Commits that became durable.
    pub commits: Counter,
    /// Fetches that were denied.
    pub fetches_denied: Counter,
    /// ChangeSets of the application of which a fragment was refused.
    pub updates_refused: Counter,
    /// States that were given afresh to members that had lost changes, or had asked.
    pub resyncs: Counter,
    /// Members who were not allowed to be in a scope, or not any more.
    pub members_dismissed: Counter,
    /// Times that a sink was full: a client reads more slowly than it is written to.
    pub sinks_full: Counter,
    /// Requests that wait in the mailboxes of scopes.
    pub scope_requests_waiting: Gauge,
    /// ChangeSets that an action was asked about.
    pub procedure_calls: Counter,
    /// Those that it refused, or could not decide about.
    pub procedure_refusals: Counter,
    /// Those that it has not decided about yet.
    pub procedure_calls_out: Gauge,
    /// Calls to other services over HTTP, each attempt.
    pub service_calls: Counter,
    /// Those without an answer.
    pub service_failures: Counter,
    /// Requests of programs over HTTP.
    pub api_requests: Counter,
    /// Those that were not done: refused, or failed.
    pub api_refusals: Counter,
    /// Programs that follow a scope over HTTP.
    pub api_streams: Gauge,
    /// Handlers of the application that panicked.
    pub handler_panics: Counter,
    /// Scopes that failed: a panic, or a store that could not be written.
    pub scopes_failed: Counter,
    /// What the objects of open scopes take in memory, in bytes.
    pub scopes_bytes: Gauge,
    /// Scopes that were let go of because others needed their room.
    pub scopes_evicted: Counter,
    /// Scopes that were rebuilt from their store, because something could not be stored or was torn.
    pub scopes_rebuilt: Counter,
    /// Sessions that went on after their server was gone.
    pub sessions_restored: Counter,
    /// Times that somebody met a bound, by the bound's key in the configuration.
    limits_reached: Family<[(&'static str, &'static str); 1], Counter>,
    consumers: ConsumerFamilies,
}

/// What is counted for each consumer: as many as the configuration names.
#[derive(Debug, Default)]
struct ConsumerFamilies {
    attempts: Family<ConsumerLabel, Counter>,
    failures: Family<ConsumerLabel, Counter>,
    commits: Family<ConsumerLabel, Counter>,
    letters: Family<ConsumerLabel, Gauge>,
    scopes_behind: Family<ConsumerLabel, Gauge>,
    lag_revisions: Family<ConsumerLabel, Gauge>,
    lag_seconds: Family<ConsumerLabel, Gauge>,
    stopped: Family<ConsumerLabel, Gauge>,
}

type ConsumerLabel = [(&'static str, String); 1];

/// What is counted for one consumer.
#[derive(Debug, Clone)]
pub struct ConsumerFigures {
    /// Notices that it was told, each attempt.
    pub attempts: Counter,
    /// Those that it did not take.
    pub failures: Counter,
    /// Commits in notices that it took.
    pub commits: Counter,
    /// Notices that are set aside.
    pub letters: Gauge,
    /// Scopes that have something for it, as far as they are looked after at the moment.
    pub scopes_behind: Gauge,
    /// How many commits these have for it together.
    pub lag_revisions: Gauge,
    /// How old the oldest of these is, in seconds.
    pub lag_seconds: Gauge,
    /// 1 if it is told nothing any more.
    pub stopped: Gauge,
}

impl Counters {
    /// How often a bound was met.
    pub fn limit_reached(&self, limit: Limit) -> Counter {
        self.limits_reached.get_or_create(&[("limit", limit.name())]).clone()
    }

    /// Somebody has met this bound; `None`: none.
    pub(crate) fn count_limit(&self, limit: Option<Limit>) {
        if let Some(limit) = limit {
            self.limit_reached(limit).inc();
        }
    }
}

impl Metrics {
    /// Counters of their own.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("jetstream");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let connections_accepted =
            counter("connections_accepted", "Connections that were accepted, before any handshake");
        let connections_refused = counter(
            "connections_refused",
            "Connections closed at once, too many without a session",
        );
        let sessions_created = counter("sessions_created", "Sessions that were created");
        let sessions_denied = counter("sessions_denied", "Sessions that were denied");
        let sessions_resumed = counter("sessions_resumed", "Connections that resumed a session");
        let resumptions_denied = counter(
            "resumptions_denied",
            "Connections that were not let go on with the session whose token they named",
        );
        let sessions_failed = counter("sessions_failed", "Sessions ended by a panic");
        let frames_in = counter("frames_in", "Frames received in sessions");
        let bytes_in = counter("bytes_in", "Bytes of text received in sessions");
        let frames_out = counter("frames_out", "Frames sent in sessions");
        let bytes_out = counter("bytes_out", "Bytes of text sent in sessions");
        let deliveries = counter("deliveries", "States, changes and replies given to members");
        let commits = counter("commits", "Commits that became durable");
        let fetches_denied = counter("fetches_denied", "Fetches that were denied");
        let updates_refused =
            counter("updates_refused", "Updates of the application with a refused fragment");
        let resyncs = counter("resyncs", "States given afresh to members");
        let members_dismissed =
            counter("members_dismissed", "Members who may not be in a scope, or not any more");
        let sinks_full =
            counter("sinks_full", "Times a client read more slowly than it was written to");
        let procedure_calls =
            counter("procedure_calls", "ChangeSets that an action was asked about");
        let procedure_refusals =
            counter("procedure_refusals", "ChangeSets that an action refused or failed to decide");
        let service_calls = counter("service_calls", "Calls to other services, each attempt");
        let service_failures =
            counter("service_failures", "Calls to other services without an answer");
        let api_requests = counter("api_requests", "Requests of programs over HTTP");
        let api_refusals =
            counter("api_refusals", "Requests of programs that were refused or failed");
        let handler_panics = counter("handler_panics", "Panics in handlers of the application");
        let scopes_failed = counter("scopes_failed", "Scopes ended by a panic or by their store");
        let scopes_rebuilt = counter("scopes_rebuilt", "Scopes rebuilt from their store");
        let scopes_evicted = counter("scopes_evicted", "Scopes let go of for the room they took");
        let sessions_restored =
            counter("sessions_restored", "Sessions that went on after their server was gone");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let connections = gauge("connections", "Connections that belong to a session");
        let sessions = gauge("sessions", "Sessions, connected or not");
        let scopes = gauge("scopes", "Scopes that are running");
        let scopes_bytes = gauge("scopes_bytes", "Bytes that the objects of open scopes take");
        let members = gauge("members", "Members of all scopes");
        let procedure_calls_out =
            gauge("procedure_calls_out", "ChangeSets that an action has not decided about yet");
        let api_streams = gauge("api_streams", "Programs that follow a scope over HTTP");
        let scope_requests_waiting =
            gauge("scope_requests_waiting", "Requests that wait in the mailboxes of scopes");
        let limits_reached = Family::default();
        let help = "Times a bound of the configuration was met";
        registry.register("limits_reached", help, limits_reached.clone());
        for limit in Limit::ALL {
            // What never happened is 0, not missing: an alarm can be set on it.
            drop(limits_reached.get_or_create(&[("limit", limit.name())]));
        }
        let consumers = ConsumerFamilies::default();
        consumers.register(&mut registry);
        Self(Arc::new(Counters {
            registry,
            limits_reached,
            consumers,
            connections_accepted,
            connections_refused,
            connections,
            sessions,
            sessions_created,
            sessions_denied,
            sessions_resumed,
            resumptions_denied,
            sessions_failed,
            scopes,
            scopes_bytes,
            members,
            frames_in,
            bytes_in,
            frames_out,
            bytes_out,
            deliveries,
            commits,
            fetches_denied,
            updates_refused,
            resyncs,
            members_dismissed,
            sinks_full,
            scope_requests_waiting,
            procedure_calls,
            procedure_refusals,
            procedure_calls_out,
            service_calls,
            service_failures,
            api_requests,
            api_refusals,
            api_streams,
            handler_panics,
            scopes_failed,
            scopes_evicted,
            scopes_rebuilt,
            sessions_restored,
        }))
    }

    /// What is counted for a consumer of changes.
    pub fn of_consumer(&self, name: &str) -> ConsumerFigures {
        let label = [("consumer", name.to_owned())];
        let families = &self.0.consumers;
        ConsumerFigures {
            attempts: families.attempts.get_or_create(&label).clone(),
            failures: families.failures.get_or_create(&label).clone(),
            commits: families.commits.get_or_create(&label).clone(),
            letters: families.letters.get_or_create(&label).clone(),
            scopes_behind: families.scopes_behind.get_or_create(&label).clone(),
            lag_revisions: families.lag_revisions.get_or_create(&label).clone(),
            lag_seconds: families.lag_seconds.get_or_create(&label).clone(),
            stopped: families.stopped.get_or_create(&label).clone(),
        }
    }

    /// The counters of this process.
    pub fn process() -> Self {
        static PROCESS: OnceLock<Metrics> = OnceLock::new();
        PROCESS.get_or_init(Self::new).clone()
    }

    /// All counters in the text format of OpenMetrics, which Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry).expect("a String takes every text");
        text
    }

    /// The content type of what [`render`](Self::render) gives.
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::process()
    }
}

impl ConsumerFamilies {
    fn register(&self, registry: &mut Registry) {
        let counters = [
            ("notify_attempts", "Notices that a consumer was told, each attempt", &self.attempts),
            (
                "notify_failures",
                "Notices that a consumer did not take, each attempt",
                &self.failures,
            ),
            ("notify_commits", "Commits in notices that a consumer took", &self.commits),
        ];
        for (name, help, family) in counters {
            registry.register(name, help, family.clone());
        }
        let gauges = [
            ("notify_dead_letters", "Notices for a consumer that are set aside", &self.letters),
            ("notify_scopes_behind", "Scopes with something for a consumer", &self.scopes_behind),
            ("notify_lag_revisions", "Commits that a consumer has not got", &self.lag_revisions),
            (
                "notify_lag_seconds",
                "Age of the oldest commit a consumer has not got",
                &self.lag_seconds,
            ),
            ("notify_stopped", "1 if a consumer is told nothing any more", &self.stopped),
        ];
        for (name, help, family) in gauges {
            registry.register(name, help, family.clone());
        }
    }
}

impl Deref for Metrics {
    type Target = Counters;

    fn deref(&self) -> &Counters {
        &self.0
    }
}

/// Counts one in a gauge for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered_and_a_gauge_goes_down_again() {
        let metrics = Metrics::new();
        metrics.clone().commits.inc_by(3);
        let session = Counted::new(&metrics.sessions);
        let text = metrics.render();
        assert!(text.contains("jetstream_commits_total 3\n"), "{text}");
        assert!(text.contains("jetstream_sessions 1\n"), "{text}");
        drop(session);
        assert!(metrics.render().contains("jetstream_sessions 0\n"));
        metrics.limit_reached(Limit::Members).inc();
        let text = metrics.render();
        let line =
            |limit: &str, n| format!("jetstream_limits_reached_total{{limit=\"{limit}\"}} {n}\n");
        assert!(text.contains(&line("members_max", 1)), "{text}");
        assert!(text.contains(&line("scopes_max", 0)), "{text}");
    }
}

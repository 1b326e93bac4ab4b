//! Every bound of the system, with its reason and with what happens when it is reached.

/// The bounds that a server holds its clients and itself to.
///
/// All of them can be set in the configuration file under `[limits]`, with the same names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest message (and frame) that is read, in bytes. A longer one closes the connection
    /// with 1009.
    ///
    /// Room for a text of a megabyte and for a ChangeSet of some ten thousand fragments.
    pub message_bytes_max: usize,
    /// The most messages in one frame. More closes the connection with 4096.
    pub frame_messages_max: usize,
    /// The most fragments in one ChangeSet. More refuses each of them with `too-large`.
    pub fragments_max: usize,
    /// The longest text value, in bytes. A longer one fails its fragment with `too-large`.
    pub string_bytes_max: usize,
    /// The most elements in one collection. More fails the fragment with `too-large`.
    pub collection_elements_max: usize,
    /// The most objects in one scope. More fails the add with `too-large`.
    pub scope_objects_max: usize,
    /// What the objects of one scope may take in memory, in bytes, as [`Graph::bytes`](crate::model::Graph::bytes)
    /// counts them. Beyond it a fragment that adds to them fails with `too-large`.
    pub scope_bytes_max: usize,
    /// The most scopes that one session may have fetched at a time. More denies the fetch.
    pub session_scopes_max: usize,
    /// The most sessions that a server holds. More denies the session.
    pub sessions_max: usize,
    /// The most sessions that one principal has, by its claims `iss`, `sub` and `user`. More denies the
    /// session.
    ///
    /// A person has a few devices with a few tabs each; a session that was left behind counts until it ends.
    pub principal_sessions_max: usize,
    /// The most sessions whose clients come from one address, or, of version 6, from one /64. More denies the
    /// session.
    ///
    /// A tenth of all. Behind one address is an office or a town; and, without a word in the configuration,
    /// everybody who comes through a proxy.
    pub address_sessions_max: usize,
    /// The most scopes that are open at a time, where they are made at the first fetch. More denies the
    /// fetch.
    pub scopes_max: usize,
    /// How much memory the objects of open scopes may take, in bytes, where they are made at the first fetch.
    /// Past it scopes that nobody uses are let go of, if they are kept in a store; if none is, the fetch that
    /// would open one more is denied.
    ///
    /// It is looked at when a scope is opened: one that grows while it is open is not stopped by it.
    pub scopes_bytes_max: usize,
    /// The most members of one scope. More denies the fetch.
    pub members_max: usize,
    /// The most connections that have no session yet. More are closed at once.
    ///
    /// Such connections cost memory and cannot be told from an attack.
    pub connections_pending_max: usize,
    /// The same from one address. A tenth of all, so that one alone does not fill the entrance.
    pub address_connections_pending_max: usize,
    /// The connections that one address may make in a second, or [`NONE`](Self::NONE), with a burst of
    /// [`rate_burst_ms`](Self::rate_burst_ms). More are closed at once.
    ///
    /// A handshake with TLS costs about a millisecond. Ten thousand at once are an office whose network comes
    /// back, or all clients of a proxy after a restart.
    pub address_connections_per_second_max: usize,
    /// What is kept for one absent or slow client, in bytes. Past it, waiting ScopeSync messages are
    /// dropped and the client gets the scope's state afresh when it reads again.
    pub backlog_bytes_max: usize,
    /// What is kept for one client including its replies, in bytes. Past it the session ends: the
    /// client asks and asks but never reads or acknowledges an answer.
    pub backlog_bytes_hard_max: usize,
    /// The most messages of one session that wait for an earlier one of its own (for a fetch, say).
    /// At the bound no further frames are read from its socket.
    pub inbox_messages_max: usize,
    /// The most requests that wait in one scope's mailbox. At the bound sessions stop reading.
    pub mailbox_requests_max: usize,
    /// The most ChangeSets of one session that its scopes are at work on or have waiting. Further ones wait
    /// in the session, so that a client that floods a scope waits for itself and the others do not.
    pub session_requests_max: usize,
    /// The messages that one session may send in a second, or [`NONE`](Self::NONE). Beyond a burst of them
    /// its socket is not read until the time for what it sent has passed; see [`rate`](crate::rate).
    ///
    /// Thirty times what somebody sends who drags something at 60 Hz, and more than a mouse of 1,000 Hz
    /// makes. At this rate a session costs a scope of a hundred members about a tenth of a core.
    pub session_messages_per_second_max: usize,
    /// The bytes that one session may send, or be sent because it asked, in a second, or
    /// [`NONE`](Self::NONE): states of scopes, what is sent again, and replies. Beyond a burst, as above.
    ///
    /// Two of the longest messages a second: more than most lines carry upwards.
    pub session_bytes_per_second_max: usize,
    /// The messages that all sessions of one principal may send in a second, or [`NONE`](Self::NONE).
    ///
    /// As many as ten busy sessions: a person has a few tabs and devices. A program that speaks for many
    /// under one name needs more, or `NONE`.
    pub principal_messages_per_second_max: usize,
    /// The bytes of all sessions of one principal in a second, or [`NONE`](Self::NONE).
    pub principal_bytes_per_second_max: usize,
    /// How much of a rate may come at once: what it gives in this time, in milliseconds.
    ///
    /// What a client makes in some minutes without a network it sends within a second: 20,000 messages by
    /// default.
    pub rate_burst_ms: u64,
    /// How long a procedure's action or a validation may take with all its attempts, in milliseconds. Then
    /// nothing is applied, and the reply says `procedure-failed`.
    pub procedure_timeout_ms: u64,
    /// The most ChangeSets of one member that wait for an earlier one of its own that somebody is asked
    /// about. The ones beyond are refused with `rate-limited` when it is their turn.
    pub procedure_waiting_max: usize,
    /// How long a connection may take to name or create its session, in milliseconds. Then it is
    /// closed with 4096, `session-establish-timedout`.
    pub establish_timeout_ms: u64,
    /// How long the HTTP part of a connection may take, in milliseconds. Then it is dropped.
    pub handshake_timeout_ms: u64,
    /// The mean time between two Pings of the server, in milliseconds; each is up to a tenth earlier
    /// or later, so that sessions that began together do not stay together.
    pub ping_interval_ms: u64,
    /// How long a session lives without any message from its client, in milliseconds.
    pub session_timeout_ms: u64,
    /// How long before the end of a credential its client is told (1.0), in milliseconds; later if it is
    /// good for less than twice as long.
    ///
    /// Time for a person to be asked for a password, or for a few attempts at a service that is down.
    pub expiry_warning_ms: u64,
    /// How long an idle scope of a family stays in memory, in milliseconds.
    pub scope_idle_ms: u64,
    /// How long a shutdown may take before connections are dropped, in milliseconds.
    pub shutdown_timeout_ms: u64,
}

impl Limits {
    /// No bound, where one may be left out.
    pub const NONE: usize = usize::MAX;

    /// For values that were within the limits when they were taken: neither texts nor collections are too
    /// long, whatever the limits are now.
    pub fn of_what_was_taken() -> Self {
        Self {
            string_bytes_max: usize::MAX,
            collection_elements_max: usize::MAX,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 4 << 20,
            frame_messages_max: 10_000,
            fragments_max: 10_000,
            string_bytes_max: 2 << 20,
            collection_elements_max: 1_000_000,
            scope_objects_max: 1_000_000,
            scope_bytes_max: 1 << 30,
            session_scopes_max: 1_000,
            sessions_max: 100_000,
            principal_sessions_max: 1_000,
            address_sessions_max: 10_000,
            scopes_max: 100_000,
            scopes_bytes_max: 4 << 30,
            members_max: 100_000,
            connections_pending_max: 20_000,
            address_connections_pending_max: 2_000,
            address_connections_per_second_max: 1_000,
            backlog_bytes_max: 4 << 20,
            backlog_bytes_hard_max: 16 << 20,
            inbox_messages_max: 1_000,
            mailbox_requests_max: 1_024,
            session_requests_max: 256,
            session_messages_per_second_max: 2_000,
            session_bytes_per_second_max: 8 << 20,
            principal_messages_per_second_max: 20_000,
            principal_bytes_per_second_max: 80 << 20,
            rate_burst_ms: 10_000,
            procedure_timeout_ms: 60_000,
            procedure_waiting_max: 1_000,
            establish_timeout_ms: 10_000,
            handshake_timeout_ms: 10_000,
            ping_interval_ms: 10_000,
            session_timeout_ms: 600_000,
            expiry_warning_ms: 60_000,
            scope_idle_ms: 60_000,
            shutdown_timeout_ms: 10_000,
        }
    }
}

/// Makes the list of bounds that are counted when they are met.
macro_rules! limits {
    ($($(#[doc = $doc:literal])* $limit:ident = $name:literal,)*) => {
        /// A bound that somebody has met, for those who count.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Limit {
            $($(#[doc = $doc])* $limit,)*
        }

        impl Limit {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$limit),*];

            /// The key in the configuration.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$limit => $name,)*
                }
            }
        }
    };
}

limits! {
    /// [`Limits::message_bytes_max`]
    MessageBytes = "message_bytes_max",
    /// [`Limits::frame_messages_max`]
    FrameMessages = "frame_messages_max",
    /// [`Limits::fragments_max`]
    Fragments = "fragments_max",
    /// [`Limits::string_bytes_max`]
    StringBytes = "string_bytes_max",
    /// [`Limits::collection_elements_max`]
    CollectionElements = "collection_elements_max",
    /// [`Limits::scope_objects_max`]
    ScopeObjects = "scope_objects_max",
    /// [`Limits::scope_bytes_max`]
    ScopeBytes = "scope_bytes_max",
    /// [`Limits::session_scopes_max`]
    SessionScopes = "session_scopes_max",
    /// [`Limits::sessions_max`]
    Sessions = "sessions_max",
    /// [`Limits::principal_sessions_max`]
    PrincipalSessions = "principal_sessions_max",
    /// [`Limits::address_sessions_max`]
    AddressSessions = "address_sessions_max",
    /// [`Limits::scopes_max`]
    Scopes = "scopes_max",
    /// [`Limits::scopes_bytes_max`]
    ScopesBytes = "scopes_bytes_max",
    /// [`Limits::members_max`]
    Members = "members_max",
    /// [`Limits::connections_pending_max`]
    ConnectionsPending = "connections_pending_max",
    /// [`Limits::address_connections_pending_max`]
    AddressConnectionsPending = "address_connections_pending_max",
    /// [`Limits::address_connections_per_second_max`]
    AddressConnectionsPerSecond = "address_connections_per_second_max",
    /// [`Limits::backlog_bytes_max`]
    BacklogBytes = "backlog_bytes_max",
    /// [`Limits::backlog_bytes_hard_max`]
    BacklogBytesHard = "backlog_bytes_hard_max",
    /// [`Limits::mailbox_requests_max`]
    MailboxRequests = "mailbox_requests_max",
    /// [`Limits::session_messages_per_second_max`]
    SessionMessagesPerSecond = "session_messages_per_second_max",
    /// [`Limits::session_bytes_per_second_max`]
    SessionBytesPerSecond = "session_bytes_per_second_max",
    /// [`Limits::principal_messages_per_second_max`]
    PrincipalMessagesPerSecond = "principal_messages_per_second_max",
    /// [`Limits::principal_bytes_per_second_max`]
    PrincipalBytesPerSecond = "principal_bytes_per_second_max",
    /// [`Limits::procedure_waiting_max`]
    ProcedureWaiting = "procedure_waiting_max",
    /// [`Limits::establish_timeout_ms`]
    EstablishTimeout = "establish_timeout_ms",
    /// [`Limits::handshake_timeout_ms`]
    HandshakeTimeout = "handshake_timeout_ms",
}

/** @file Every bound and interval of the client, with its reason. Times are in milliseconds. */

/** The mean time between two Pings; each is up to a tenth earlier or later. */
export const PING_INTERVAL_MS = 10_000

/**
 * How long the link may be silent before we ask whether it is still there.
 *
 * Longer than the longest time between two Pings of the server.
 */
export const SILENCE_MS_MAX = 12_000

/** How long the answer to that question may take. Then the link counts as dead. */
export const PROBE_MS_MAX = 4_000

/** How long it may take to open a connection and to hear the first word on it. */
export const CONNECT_MS_MAX = 10_000

/** How long we wait for what is missing before we ask for it again. */
export const GAP_MS_MAX = 2_000

/** The first pause before a new attempt to connect; it doubles with each that fails. */
export const RETRY_MS_MIN = 250

/** The longest pause before a new attempt to connect. */
export const RETRY_MS_MAX = 30_000

/** The shortest pause between two attempts to show a new credential. */
export const RENEW_MS_MIN = 1000

/** The most messages in one frame, so that a server can refuse a flood of them. */
export const FRAME_MESSAGES_MAX = 500

/**
 * How much may wait in the socket, in bytes. Past it edits stay together in the open ChangeSet, where
 * the latest value of a property replaces the ones before.
 */
export const SOCKET_BYTES_MAX = 1 << 20

/**
 * After how many touched objects a ChangeSet is closed and the next one begun: below the number of
 * fragments that a server takes in one message.
 */
export const CHANGE_SET_OBJECTS_MAX = 2_000

/** The most messages that a paused scope keeps. Past it, it takes in what has come, and goes on waiting. */
export const PAUSED_MESSAGES_MAX = 10_000

/** The most steps that can be undone. The oldest are forgotten first. */
export const UNDO_STEPS_MAX = 500

/** Changes that follow each other this closely are undone together, so that a drag is one step. */
export const UNDO_GROUP_MS = 400

/** After how many characters from the server we say that we have them, so that it need not keep them. */
export const UNACKNOWLEDGED_MAX = 1 << 17

/** The longest message that we send, in bytes, unless the server says less. */
export const MESSAGE_BYTES_MAX = 4 << 20

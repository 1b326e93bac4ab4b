/** @typedef {import('./message.js').Message} Message */

/**
 * The messages of one frame, in the order in which they are to be processed. What cannot be read is
 * left out: it uses up no index, so the gap rule asks for it again.
 *
 * @param {string} frame
 * @returns {Message[]}
 */
export function decodeFrame (frame) {
  let parsed
  try {
    parsed = JSON.parse(frame)
  } catch {
    return []
  }
  const messages = Array.isArray(parsed) ? parsed : [parsed]
  return messages.filter(readable).sort((a, b) => a.index - b.index)
}

/** @param {any} message */
function readable (message) {
  return Number.isSafeInteger(message?.index) && message.index >= 0 && (FIELDS[message.type]?.(message) ?? false)
}

/** @param {unknown} list */
const isList = list => Array.isArray(list)
/** @param {unknown} count */
const isCount = count => Number.isSafeInteger(count)

/** @type {Record<string, (message: any) => boolean>} what each type must have */
const FIELDS = {
  SessionCreateReply: ({ sessionToken, error }) => typeof sessionToken === 'string' || Boolean(error),
  SessionCreateResponse: message => FIELDS.SessionCreateReply(message),
  ScopeFetchReply: ({ replyTo, scopeIndex, error }) => isCount(replyTo) && (isCount(scopeIndex) || Boolean(error)),
  ScopeState: ({ scopeIndex, rootUUID, fragments }) =>
    isCount(scopeIndex) && typeof rootUUID === 'string' && isList(fragments),
  ScopeSync: ({ scopeIndex, fragments }) => isCount(scopeIndex) && isList(fragments),
  ScopeSyncReply: ({ replyTo, fragmentReplies, error }) => isCount(replyTo) && (isList(fragmentReplies) || Boolean(error)),
  Ping: ({ ack }) => isCount(ack),
  Reply: ({ replyTo }) => isCount(replyTo),
  SessionExpiring: ({ seconds }) => isCount(seconds)
}

//! What a client said when it connected.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What a client said when it connected: path, headers, query, and from where.
///
/// Names are kept in lower case and compared without case. The parameters that begin with
/// `x-jetstream-` are connection parameters, and may stand in the query or in the headers; the query
/// wins, for browsers cannot set headers.
#[derive(Clone, Default)]
pub struct ConnectInfo {
    path: String,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    peer: Option<SocketAddr>,
    client: Option<IpAddr>,
    /// What it shows to say who it is, in a place of the transport's own.
    credential: Option<Box<str>>,
}

impl ConnectInfo {
    /// Of a client that asked for this path (with or without a query).
    pub fn new(path_and_query: &str) -> Self {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name).to_ascii_lowercase(), decode(value))
            })
            .collect();
        Self { path: path.to_owned(), query, ..Self::default() }
    }

    /// The same with one header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// The same, of a client that shows a credential in a place that is neither a header nor a parameter.
    #[must_use]
    pub fn with_credential(mut self, credential: impl Into<Box<str>>) -> Self {
        self.credential = Some(credential.into());
        self
    }

    /// The same, from this address.
    #[must_use]
    pub fn from_peer(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// The same, where the client itself is known to be here.
    #[must_use]
    pub(crate) fn of_client(mut self, client: IpAddr) -> Self {
        self.client = Some(client);
        self
    }

    /// The path that was asked for, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The address of the other end, if the transport has such a thing. Behind a proxy it is the proxy's.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The address of the client: that of the other end, or what a [proxy that is trusted](super::Proxies)
    /// has said.
    pub fn address(&self) -> Option<IpAddr> {
        self.client.or_else(|| self.peer.map(|peer| peer.ip()))
    }

    /// All headers; names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (&**name, &**value))
    }

    /// All query parameters, decoded; names in lower case.
    pub fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The connection parameter `x-jetstream-NAME`, from the query or else from the headers. An empty
    /// one is none.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let name = format!("{PREFIX}{name}");
        let not_empty = |value: &&str| !value.is_empty();
        find(&self.query, &name)
            .filter(not_empty)
            .or_else(|| find(&self.headers, &name).filter(not_empty))
    }

    /// The credential that the client shows in a place of the transport's own: over WebSocket, among its
    /// subprotocols. A secret.
    pub fn credential(&self) -> Option<&str> {
        self.credential.as_deref()
    }

    /// The token of the session that the client wants to resume. A secret.
    pub(crate) fn session_token(&self) -> Option<&str> {
        self.parameter(TOKEN)
    }

    /// Takes the token out, so that it goes no further than it must.
    pub(crate) fn forget_token(&mut self) {
        self.forget(TOKEN);
    }

    /// Takes out what says who the client is, when somebody has looked at it.
    pub(crate) fn forget_credentials(&mut self) {
        self.forget(AUTHORIZATION);
        self.headers.retain(|(header, _)| header != AUTHORIZATION);
        self.credential = None;
    }

    fn forget(&mut self, name: &str) {
        let name = format!("{PREFIX}{name}");
        self.headers.retain(|(header, _)| *header != name);
        self.query.retain(|(parameter, _)| *parameter != name);
    }
}

/// Shows names only: values may be tokens and keys, which never reach a log.
impl fmt::Debug for ConnectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| -> Vec<String> {
            pairs.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("ConnectInfo")
            .field("path", &self.path)
            .field("headers", &names(&self.headers))
            .field("query", &names(&self.query))
            .field("peer", &self.peer)
            .finish()
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))?;
    Some(&found.1)
}

/// Undoes the encoding of a query, where a plus stands for a space.
fn decode(text: &str) -> String {
    decode_part(&text.replace('+', " "))
}

/// Undoes percent-encoding. What is no proper escape stays as it stands; bytes that are no UTF-8 are
/// replaced.
pub(super) fn decode_part(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.extend(hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low));
                rest = after;
                continue;
            }
            (other, _) => bytes.push(other),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

const PREFIX: &str = "x-jetstream-";
const TOKEN: &str = "sessiontoken";
const AUTHORIZATION: &str = "authorization";

#[cfg(test)]
mod tests {
    use super::*;

    fn token(info: &ConnectInfo) -> Option<&str> {
        info.session_token()
    }

    #[test]
    fn the_token_is_found_without_case_and_the_query_wins() {
        let header = ConnectInfo::new("/").with_header("X-Jetstream-SessionToken", "h");
        assert_eq!(token(&header), Some("h"));
        let query = ConnectInfo::new("/?X-Jetstream-SessionToken=q&a=b");
        assert_eq!(token(&query), Some("q"));
        let both = ConnectInfo::new("/?x-jetstream-sessiontoken=q")
            .with_header("x-jetstream-sessiontoken", "h");
        assert_eq!(token(&both), Some("q"));
        let empty = ConnectInfo::new("/?x-jetstream-sessiontoken=")
            .with_header("X-Jetstream-SessionToken", "");
        assert_eq!(token(&empty), None);
    }

    #[test]
    fn escapes_are_undone_and_broken_ones_stay() {
        let cases = [("a%20b+c", "a b c"), ("100%", "100%"), ("%zz", "%zz"), ("%C3%A9", "é")];
        for (text, expected) in cases {
            assert_eq!(decode(text), expected, "{text}");
        }
    }

    #[test]
    fn a_forgotten_token_is_in_neither_place_and_debug_shows_no_values() {
        let mut info = ConnectInfo::new("/?x-jetstream-sessiontoken=secret&x-jetstream-user=ann")
            .with_header("x-jetstream-sessiontoken", "secret");
        assert!(!format!("{info:?}").contains("secret"));
        info.forget_token();
        assert_eq!(info.session_token(), None);
        assert_eq!(info.parameter("user"), Some("ann"));
    }

    #[test]
    fn credentials_are_forgotten_wherever_they_stand() {
        let mut info = ConnectInfo::new("/?x-jetstream-authorization=secret&x-jetstream-user=ann")
            .with_header("Authorization", "Bearer secret")
            .with_header("X-Jetstream-Authorization", "secret")
            .with_credential("secret");
        assert!(!format!("{info:?}").contains("secret"));
        info.forget_credentials();
        let shown =
            [info.header("authorization"), info.parameter("authorization"), info.credential()];
        assert_eq!((shown, info.parameter("user")), ([None; 3], Some("ann")));
    }
}

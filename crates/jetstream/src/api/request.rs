//! What HTTP says of a request besides its path: who is meant to understand the answer, what is known already,
//! what must still be so.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    self, ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH,
};
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::problem::Problem;
use crate::scope::StateTag;
use crate::transport::ConnectInfo;

/// Whether the client understands what will be answered.
pub(super) fn accepts(headers: &HeaderMap, kind: &'static str) -> Result<(), Problem> {
    let (whole, _) = kind.split_once('/').unwrap_or((kind, ""));
    let mut named = false;
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            named = true;
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let matches = media == "*/*"
                || media.eq_ignore_ascii_case(kind)
                || media.strip_suffix("/*").is_some_and(|media| media.eq_ignore_ascii_case(whole));
            let refused = parts.any(|part| {
                part.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0))
            });
            if matches && !refused {
                return Ok(());
            }
        }
    }
    if !named {
        return Ok(());
    }
    let message = format!("this is answered as {kind}");
    Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", message))
}

/// The body, which has to be JSON and not too long.
pub(super) async fn body(
    headers: &HeaderMap,
    body: Incoming,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let media = kind.split(';').next().unwrap_or_default().trim();
    let is_plain =
        headers.get(CONTENT_ENCODING).is_none_or(|coding| coding.as_bytes() == b"identity");
    if !media.eq_ignore_ascii_case("application/json") || !is_plain {
        let message = "expected a body of the type application/json, without an encoding";
        let kind = "unsupported-media-type";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, kind, message)
            .with(ACCEPT, HeaderValue::from_static("application/json")));
    }
    let read = timeout(BODY_TIME_MAX, Limited::new(body, bytes_max).collect()).await;
    let failed =
        |problem: Problem| problem.with(header::CONNECTION, HeaderValue::from_static("close"));
    match read {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("a body has at most {bytes_max} bytes");
            let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message);
            Err(failed(problem))
        }
        Ok(Err(_)) => Err(failed(Problem::bad_request("the body could not be read"))),
        Err(_) => {
            let message = "the body took too long";
            Err(failed(Problem::new(StatusCode::REQUEST_TIMEOUT, "timed-out", message)))
        }
    }
}

/// The parameters behind `?`, of which only these may stand there, each once.
pub(super) struct Query(ConnectInfo);

impl Query {
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let info = ConnectInfo::new(uri.path_and_query().map_or("/", |path| path.as_str()));
        for (place, (name, _)) in info.query().enumerate() {
            if !known.contains(&name) {
                let names = match known {
                    [] => "there are none here".to_owned(),
                    known => format!("there are {}", known.join(", ")),
                };
                return Err(Problem::bad_request(format!("no parameter {name:?}: {names}")));
            }
            if info.query().take(place).any(|(other, _)| other == name) {
                return Err(Problem::bad_request(format!("the parameter {name:?} stands twice")));
            }
        }
        Ok(Self(info))
    }

    /// A number; `None`: it is not there.
    pub(super) fn number(&self, name: &str, max: u64) -> Result<Option<u64>, Problem> {
        let found = self.0.query().find(|(candidate, _)| *candidate == name);
        let Some((_, text)) = found else { return Ok(None) };
        match number(text).filter(|number| *number <= max) {
            Some(number) => Ok(Some(number)),
            None => {
                let message = format!("{name}: expected a number up to {max}");
                Err(Problem::bad_request(message))
            }
        }
    }
}

/// Digits and nothing else.
pub(super) fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The key by which the request is known when it comes again.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(key) = once(headers, "idempotency-key")? else { return Ok(None) };
    let key = key.to_str().unwrap_or_default();
    let is_key = (1..=KEY_BYTES_MAX).contains(&key.len());
    if is_key && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(key));
    }
    let message = format!(
        "Idempotency-Key: expected 1 to {KEY_BYTES_MAX} letters, digits and signs of ASCII, no spaces"
    );
    Err(Problem::bad_request(message))
}

/// The state for which the request is meant.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<StateTag>, Problem> {
    let Some(value) = once(headers, IF_MATCH.as_str())? else { return Ok(None) };
    let value = value.to_str().unwrap_or_default().trim();
    if value == "*" {
        return Ok(None);
    }
    // Whatever else it says: no state is named so, and nothing may be changed.
    entity_tag(value).and_then(|tag| tag.parse().ok()).map(Some).ok_or_else(|| {
        let message =
            "If-Match: no state has this tag; expected *, one ETag, or a revision: \"12\"";
        Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", message)
    })
}

/// The states that the client knows; what is none is passed over.
pub(super) fn if_none_match(headers: &HeaderMap) -> Vec<StateTag> {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let tags = values.flat_map(|value| value.split(','));
    let tag = |text: &str| {
        let text = text.trim();
        entity_tag(text.strip_prefix("W/").unwrap_or(text))?.parse().ok()
    };
    tags.filter_map(tag).collect()
}

/// What stands between the quotes of an entity tag.
fn entity_tag(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"').filter(|tag| !tag.contains('"'))
}

/// The revision behind which a stream is to go on.
pub(super) fn last_event(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(id) = once(headers, "last-event-id")? else { return Ok(None) };
    let revision = number(id.to_str().unwrap_or_default()).filter(|number| *number <= NUMBER_MAX);
    revision.map(Some).ok_or_else(|| Problem::bad_request("Last-Event-ID: expected a revision"))
}

fn once<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Problem::bad_request(format!("the header {name} stands twice"))),
    }
}

/// The highest revision and the highest id of a session that are told: programs count in doubles.
pub(super) const NUMBER_MAX: u64 = (1 << 53) - 1;

/// How long a body may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// Room for a UUID and whatever a program puts before it.
const KEY_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn a_client_gets_what_it_understands_or_nothing() {
        let accepts = |value| accepts(&headers("accept", value), "application/json").is_ok();
        for value in
            ["*/*", "application/*", "text/html, Application/JSON;q=0.5", "text/*,*/*;q=.1"]
        {
            assert!(accepts(value), "{value}");
        }
        for value in ["text/html", "application/json;q=0", "application/jsonp", "", "json"] {
            assert!(!accepts(value), "{value}");
        }
        assert!(super::accepts(&HeaderMap::new(), "text/event-stream").is_ok());
    }

    #[test]
    fn a_state_is_named_in_quotes() {
        let if_match = |value| {
            if_match(&headers("if-match", value)).map_err(|problem| problem.status.as_u16())
        };
        let tag = StateTag::of(jetstream_core::ids::Revision(12));
        assert_eq!(if_match("\"12\""), Ok(Some(tag)));
        assert_eq!(if_match("*"), Ok(None));
        for value in ["\"twelve\"", "12", "W/\"12\"", "\"12\", \"13\"", ""] {
            assert_eq!(if_match(value), Err(412), "{value}");
        }
        let known = |value| if_none_match(&headers("if-none-match", value));
        assert_eq!(known("W/\"12\", \"x\" ,\"12\""), [tag, tag]);
        assert_eq!(known("*"), []);
    }

    #[test]
    fn only_known_parameters_are_taken_once_and_as_numbers() {
        let query = |text: &str| Query::of(&text.parse().unwrap(), &["after", "wait"]);
        let number = |text: &str| query(text)?.number("after", 100);
        assert_eq!(number("/x?after=7&wait=1").ok(), Some(Some(7)));
        assert_eq!(number("/x").ok(), Some(None));
        for wrong in ["/x?after=101", "/x?after=+7", "/x?after=", "/x?aftr=7", "/x?after=7&after=8"]
        {
            assert_eq!(number(wrong).unwrap_err().status, StatusCode::BAD_REQUEST, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_short_and_plain() {
        let key = |value| idempotency_key(&headers("idempotency-key", value)).is_ok();
        assert!(key("8e03978e-40d5-43e8-bc93-6894a57f9324") && key("\"quoted\""));
        assert!(!key("") && !key("two words"));
    }
}

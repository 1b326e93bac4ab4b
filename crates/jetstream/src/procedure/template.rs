//! What a service is told: a request with expressions in it.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jetstream_core::model::prospect::Prospect;
use jetstream_core::model::{Fragment, ModelId, ProcedureName, Schema};
use jetstream_core::scope::access::ScopeFacts;
use jetstream_core::wire::encode;
use jetstream_core::wire::message::Dialect;
use serde_json::{Map, Value as Json, json};

use super::ActionCall;
use crate::expression::{Bindings, Constant, Environment, EvaluationError, Expression, Kind};
use crate::http::Outgoing;
use crate::server::SessionInfo;

/// A request whose parts depend on what it is about.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    /// How the service is called.
    pub method: Method,
    /// Where.
    pub url: UrlTemplate,
    /// What is said beside it.
    pub headers: Vec<(HeaderName, Expression)>,
    /// The secret that the service knows us by, as `Authorization: Bearer`.
    pub bearer: Option<HeaderValue>,
    /// What is said; `None`: the whole ChangeSet, if the method has a body.
    pub body: Option<BodyTemplate>,
    /// Whether it may be repeated when it may have arrived.
    pub repeatable: bool,
}

/// A URL with values in it.
#[derive(Debug, Clone, PartialEq)]
pub struct UrlTemplate(Vec<UrlPart>);

#[derive(Debug, Clone, PartialEq)]
enum UrlPart {
    Text(String),
    Value(String, Expression),
}

/// JSON with values in it.
#[derive(Debug, Clone, PartialEq)]
pub enum BodyTemplate {
    /// As it is.
    Literal(Json),
    /// The value of an expression.
    Value(Expression),
    /// Each element for itself.
    Array(Vec<BodyTemplate>),
    /// Each entry for itself.
    Object(Vec<(String, BodyTemplate)>),
}

/// Why there is no request for a ChangeSet. Names keys and never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// An expression has no value.
    #[error("{0:?} has no value: {1}")]
    NoValue(String, EvaluationError),
    /// What goes into a URL or a header is a text, a number or a truth.
    #[error("{0:?} is no text")]
    NoText(String),
    /// A header cannot hold it.
    #[error("{0:?} cannot stand in a header")]
    NoHeader(String),
}

impl UrlTemplate {
    /// Reads `https://example.com/canvas/{canvas}`; `value` gives the expression of each name in braces.
    ///
    /// # Errors
    ///
    /// In words, what is wrong with it.
    pub fn parse(
        text: &str,
        mut value: impl FnMut(&str) -> Option<Expression>,
    ) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(open);
            let close = from.find('}').filter(|_| from.starts_with('{'));
            let close = close.ok_or_else(|| format!("unpaired brace in {text:?}"))?;
            let name = &from[1..close];
            let expression = value(name).ok_or_else(|| format!("no parameter {name:?}"))?;
            plain.push_str(before);
            plain.push('x');
            parts.push(UrlPart::Text(before.to_owned()));
            parts.push(UrlPart::Value(name.to_owned(), expression));
            rest = &from[close + 1..];
        }
        plain.push_str(rest);
        parts.push(UrlPart::Text(rest.to_owned()));
        // Where a request goes is for the configuration to say, not for a value.
        let host_ends = text.find("://").map(|at| at + 3).unwrap_or_default();
        let host_end =
            text[host_ends..].find(['/', '?', '#']).map_or(text.len(), |at| host_ends + at);
        if text[..host_end].contains('{') {
            return Err("a parameter can stand behind the host only".to_owned());
        }
        match reqwest::Url::parse(&plain) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Ok(Self(parts))
            }
            Ok(_) => Err(format!("{text:?} is no address of a web service")),
            Err(error) => Err(format!("{text:?} is no URL: {error}")),
        }
    }

    fn fill(&self, bindings: &Bindings<'_>) -> Result<String, TemplateError> {
        let mut url = String::new();
        for part in &self.0 {
            match part {
                UrlPart::Text(text) => url.push_str(text),
                UrlPart::Value(_, expression) => {
                    encode_part(&text_of(expression, bindings)?, &mut url)
                }
            }
        }
        Ok(url)
    }
}

/// A value within a URL stays within its place: all but letters, digits and `-._~` is encoded.
fn encode_part(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

fn text_of(expression: &Expression, bindings: &Bindings<'_>) -> Result<String, TemplateError> {
    match value_of(expression, bindings)? {
        Json::String(text) => Ok(text),
        Json::Number(number) => Ok(number.to_string()),
        Json::Bool(value) => Ok(value.to_string()),
        _ => Err(TemplateError::NoText(expression.text().to_owned())),
    }
}

fn value_of(expression: &Expression, bindings: &Bindings<'_>) -> Result<Json, TemplateError> {
    let no_value = |error| TemplateError::NoValue(expression.text().to_owned(), error);
    expression.value(bindings).map_err(no_value)
}

impl BodyTemplate {
    fn fill(&self, bindings: &Bindings<'_>) -> Result<Json, TemplateError> {
        Ok(match self {
            Self::Literal(json) => json.clone(),
            Self::Value(expression) => value_of(expression, bindings)?,
            Self::Array(elements) => {
                let elements = elements.iter().map(|element| element.fill(bindings));
                Json::Array(elements.collect::<Result<_, _>>()?)
            }
            Self::Object(entries) => {
                let entries = entries.iter().map(|(key, v)| Ok((key.clone(), v.fill(bindings)?)));
                Json::Object(entries.collect::<Result<_, _>>()?)
            }
        })
    }
}

impl RequestTemplate {
    /// What expressions about a ChangeSet may name: `root`, `objects`, `incoming`, `scope`, `session`,
    /// `procedure`.
    pub fn environment(schema: std::sync::Arc<Schema>, root: Option<ModelId>) -> Environment {
        Environment::new(schema)
            .with("root", root.map_or(Kind::Any, Kind::Object))
            .with("objects", Kind::Map)
            .with("incoming", Kind::Map)
            .with("scope", Kind::Map)
            .with("session", Kind::Map)
            .with("procedure", Kind::Text)
    }

    /// What expressions about a scope that is not there yet may name: `scope`.
    pub fn environment_of_scope(schema: std::sync::Arc<Schema>) -> Environment {
        Environment::new(schema).with("scope", Kind::Map)
    }

    /// The request for a ChangeSet.
    ///
    /// # Errors
    ///
    /// An expression has no value that fits its place.
    pub fn fill(&self, call: &ActionCall<'_>) -> Result<Outgoing, TemplateError> {
        let prospect = Prospect::present(call.graph());
        let fragments = fragments(call.graph().schema(), call.fragments());
        let incoming = Constant::new(&incoming(&fragments));
        let scope = Constant::new(&scope(call.scope));
        let session = Constant::new(&session(call.session()));
        let procedure = call.procedure().map_or("", ProcedureName::as_str);
        let procedure = Constant::new(&json!(procedure));
        let mut bindings = Bindings::new();
        bindings.object("root", Some(prospect.root()));
        bindings.all("objects", &prospect);
        bindings.constant("incoming", &incoming);
        bindings.constant("scope", &scope);
        bindings.constant("session", &session);
        bindings.constant("procedure", &procedure);
        self.request(&bindings, Some(&call.key()), || whole(call, fragments))
    }

    /// The request for what a scope begins with.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    pub fn fill_for_scope(&self, facts: &ScopeFacts) -> Result<Outgoing, TemplateError> {
        let facts = scope(facts);
        let scope = Constant::new(&facts);
        let mut bindings = Bindings::new();
        bindings.constant("scope", &scope);
        self.request(&bindings, None, || json!({ "scope": facts }))
    }

    /// `key`: what the call is known by. `whole`: what is said if nothing in particular is.
    fn request(
        &self,
        bindings: &Bindings<'_>,
        key: Option<&str>,
        whole: impl FnOnce() -> Json,
    ) -> Result<Outgoing, TemplateError> {
        let body = match &self.body {
            Some(body) => Some(body.fill(bindings)?),
            None => self.has_body().then(whole),
        };
        let url = self.url.fill(bindings)?;
        let headers = self.headers(bindings, body.is_some(), key)?;
        let body = body.map(|body| Bytes::from(body.to_string()));
        let (method, repeatable) = (self.method.clone(), self.repeatable);
        Ok(Outgoing { method, url, headers, body, repeatable })
    }

    fn has_body(&self) -> bool {
        ![Method::GET, Method::HEAD, Method::DELETE].contains(&self.method)
    }

    fn headers(
        &self,
        bindings: &Bindings<'_>,
        has_body: bool,
        key: Option<&str>,
    ) -> Result<HeaderMap, TemplateError> {
        let mut headers = HeaderMap::new();
        if has_body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if !self.method.is_safe()
            && let Some(Ok(key)) = key.map(HeaderValue::from_str)
        {
            headers.insert(HeaderName::from_static("idempotency-key"), key);
        }
        if let Some(bearer) = &self.bearer {
            headers.insert(header::AUTHORIZATION, bearer.clone());
        }
        for (name, expression) in &self.headers {
            let value = HeaderValue::from_str(&text_of(expression, bindings)?);
            let value = value.map_err(|_| TemplateError::NoHeader(name.to_string()))?;
            headers.insert(name.clone(), value);
        }
        Ok(headers)
    }
}

/// Everything about a ChangeSet, for services that are told no selection of it.
fn whole(call: &ActionCall<'_>, fragments: Json) -> Json {
    json!({
        "scope": call.scope().as_str(),
        "session": told(call.session()),
        "procedure": call.procedure().map(ProcedureName::as_str),
        "atomic": call.is_atomic(),
        "rootUUID": call.graph().root(),
        "revision": call.revision(),
        "fragments": fragments,
    })
}

/// Fragments as the protocol writes them.
pub(crate) fn fragments(schema: &Schema, fragments: &[Fragment]) -> Json {
    let text = encode::fragments(schema, fragments, Dialect::V1);
    serde_json::from_str(&text).expect("it was just written")
}

/// By model and type, the first fragment of each; and all of them.
fn incoming(fragments: &Json) -> Json {
    let mut models = Map::new();
    for fragment in fragments.as_array().into_iter().flatten() {
        let (Some(model), Some(kind)) = (fragment["clsName"].as_str(), fragment["type"].as_str())
        else {
            continue;
        };
        let kinds = models.entry(model).or_insert_with(|| json!({}));
        if let Some(kinds) = kinds.as_object_mut() {
            kinds.entry(kind).or_insert_with(|| fragment.clone());
        }
    }
    models.insert("fragments".to_owned(), fragments.clone());
    Json::Object(models)
}

fn scope(facts: &ScopeFacts) -> Json {
    json!({ "name": facts.name.as_str(), "params": facts.params })
}

fn session(session: Option<&SessionInfo>) -> Json {
    let Some(session) = session else { return json!({}) };
    // As access rules know it, with what they do not know beside it.
    let mut said = session.claims().entries().clone();
    let (claims, id, params) = (Json::from(said.clone()), json!(session.id()), session.params());
    said.extend([
        ("claims".to_owned(), claims),
        ("id".to_owned(), id),
        ("params".to_owned(), Json::from(params.clone())),
    ]);
    Json::Object(said)
}

/// A session for services that are told everything: each thing once.
fn told(session: Option<&SessionInfo>) -> Json {
    let Some(session) = session else { return json!({}) };
    let claims = session.claims();
    json!({ "id": session.id(), "params": session.params(), "claims": claims.entries() })
}

/// As it was written.
impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            UrlPart::Text(text) => f.write_str(text),
            UrlPart::Value(name, _) => write!(f, "{{{name}}}"),
        })
    }
}

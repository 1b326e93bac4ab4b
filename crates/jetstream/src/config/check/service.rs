//! `http = { … }`: how a service is called, with expressions that are checked here.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value as Json;

use super::limits::{Unit, number};
use super::reader::{Reader, allowed, array, string, table};
use super::{Context, file};
use crate::config::ServiceConfig;
use crate::config::mistake::Collector;
use crate::config::tree::{Entry, Node, Value, quoted};
use crate::core::model::Schema;
use crate::expression::{Environment, Expression};
use crate::http::{Service, ServiceOptions};
use crate::metrics::Metrics;
use crate::procedure::{BodyTemplate, RequestTemplate, UrlTemplate};

/// What holds of a service where its description says nothing.
pub(super) struct Usual {
    pub(super) method: Method,
    /// Whether every call may be repeated, since the service knows it by its key.
    pub(super) repeatable: bool,
    pub(super) answer_bytes_max: usize,
}

impl Default for Usual {
    fn default() -> Self {
        let answer_bytes_max = ServiceOptions::default().answer_bytes_max;
        Self { method: Method::POST, repeatable: false, answer_bytes_max }
    }
}

/// Reads the description of a service's calls.
pub(super) fn read(
    node: &Node,
    schema: &Schema,
    environment: &Environment,
    usual: &Usual,
    context: &mut Context,
) -> Option<ServiceConfig> {
    let mut reader = Reader::open("an HTTP service", node, &mut context.mistakes)?;
    let method = match reader.take("method") {
        Some(entry) => method(&entry.node, &mut context.mistakes),
        None => Some(usual.method.clone()),
    };
    let mut expressions = Expressions { schema, environment, mistakes: &mut context.mistakes };
    let params = reader.take("params").map(|entry| expressions.named(entry, "the parameters"));
    let url = reader.require("url", expressions.mistakes);
    let url = url.and_then(|entry| url_of(entry, params.unwrap_or_default(), &mut expressions));
    let headers = reader.take("headers").map(|entry| expressions.named(entry, "the headers"));
    let headers = header_names(headers.unwrap_or_default(), expressions.mistakes);
    let body = reader.take("body").map(|entry| expressions.body(&entry.node));
    let success = reader.take("success").map(|entry| statuses(&entry.node, expressions.mistakes));
    let answer_bytes_max = usual.answer_bytes_max;
    let otherwise = ServiceOptions { answer_bytes_max, ..ServiceOptions::default() };
    let (mut options, retries) = options(&mut reader, otherwise, expressions.mistakes);
    if let Some(entry) = reader.take("answer_bytes_max")
        && let Some(bytes) = number(&entry.node, Unit::Bytes, expressions.mistakes)
    {
        options.answer_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    let bearer = reader.take("bearer_file").map(|entry| bearer(&entry.node, context));
    reader.finish(&mut context.mistakes);
    if let Err(error) = Service::new(options.clone(), Metrics::new()) {
        context.mistakes.add(node.place, format!("no service can be called: {error}"));
    }
    let method = method?;
    let repeatable = method.is_idempotent() || retries || usual.repeatable;
    let bearer = bearer.map_or(Some(None), |bearer| bearer.map(Some))?;
    let body = body.map_or(Some(None), |body| body.map(Some))?;
    let success = success.map_or(Some(Vec::new()), |success| success)?;
    let request =
        RequestTemplate { method, url: url?, headers: headers?, bearer, body, repeatable };
    Some(ServiceConfig { request, success, options })
}

fn method(node: &Node, mistakes: &mut Collector) -> Option<Method> {
    let text = string(node, "a method", mistakes)?;
    let found = METHODS.into_iter().find(|method| method.as_str() == text);
    if found.is_none() {
        let help = allowed("methods", text, METHODS.iter().map(Method::as_str));
        mistakes.add_with_help(node.place, format!("no method {}", quoted(text)), help);
    }
    found
}

const METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The address, with every parameter that it names and no other.
fn url_of(
    entry: &Entry,
    params: Vec<(&Entry, Option<Expression>)>,
    expressions: &mut Expressions<'_>,
) -> Option<UrlTemplate> {
    let text = string(&entry.node, "the address of a service", expressions.mistakes)?;
    let broken = params.iter().any(|(_, expression)| expression.is_none());
    let mut used = BTreeSet::new();
    let parsed = UrlTemplate::parse(text, |name| {
        let (param, expression) = params.iter().find(|(entry, _)| entry.key == name)?;
        used.insert(param.key.as_str());
        expression.clone().or_else(|| expressions.any())
    });
    for (param, _) in &params {
        if parsed.is_ok() && !used.contains(param.key.as_str()) {
            let message = format!("the url has no {{{}}}", param.key);
            expressions.mistakes.add(param.key_place, message);
        }
    }
    match parsed {
        Ok(url) => Some(url).filter(|_| !broken),
        Err(why) => {
            let help = "for example \"http://127.0.0.1:8080/canvas/{canvas}\" with params = { canvas = \
                        \"root.uuid\" }";
            expressions.mistakes.add_with_help(entry.node.place, why, help);
            None
        }
    }
}

fn header_names(
    headers: Vec<(&Entry, Option<Expression>)>,
    mistakes: &mut Collector,
) -> Option<Vec<(HeaderName, Expression)>> {
    let headers: Vec<_> = headers
        .into_iter()
        .map(|(entry, expression)| match HeaderName::from_bytes(entry.key.as_bytes()) {
            Ok(name) => Some((name, expression?)),
            Err(_) => {
                let message = format!("{} is no name of a header", quoted(&entry.key));
                mistakes.add(entry.key_place, message);
                None
            }
        })
        .collect();
    headers.into_iter().collect()
}

pub(super) fn statuses(node: &Node, mistakes: &mut Collector) -> Option<Vec<StatusCode>> {
    let status = |node: &Node, mistakes: &mut Collector| {
        let status = match node.value {
            Value::Integer(status) => u16::try_from(status).ok(),
            _ => None,
        };
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        if status.is_none() {
            let message = format!("expected a status such as 200, found {}", node.value.found());
            mistakes.add(node.place, message);
        }
        status
    };
    let nodes = array(node, "an array of statuses", mistakes)?;
    let statuses: Vec<_> = nodes.iter().map(|node| status(node, mistakes)).collect();
    statuses.into_iter().collect()
}

/// How the service is treated where something is said about it, and whether repeats were asked for.
pub(super) fn options(
    reader: &mut Reader<'_>,
    mut options: ServiceOptions,
    mistakes: &mut Collector,
) -> (ServiceOptions, bool) {
    let mut take = |key, unit, mistakes: &mut Collector| {
        reader.take(key).and_then(|entry| number(&entry.node, unit, mistakes))
    };
    for (key, place) in [
        ("timeout", &mut options.timeout),
        ("retry_pause", &mut options.retry_pause),
        ("pause", &mut options.pause),
    ] {
        if let Some(value) = take(key, Unit::Milliseconds, mistakes) {
            *place = Duration::from_millis(value);
        }
    }
    let retries = take("retries", Unit::Count, mistakes);
    options.retries = retries.map_or(options.retries, |n| u32::try_from(n).unwrap_or(u32::MAX));
    if let Some(value) = take("calls_max", Unit::Count, mistakes) {
        options.calls_max = usize::try_from(value).unwrap_or(usize::MAX);
    }
    if let Some(value) = take("failures_max", Unit::Count, mistakes) {
        options.failures_max = u32::try_from(value).unwrap_or(u32::MAX);
    }
    (options, retries.is_some())
}

/// What the file holds, without the line's end.
pub(super) fn bearer(node: &Node, context: &mut Context) -> Option<HeaderValue> {
    let path = file(node, context)?;
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let secret = text.trim();
    let value = HeaderValue::from_str(&format!("Bearer {secret}"));
    match value {
        Ok(mut value) if !secret.is_empty() => {
            value.set_sensitive(true);
            Some(value)
        }
        _ => {
            context.mistakes.add(node.place, "the file holds no secret of one line");
            None
        }
    }
}

/// Expressions of one description.
struct Expressions<'a> {
    schema: &'a Schema,
    environment: &'a Environment,
    mistakes: &'a mut Collector,
}

impl Expressions<'_> {
    /// A table of expressions.
    fn named<'e>(&mut self, entry: &'e Entry, what: &str) -> Vec<(&'e Entry, Option<Expression>)> {
        let Some(table) = table(&entry.node, what, self.mistakes) else { return Vec::new() };
        let named = table.0.iter().map(|entry| {
            let text = string(&entry.node, "an expression", self.mistakes);
            (entry, text.and_then(|text| self.expression(&entry.node, text)))
        });
        named.collect()
    }

    fn body(&mut self, node: &Node) -> Option<BodyTemplate> {
        Some(match &node.value {
            Value::String(text) => BodyTemplate::Value(self.expression(node, text)?),
            Value::Integer(number) => BodyTemplate::Literal(Json::from(*number)),
            Value::Float(number) => BodyTemplate::Literal(Json::from(*number)),
            Value::Boolean(value) => BodyTemplate::Literal(Json::from(*value)),
            Value::Array(nodes) => {
                let elements: Vec<_> = nodes.iter().map(|node| self.body(node)).collect();
                BodyTemplate::Array(elements.into_iter().collect::<Option<_>>()?)
            }
            Value::Table(table) => {
                let entry = |entry: &Entry| Some((entry.key.clone(), self.body(&entry.node)?));
                let entries: Vec<_> = table.0.iter().map(entry).collect();
                BodyTemplate::Object(entries.into_iter().collect::<Option<_>>()?)
            }
            Value::Date(_) => {
                let message = format!("expected an expression, found {}", node.value.found());
                self.mistakes.add(node.place, message);
                return None;
            }
        })
    }

    fn expression(&mut self, node: &Node, text: &str) -> Option<Expression> {
        match Expression::compile(text, self.environment) {
            Ok(expression) => self.known(node, expression),
            Err(mistakes) => {
                for mistake in mistakes {
                    let part = text.get(mistake.span.clone());
                    let part = part.filter(|part| part.len() > 1 && *part != text);
                    let message = match part {
                        Some(part) => format!("{} (at {})", mistake.message, quoted(part)),
                        None => mistake.message,
                    };
                    match mistake.help {
                        Some(help) => self.mistakes.add_with_help(node.place, message, help),
                        None => self.mistakes.add(node.place, message),
                    }
                }
                None
            }
        }
    }

    /// `incoming` has an entry for each model, and nothing else.
    fn known(&mut self, node: &Node, expression: Expression) -> Option<Expression> {
        for name in expression.uses().fields("incoming").into_iter().flatten() {
            if name != "fragments" && self.schema.find(name).is_none() {
                let names: Vec<&str> =
                    self.schema.models().map(|(_, model)| &**model.name()).collect();
                let help = allowed("models", name, names.iter().copied());
                let message = format!("no model {} in \"incoming\"", quoted(name));
                self.mistakes.add_with_help(node.place, message, help);
                return None;
            }
        }
        Some(expression)
    }

    /// In the place of one that is wrong, so that the rest is looked at.
    fn any(&self) -> Option<Expression> {
        Expression::compile("scope", self.environment).ok()
    }
}

//! `notify` of a scope: who is told of its changes, after they have happened.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use reqwest::Url;

use super::limits::{Unit, number};
use super::reader::{Reader, string, table};
use super::service::{bearer, statuses};
use super::{Context, file};
use crate::config::mistake::Collector;
use crate::config::tree::{Entry, Node, quoted};
use crate::config::{NotifyConfig, WebhookConfig};
use crate::http::{Service, ServiceOptions};
use crate::metrics::Metrics;
use crate::notify::{NotifyOptions, SigningKey};

/// Reads `notify` of the scope, or of the family, with this name.
pub(super) fn read(entry: &Entry, scope: &str, context: &mut Context) -> Option<NotifyConfig> {
    let mistakes = &mut context.mistakes;
    let mut reader = Reader::open("a notification", &entry.node, mistakes)?;
    let name = reader.take("name").map(|entry| string(&entry.node, "a name", mistakes));
    let mut options = NotifyOptions::default();
    let mut take = |key, unit, mistakes: &mut Collector| {
        reader.take(key).and_then(|entry| number(&entry.node, unit, mistakes))
    };
    if let Some(value) = take("retry_for", Unit::Milliseconds, mistakes) {
        options.retry_for = Duration::from_millis(value);
    }
    for (key, unit, place) in [
        ("batch_commits_max", Unit::Count, &mut options.batch_commits_max),
        ("batch_bytes_max", Unit::Bytes, &mut options.batch_bytes_max),
    ] {
        if let Some(value) = take(key, unit, mistakes) {
            *place = usize::try_from(value).unwrap_or(usize::MAX);
        }
    }
    if let Some(value) = take("dead_letters_max", Unit::Count, mistakes) {
        options.letters_max = value;
    }
    let http = reader.require("http", mistakes);
    reader.finish(mistakes);
    let http = http.and_then(|entry| webhook(&entry.node, &mut options, context));
    let name = name.map_or(Some(scope), |name| name)?.to_owned();
    Some(NotifyConfig { name, options, http: http? })
}

fn webhook(
    node: &Node,
    notify: &mut NotifyOptions,
    context: &mut Context,
) -> Option<WebhookConfig> {
    let mistakes = &mut context.mistakes;
    let mut reader = Reader::open("a webhook", node, mistakes)?;
    let url = reader.require("url", mistakes).and_then(|entry| url(&entry.node, mistakes));
    let headers = reader.take("headers").map(|entry| headers(entry, mistakes));
    let success = reader.take("success").map(|entry| statuses(&entry.node, mistakes));
    let options = service_options(&mut reader, notify, mistakes);
    let bearer_file = reader.take("bearer_file");
    let secret_file = reader.take("secret_file");
    reader.finish(mistakes);
    let bearer = bearer_file.map(|entry| bearer(&entry.node, context));
    let keys = secret_file.map(|entry| keys(&entry.node, context));
    if let Err(error) = Service::new(options.clone(), Metrics::new()) {
        context.mistakes.add(node.place, format!("no service can be called: {error}"));
    }
    let mut headers = headers.map_or(Some(Vec::new()), |headers| headers)?;
    if let Some(bearer) = bearer {
        headers.push((header::AUTHORIZATION, bearer?));
    }
    Some(WebhookConfig {
        url: url?,
        headers,
        keys: keys.map_or(Some(Vec::new()), |keys| keys)?,
        success: success.map_or(Some(Vec::<StatusCode>::new()), |success| success)?,
        options,
    })
}

/// How the service is treated, and what of that is the notifier's to do.
fn service_options(
    reader: &mut Reader<'_>,
    notify: &mut NotifyOptions,
    mistakes: &mut Collector,
) -> ServiceOptions {
    let mut options = ServiceOptions { retries: 0, ..ServiceOptions::default() };
    let mut take = |key, unit, mistakes: &mut Collector| {
        reader.take(key).and_then(|entry| number(&entry.node, unit, mistakes))
    };
    for (key, place) in [
        ("timeout", &mut options.timeout),
        ("pause", &mut options.pause),
        ("retry_pause", &mut notify.retry_pause),
        ("retry_pause_max", &mut notify.retry_pause_max),
    ] {
        if let Some(value) = take(key, Unit::Milliseconds, mistakes) {
            *place = Duration::from_millis(value);
        }
    }
    if let Some(value) = take("calls_max", Unit::Count, mistakes) {
        notify.scopes_at_a_time_max = usize::try_from(value).unwrap_or(usize::MAX).min(CALLS_MAX);
    }
    options.calls_max = notify.scopes_at_a_time_max;
    if let Some(value) = take("failures_max", Unit::Count, mistakes) {
        options.failures_max = u32::try_from(value).unwrap_or(u32::MAX);
    }
    options
}

fn url(node: &Node, mistakes: &mut Collector) -> Option<String> {
    let text = string(node, "the address of a service", mistakes)?;
    let problem = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            return Some(text.to_owned());
        }
        Ok(_) => format!("{} is no address of a web service", quoted(text)),
        Err(error) => format!("{} is no URL: {error}", quoted(text)),
    };
    mistakes.add_with_help(node.place, problem, "for example \"https://example.com/changed\"");
    None
}

fn headers(entry: &Entry, mistakes: &mut Collector) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let entries = &table(&entry.node, "the headers", mistakes)?.0;
    let header = |entry: &Entry| {
        let Ok(name) = HeaderName::from_bytes(entry.key.as_bytes()) else {
            let message = format!("{} is no name of a header", quoted(&entry.key));
            mistakes.add(entry.key_place, message);
            return None;
        };
        let text = string(&entry.node, "a text", mistakes)?;
        match HeaderValue::from_str(text) {
            Ok(value) => Some((name, value)),
            Err(_) => {
                mistakes.add(entry.node.place, "this cannot stand in a header");
                None
            }
        }
    };
    let headers: Vec<_> = entries.iter().map(header).collect();
    headers.into_iter().collect()
}

/// The keys that the file holds, one a line.
fn keys(node: &Node, context: &mut Context) -> Option<Vec<SigningKey>> {
    let path = file(node, context)?;
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Result<Vec<_>, _> = lines.map(SigningKey::parse).collect();
    let problem = match keys {
        Ok(keys) if !keys.is_empty() => return Some(keys),
        Ok(_) => "the file holds no secret".to_owned(),
        Err(why) => format!("the file holds no secret to sign with: {why}"),
    };
    let help = "one a line, each made with: echo whsec_$(openssl rand -base64 32)";
    context.mistakes.add_with_help(node.place, problem, help);
    None
}

/// A service is told about no more scopes at a time, however many it can bear: each holds a notice in memory.
const CALLS_MAX: usize = 256;

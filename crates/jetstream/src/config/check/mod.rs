//! From the tree to a [`Config`]: types, names, references, all mistakes at once.

mod access;
mod api;
mod authentication;
pub(super) mod cases;
pub(super) mod limits;
mod models;
mod notify;
mod procedures;
mod proxies;
mod reader;
mod scopes;
mod service;
pub(super) mod state;
mod storage;
mod values;

use std::path::PathBuf;
use std::sync::Arc;

use self::reader::{Reader, address, array, boolean, string, table};
use super::mistake::{Collector, Place, Sources};
use super::tree::{Entry, Node, Table, quoted};
use super::{Config, InspectorConfig, ProcedureConfig, ScopeConfig, Secret, Tls};
use crate::core::limits::Limits;
use crate::transport::Proxies;
use crate::transport::websocket::tls_acceptor;

/// What the check needs besides the tree.
pub(super) struct Context {
    pub(super) sources: Sources,
    pub(super) mistakes: Collector,
    /// What paths in the configuration are relative to: the folder of its file.
    pub(super) directory: PathBuf,
}

/// Reads everything. `None` only if there are mistakes.
pub(super) fn check(root: &Table, place: Place, context: &mut Context) -> Option<Config> {
    let mut reader = Reader::of("the configuration", root, place);
    let listen = reader.take("listen").map(|entry| address(&entry.node, &mut context.mistakes));
    let tls = reader.take("tls").map(|entry| tls(&entry.node, context));
    let origins = reader.take("origins").map(|entry| origins(&entry.node, &mut context.mistakes));
    let compression =
        reader.take("compression").map(|entry| boolean(&entry.node, &mut context.mistakes));
    let io_uring = reader.take("io_uring").map(|entry| boolean(&entry.node, &mut context.mistakes));
    let demos = reader.take("demos").map(|entry| boolean(&entry.node, &mut context.mistakes));
    let limits = match reader.take("limits") {
        Some(entry) => limits::of_server(&entry.node, &mut context.mistakes),
        None => Limits::default(),
    };
    let checked = models::read(&mut reader, root, &mut context.mistakes);
    // Collected before they are looked at: the mistakes of the second are wanted whatever the first is.
    let scopes: Vec<Option<ScopeConfig>> = entries(reader.take("scopes"), "the scopes", context)
        .iter()
        .map(|entry| scopes::read(entry, &checked, &limits, context))
        .collect();
    scopes::consumers_apart(&scopes, place, &mut context.mistakes);
    let procedures: Vec<Option<ProcedureConfig>> =
        entries(reader.take("procedures"), "the procedures", context)
            .iter()
            .map(|entry| procedures::read(entry, &checked, &scopes, context))
            .collect();
    let storage = storage::storage(reader.take("storage"), context);
    let migrations = storage::migrations(reader.take("migrations"), &mut context.mistakes);
    let metrics = reader.take("metrics").map(|entry| metrics(&entry.node, &mut context.mistakes));
    let api = reader.take("api").map(|entry| api::read(entry, &scopes, context));
    let inspector = inspector(reader.take("inspector"), demos == Some(Some(true)), context);
    let authentication =
        reader.take("authentication").map(|entry| authentication::read(entry, context));
    let proxies = reader.take("proxies").map(|e| proxies::read(e, &mut context.mistakes));
    reader.finish(&mut context.mistakes);
    Some(Config {
        listen: listen.unwrap_or_else(|| Some(super::LISTEN.to_owned()))?,
        tls: tls.map_or(Some(None), |tls| tls.map(Some))?,
        origins: origins.map_or(Some(None), |origins| origins.map(Some))?,
        compression: compression.unwrap_or(Some(false))?,
        io_uring: io_uring.unwrap_or(Some(true))?,
        demos: demos.unwrap_or(Some(false))?,
        schema: Arc::new(checked.schema),
        scopes: scopes.into_iter().collect::<Option<_>>()?,
        procedures: procedures.into_iter().collect::<Option<_>>()?,
        limits,
        storage: storage?,
        migrations: migrations?,
        authentication: authentication.map_or(Some(None), |read| read.map(Some))?,
        metrics: metrics.map_or(Some(None), |metrics| metrics.map(Some))?,
        api: api.map_or(Some(None), |api| api.map(Some))?,
        inspector: inspector?,
        proxies: proxies.unwrap_or_else(|| Some(Proxies::default()))?,
    })
}

/// The entries of a table of named things.
fn entries<'a>(entry: Option<&'a Entry>, what: &str, context: &mut Context) -> &'a [Entry] {
    entry
        .and_then(|entry| table(&entry.node, what, &mut context.mistakes))
        .map(|table| table.0.as_slice())
        .unwrap_or_default()
}

fn tls(node: &Node, context: &mut Context) -> Option<Tls> {
    let mut reader = Reader::open("[tls]", node, &mut context.mistakes)?;
    let certificate = reader.require("certificate", &mut context.mistakes);
    let key = reader.require("key", &mut context.mistakes);
    reader.finish(&mut context.mistakes);
    let certificate = certificate.and_then(|entry| file(&entry.node, context));
    let key = key.and_then(|entry| file(&entry.node, context));
    let (certificate, key) = (certificate?, key?);
    // What connections would be accepted with: a certificate that is none is found by `check`, too.
    if let Err(error) = tls_acceptor(&certificate, &key) {
        context.mistakes.add(node.place, error.to_string());
        return None;
    }
    Some(Tls { certificate, key })
}

/// The path of a file that is there.
fn file(node: &Node, context: &mut Context) -> Option<PathBuf> {
    let name = string(node, "the name of a file", &mut context.mistakes)?;
    let path = context.directory.join(name);
    if let Err(error) = std::fs::File::open(&path) {
        context.mistakes.add(node.place, format!("cannot read {}: {error}", quoted(name)));
        return None;
    }
    Some(path)
}

fn origins(node: &Node, mistakes: &mut Collector) -> Option<Vec<String>> {
    let elements = array(node, "an array of origins", mistakes)?;
    let valid = |text: &str| {
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']))
    };
    let origin = |node: &Node, mistakes: &mut Collector| {
        let text = string(node, "an origin", mistakes)?;
        if valid(text) {
            return Some(text.to_ascii_lowercase());
        }
        mistakes.add_with_help(
            node.place,
            format!("{} is no origin", quoted(text)),
            "an origin is a scheme, a host and perhaps a port, without a path: \"https://example.com\"",
        );
        None
    };
    let origins: Vec<_> = elements.iter().map(|element| origin(element, mistakes)).collect();
    origins.into_iter().collect()
}

fn metrics(node: &Node, mistakes: &mut Collector) -> Option<String> {
    let mut reader = Reader::open("[metrics]", node, mistakes)?;
    let listen = reader.require("listen", mistakes).map(|e| address(&e.node, mistakes));
    reader.finish(mistakes);
    listen?
}

/// Beside the demos it is there unless somebody says otherwise; elsewhere only if somebody asks for it.
fn inspector(entry: Option<&Entry>, demos: bool, context: &mut Context) -> Option<InspectorConfig> {
    let Some(entry) = entry else { return Some(InspectorConfig { enabled: demos, token: None }) };
    let mistakes = &mut context.mistakes;
    let mut reader = Reader::open("[inspector]", &entry.node, mistakes)?;
    let enabled = reader.take("enabled").map(|entry| boolean(&entry.node, mistakes));
    let token = reader.take("token").map(|entry| secret(&entry.node, mistakes));
    reader.finish(mistakes);
    let token = token.map_or(Some(None), |token| token.map(Some))?;
    Some(InspectorConfig { enabled: enabled.unwrap_or(Some(true))?, token })
}

/// A text that is hard to guess. It is not shown in the message about it.
fn secret(node: &Node, mistakes: &mut Collector) -> Option<Secret> {
    let text = string(node, "a token", mistakes)?;
    if is_secret(text) {
        return Some(Secret::new(text));
    }
    let (message, help) = secret_help();
    mistakes.add_with_help(node.place, message, help);
    None
}

fn is_secret(text: &str) -> bool {
    text.len() >= SECRET_BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What is said of a text that is none.
fn secret_help() -> (String, &'static str) {
    let message = format!("a token has at least {SECRET_BYTES_MIN} characters, and no spaces");
    (message, "for example what `openssl rand -hex 16` prints")
}

/// Shorter ones can be guessed by trying.
const SECRET_BYTES_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::TOP_LEVEL_KEYS;

    #[test]
    fn variables_and_the_file_know_the_same_keys() {
        for key in TOP_LEVEL_KEYS {
            let mistakes = Config::parse("", &format!("{key} = 1"), "".as_ref(), &[]);
            let text = mistakes.unwrap_err().to_string();
            assert!(!text.contains("no key"), "{text}");
        }
        let text = Config::parse("", "zebra = 1", "".as_ref(), &[]).unwrap_err().to_string();
        let (_, keys) = text.split_once("keys: ").unwrap();
        let count = keys
            .lines()
            .next()
            .unwrap()
            .split([',', ' '])
            .filter(|w| w.len() > 2 && *w != "and")
            .count();
        assert_eq!(count, TOP_LEVEL_KEYS.len(), "{keys}");
    }
}

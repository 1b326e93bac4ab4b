//! `[api]`: the interface for programs.

use super::limits::{Unit, number};
use super::reader::{Reader, address, allowed, array, boolean, string};
use super::{Context, entries, file, is_secret, secret_help, tls};
use crate::api::{ApiLimits, ApiToken, Role};
use crate::config::mistake::Place;
use crate::config::tree::{Entry, Node, quoted};
use crate::config::{ApiConfig, ScopeConfig, Secret};
use crate::scope::Template;
use crate::transport::local::is_this_machine;

/// Reads what programs may ask, and who.
pub(super) fn read(
    entry: &Entry,
    scopes: &[Option<ScopeConfig>],
    context: &mut Context,
) -> Option<ApiConfig> {
    let mut reader = Reader::open("[api]", &entry.node, &mut context.mistakes)?;
    let listen = reader.require("listen", &mut context.mistakes);
    let tls = reader.take("tls").map(|entry| tls(&entry.node, context));
    let unprotected = reader.take("unprotected");
    let tokens = entries(reader.take("tokens"), "the tokens", context);
    let defaults = ApiLimits::default();
    let mut count = |key, unit, default: usize| {
        let Some(entry) = reader.take(key) else { return Some(default) };
        number(&entry.node, unit, &mut context.mistakes).map(|number| number as usize)
    };
    let connections_max = count("connections_max", Unit::Count, defaults.connections_max);
    let streams_max = count("streams_max", Unit::Count, defaults.streams_max);
    let body_bytes_max = count("body_bytes_max", Unit::Bytes, defaults.body_bytes_max);
    reader.finish(&mut context.mistakes);
    let at = listen.map(|entry| entry.node.place);
    let listen = listen.and_then(|entry| address(&entry.node, &mut context.mistakes));
    let given: Vec<_> = tokens.iter().map(|entry| token(entry, scopes, context)).collect();
    let is_unprotected =
        unprotected.map_or(Some(false), |entry| boolean(&entry.node, &mut context.mistakes));
    who(entry.key_place, at, listen.as_deref(), is_unprotected == Some(true), tokens, context);
    let given: Vec<ApiToken> = given.into_iter().collect::<Option<_>>()?;
    twice(&given, tokens, context);
    Some(ApiConfig {
        listen: listen?,
        tls: tls.map_or(Some(None), |tls| tls.map(Some))?,
        tokens: given,
        unprotected: is_unprotected?,
        limits: ApiLimits {
            connections_max: connections_max?,
            streams_max: streams_max?,
            body_bytes_max: body_bytes_max?,
        },
    })
}

/// Somebody has to be let in, and not everybody.
fn who(
    section: Place,
    at: Option<Place>,
    listen: Option<&str>,
    unprotected: bool,
    tokens: &[Entry],
    context: &mut Context,
) {
    let mistakes = &mut context.mistakes;
    match (unprotected, tokens) {
        (false, []) => mistakes.add_with_help(
            section,
            "nobody may ask: [api] needs a token",
            "[api.tokens.NAME] with sha256 or file, and roles; or, for programs on this machine alone, \
             unprotected = true",
        ),
        (true, [token, ..]) => mistakes.add_with_help(
            token.key_place,
            "a token means nothing with unprotected = true",
            "take out the one or the other",
        ),
        (true, []) => {
            if let (Some(at), Some(listen)) = (at, listen)
                && !is_this_machine(listen)
            {
                let message = "without tokens it has to be an address that only this machine reaches";
                let help = "for example \"127.0.0.1:9091\", or take out unprotected = true";
                mistakes.add_with_help(at, message, help);
            }
        }
        (false, _) => {}
    }
}

/// Two programs with one token could not be told apart.
fn twice(given: &[ApiToken], entries: &[Entry], context: &mut Context) {
    for (place, token) in given.iter().enumerate() {
        let same = given[..place].iter().find(|other| other.secret().is_same(token.secret()));
        if let Some(same) = same {
            let message = format!("it is the same token as {}", quoted(same.name()));
            context.mistakes.add(entries[place].key_place, message);
        }
    }
}

fn token(entry: &Entry, scopes: &[Option<ScopeConfig>], context: &mut Context) -> Option<ApiToken> {
    let mut reader = Reader::open("a token", &entry.node, &mut context.mistakes)?;
    let digest = reader.take("sha256");
    let from_file = reader.take("file");
    let roles = reader.require("roles", &mut context.mistakes);
    let only = reader.take("scopes");
    reader.finish(&mut context.mistakes);
    let is_named = !entry.key.is_empty()
        && entry.key.len() <= NAME_BYTES_MAX
        && entry.key.chars().all(|c| c.is_alphanumeric() || "-_.@".contains(c));
    if !is_named {
        let message = "it is no name for a token";
        let help = "up to 64 letters, digits, and -_.@: it stands in the history and in logs";
        context.mistakes.add_with_help(entry.key_place, message, help);
    }
    let secret = match (digest, from_file) {
        (Some(digest), None) => sha256(&digest.node, context),
        (None, Some(from_file)) => secret_of_file(&from_file.node, context),
        _ => {
            let message = "a token is known by \"sha256\" or by \"file\"";
            let help = "sha256 = \"…\" is what `printf %s TOKEN | sha256sum` prints";
            context.mistakes.add_with_help(entry.key_place, message, help);
            None
        }
    };
    let roles = roles.and_then(|entry| self::roles(&entry.node, context));
    let templates = only.map(|entry| templates(&entry.node, scopes, context));
    if let (Some(only), Some(roles)) = (only, &roles)
        && roles.contains(&Role::Admin)
    {
        let message = "the role \"admin\" is about the whole server";
        let help = "take out \"scopes\", or the role";
        context.mistakes.add_with_help(only.key_place, message, help);
    }
    let templates = templates.map_or(Some(None), |templates| templates.map(Some))?;
    let token = ApiToken::new(entry.key.as_str(), secret?);
    let token = roles?.into_iter().fold(token, ApiToken::role);
    is_named.then(|| templates.into_iter().flatten().fold(token, ApiToken::scope))
}

fn sha256(node: &Node, context: &mut Context) -> Option<Secret> {
    let text = string(node, "a SHA-256", &mut context.mistakes)?;
    let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !digits {
        let message = "expected 64 hexadecimal digits";
        let help = "what `printf %s TOKEN | sha256sum` prints";
        context.mistakes.add_with_help(node.place, message, help);
        return None;
    }
    let mut digest = [0; 32];
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(Secret::from_sha256(digest))
}

/// The first line of a file. It is not shown in the message about it.
fn secret_of_file(node: &Node, context: &mut Context) -> Option<Secret> {
    let path = file(node, context)?;
    match std::fs::read_to_string(path) {
        Ok(text) if is_secret(text.trim_end()) => Some(Secret::new(text.trim_end())),
        Ok(_) => {
            let (message, help) = secret_help();
            context.mistakes.add_with_help(node.place, message, help);
            None
        }
        Err(error) => {
            context.mistakes.add(node.place, format!("cannot read the token: {error}"));
            None
        }
    }
}

fn roles(node: &Node, context: &mut Context) -> Option<Vec<Role>> {
    let elements = array(node, "an array of roles", &mut context.mistakes)?;
    if elements.is_empty() {
        context.mistakes.add(node.place, "a token without a role may nothing");
        return None;
    }
    let role = |node: &Node, context: &mut Context| {
        let text = string(node, "a role", &mut context.mistakes)?;
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        if found.is_none() {
            let names = Role::ALL.iter().map(|role| role.as_str());
            let help = allowed("roles", text, names);
            context.mistakes.add_with_help(node.place, format!("no role {}", quoted(text)), help);
        }
        found
    };
    let roles: Vec<_> = elements.iter().map(|element| role(element, context)).collect();
    roles.into_iter().collect()
}

fn templates(
    node: &Node,
    scopes: &[Option<ScopeConfig>],
    context: &mut Context,
) -> Option<Vec<Template>> {
    let elements = array(node, "an array of names of scopes", &mut context.mistakes)?;
    let template = |node: &Node, context: &mut Context| {
        let text = string(node, "the name of a scope", &mut context.mistakes)?;
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(error) => {
                context.mistakes.add(node.place, error.to_string());
                return None;
            }
        };
        // A scope with a mistake in it may be the one that is meant.
        let is_known = scopes.iter().any(|scope| {
            scope.as_ref().is_none_or(|scope| {
                scope.template == template || scope.template.matches(text).is_some()
            })
        });
        if !is_known {
            let names: Vec<String> =
                scopes.iter().flatten().map(|scope| scope.template.to_string()).collect();
            let help = allowed("scopes", text, names.iter().map(String::as_str));
            context.mistakes.add_with_help(node.place, format!("no scope {}", quoted(text)), help);
        }
        Some(template)
    };
    let templates: Vec<_> = elements.iter().map(|element| template(element, context)).collect();
    templates.into_iter().collect()
}

/// Longer names are nothing that one wants to read in a history.
const NAME_BYTES_MAX: usize = 64;

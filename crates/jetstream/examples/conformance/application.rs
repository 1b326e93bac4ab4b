//! The application of the conformance scenarios: which sessions and fetches it lets in.

use std::collections::HashMap;
use std::sync::Arc;

use jetstream::core::limits::Limits;
use jetstream::server::ServerBuilder;
use jetstream::{Scope, Server};
use serde_json::{Map, Value};

use crate::models::World;

/// A server of a world, without a transport yet. Its scopes are new: what clients change is gone with
/// it.
pub(crate) fn server(world: World, limits: Limits) -> ServerBuilder {
    let limits = Arc::new(limits);
    let mut scopes = HashMap::new();
    for (name, graph) in world.scopes {
        let mut scope = Scope::builder(name.as_str(), graph).limits(Arc::clone(&limits));
        for (name, procedure) in &world.procedures {
            scope = scope.procedure(name.clone(), procedure.clone());
        }
        scopes.insert(name, scope.build());
    }
    Server::builder()
        .limits(limits)
        .on_session(|session| match is_to_be_denied(session.params()) {
            true => session.deny("Session creation denied"),
            false => session.accept(),
        })
        .on_fetch(move |fetch| match scopes.get(fetch.name()) {
            _ if is_to_be_denied(fetch.params()) => {
                fetch.deny_with("access-denied", "Access denied")
            }
            Some(scope) => fetch.accept(scope),
            None => fetch.deny("No such scope"),
        })
}

/// Clients of the scenarios ask for a refusal with `params: {deny: true}`.
fn is_to_be_denied(params: &Map<String, Value>) -> bool {
    params.get("deny") == Some(&Value::Bool(true))
}

//! From the configuration to what a server is made of.

use std::sync::Arc;

use super::{Config, Initial, ScopeConfig, ServiceConfig};
use crate::core::ids::ObjectId;
use crate::core::model::{Fragment, FragmentKind, Graph, Rejection};
use crate::core::scope::{Options, Procedure};
use crate::http::Service;
use crate::metrics::Metrics;
use crate::procedure::HttpAction;
use crate::scope::{ScopeBuilder, Scopes};
use crate::server::{Server, ServerBuilder};
use crate::transport::WebSocket;

impl Config {
    /// A server with the scopes, the limits and the metrics of the configuration. It still needs a
    /// transport, such as [`transport`](Self::transport).
    pub fn server(&self) -> ServerBuilder {
        let server =
            Server::builder().limits(self.limits.clone()).scopes(self.scopes(Metrics::process()));
        match &self.metrics {
            Some(address) => server.admin(address),
            None => server,
        }
    }

    /// The transport on which clients connect. Nothing is bound yet.
    pub fn transport(&self) -> WebSocket {
        let mut transport = WebSocket::bind(&self.listen);
        if let Some(tls) = &self.tls {
            transport = transport.tls(&tls.certificate, &tls.key);
        }
        if let Some(origins) = &self.origins {
            transport = transport.allow_origins(origins);
        }
        transport
    }

    /// The scopes that clients can fetch. None of them is open yet.
    pub fn scopes(&self, metrics: Metrics) -> Scopes {
        let mut builder = Scopes::builder().limits(self.limits.clone()).metrics(metrics.clone());
        // The first that matches a name counts, and a scope's own name says more than a family's.
        let (families, single): (Vec<_>, Vec<_>) =
            self.scopes.iter().partition(|scope| scope.template.is_family());
        // One service for all scopes: what it does in one, it does in the others.
        let actions: Vec<_> =
            self.procedures.iter().map(|p| self.action(&p.action, &metrics)).collect();
        for scope in single.into_iter().chain(families) {
            let graph = self.graph(scope);
            let setup = self.setup(scope, &actions, &metrics);
            let name = scope.template.to_string();
            builder = builder.scope_set_up(&name, self.options(scope), setup, move |_| graph());
        }
        builder.build().expect("the templates were checked with the configuration")
    }

    /// Gives a scope those who decide about its changes.
    fn setup(
        &self,
        scope: &ScopeConfig,
        actions: &[Option<HttpAction>],
        metrics: &Metrics,
    ) -> impl Fn(ScopeBuilder) -> ScopeBuilder + use<> {
        let named = self.procedures.iter().map(|procedure| procedure.name.clone()).zip(actions);
        let actions: Vec<_> =
            named.filter_map(|(name, action)| Some((name, action.clone()?))).collect();
        let validate = self.action(&scope.validate, metrics);
        move |mut builder| {
            for (name, action) in &actions {
                builder = builder.action(name.clone(), action.clone());
            }
            match &validate {
                Some(action) => builder.validate(action.clone()),
                None => builder,
            }
        }
    }

    fn action(&self, service: &Option<ServiceConfig>, metrics: &Metrics) -> Option<HttpAction> {
        let ServiceConfig { request, success, options } = service.as_ref()?;
        let service = Service::new(options.clone(), metrics.clone());
        let service = Arc::new(service.expect("it was tried with the configuration"));
        Some(HttpAction::new(service, request.clone(), &**success, self.limits.clone()))
    }

    fn options(&self, scope: &ScopeConfig) -> Options {
        let procedures = self.procedures.iter().map(|procedure| {
            let constraints = procedure.constraints.clone();
            (procedure.name.clone(), Procedure { constraints, ..Procedure::default() })
        });
        Options {
            limits: Arc::new(scope.limits.clone()),
            procedures: procedures.collect(),
            ..Options::default()
        }
    }

    /// Makes what the scope begins with, each time anew: two scopes of a family have different roots.
    fn graph(&self, scope: &ScopeConfig) -> impl Fn() -> Result<Graph, Rejection> + use<> {
        let schema = self.schema.clone();
        let (model, initial) = (scope.root, scope.initial.clone());
        move || {
            let (root, fragments) = match &initial {
                Initial::State { root, fragments } => (*root, fragments.clone()),
                Initial::Properties(properties) => {
                    let root = new_object_id();
                    let mut fragment = Fragment::new(FragmentKind::Change, root, model);
                    fragment.properties = properties.clone();
                    (root, vec![fragment])
                }
            };
            let graph = Graph::from_state(schema.clone(), root, fragments);
            Ok(graph.expect("what a scope begins with was checked with the configuration"))
        }
    }
}

fn new_object_id() -> ObjectId {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has a source of randomness");
    ObjectId::from_random_bytes(bytes)
}

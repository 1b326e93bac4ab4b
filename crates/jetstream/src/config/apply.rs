//! From the configuration to what a server is made of.

use std::sync::Arc;

use super::{
    ApiConfig, AuthenticationConfig, Config, Initial, NotifyConfig, ScopeConfig, ServiceConfig,
    StorageConfig, WebhookConfig,
};
use crate::access::Configured;
use crate::api::Api;
use crate::core::model::{Fragment, FragmentKind, Graph, Rejection};
use crate::core::scope::access::ScopeFacts;
use crate::core::scope::{Access, Options, Procedure};
use crate::http::{Service, ServiceOptions};
use crate::load::HttpLoader;
use crate::metrics::Metrics;
use crate::notify::{Notifier, Webhook};
use crate::operations::Operations;
use crate::procedure::HttpAction;
use crate::scope::{ScopeBuilder, Scopes, ScopesBuilder, new_object_id};
use crate::server::{Server, ServerBuilder};
#[cfg(feature = "postgres")]
use crate::storage::PostgresStorage;
use crate::storage::evolution::{Change, EvolutionError};
use crate::storage::{
    EmbeddedOptions, EmbeddedStorage, Evolution, MemoryStorage, Retention, Storage, StorageError,
};
use crate::transport::WebSocket;

/// A store that is open, and the scopes in it.
pub struct Kept {
    /// The store.
    pub storage: Arc<dyn Storage>,
    /// The schemas that it was written with.
    pub evolution: Arc<Evolution>,
    /// The scopes of the configuration. None of them is open yet.
    pub scopes: Scopes,
    /// What has changed since the store was last opened.
    pub changes: Vec<Change>,
    /// Who is told of changes of these scopes. None of them has begun.
    pub notifiers: Vec<Notifier>,
}

/// Why there is no store to serve from.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The models do not fit what is stored.
    #[error(transparent)]
    Unfit(#[from] EvolutionError),
}

impl Kept {
    /// What an operator can do with it.
    pub fn operations(&self) -> Operations {
        Operations::new(self.storage.clone(), self.evolution.clone(), self.scopes.clone())
            .notifying(self.notifiers.iter().cloned())
    }
}

impl ApiConfig {
    fn serving(&self, scopes: Scopes) -> Api {
        let mut api = Api::new(scopes, &self.listen).limits(self.limits.clone());
        if let Some(tls) = &self.tls {
            api = api.tls(&tls.certificate, &tls.key);
        }
        if self.unprotected {
            api = api.unprotected();
        }
        self.tokens.iter().cloned().fold(api, Api::token)
    }
}

impl StorageConfig {
    /// Whether everything is gone with the process.
    pub const fn is_memory(&self) -> bool {
        #[cfg(feature = "postgres")]
        if self.postgres.is_some() {
            return false;
        }
        self.path.is_none()
    }

    /// The store, if scopes are to be kept beyond their use. Whoever is told of changes reads them there.
    async fn open(&self, notifies: bool) -> Result<Option<Arc<dyn Storage>>, StorageError> {
        #[cfg(feature = "postgres")]
        if let Some(address) = &self.postgres {
            let retention = self.retention.unwrap_or_default();
            let opened = PostgresStorage::open(address, retention, DATABASE_PATIENCE).await?;
            return Ok(Some(Arc::new(opened)));
        }
        let Some(path) = &self.path else {
            let kept = self.retention.is_some() || self.control.is_some() || notifies;
            let retention = self.retention.or(notifies.then_some(UNTOLD));
            let memory = retention.map_or_else(MemoryStorage::new, MemoryStorage::keeping);
            return Ok(kept.then(|| Arc::new(memory) as Arc<dyn Storage>));
        };
        let retention = self.retention.unwrap_or_default();
        let options = EmbeddedOptions { retention, ..EmbeddedOptions::new(path) };
        Ok(Some(Arc::new(EmbeddedStorage::open(&options)?)))
    }
}

fn service(options: &ServiceOptions, metrics: &Metrics) -> Arc<Service> {
    let service = Service::new(options.clone(), metrics.clone());
    Arc::new(service.expect("it was tried with the configuration"))
}

impl NotifyConfig {
    fn notifier(
        &self,
        storage: Arc<dyn Storage>,
        evolution: Arc<Evolution>,
        metrics: Metrics,
    ) -> Notifier {
        let WebhookConfig { url, headers, keys, success, options } = &self.http;
        let service = service(options, &metrics);
        let webhook = Webhook::new(service, url).signed_with(keys.iter().cloned());
        let webhook = headers
            .iter()
            .fold(webhook, |webhook, (name, value)| webhook.header(name.clone(), value.clone()));
        Notifier::builder(&self.name, storage, evolution)
            .options(self.options.clone())
            .metrics(metrics)
            .build(webhook.success(success.iter().copied()))
    }
}

impl Config {
    /// A server with the scopes, the limits and the metrics of the configuration. It still needs a
    /// transport, such as [`transport`](Self::transport).
    pub fn server(&self) -> ServerBuilder {
        self.server_of(self.scopes(Metrics::process()))
    }

    /// The same over a store that is open, with its scopes and with the sessions of the clients.
    pub fn server_over(&self, kept: &Kept) -> ServerBuilder {
        let (present, _) = kept.evolution.present();
        let models = self.storage.original_models.unwrap_or(present);
        let server = self.server_of(kept.scopes.clone()).storage(kept.storage.clone());
        server.original_models(models)
    }

    fn server_of(&self, scopes: Scopes) -> ServerBuilder {
        let server = Server::builder()
            .limits(self.limits.clone())
            .proxies(self.proxies.clone())
            .scopes(scopes.clone());
        let server = match &self.api {
            Some(api) => server.api(api.serving(scopes)),
            None => server,
        };
        let server = match &self.authentication {
            Some(AuthenticationConfig { authenticator, resume_with_credential }) => server
                .authenticator(authenticator.clone())
                .resume_with_credential(*resume_with_credential),
            None => server,
        };
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
        transport = transport.compression(self.compression).io_uring(self.io_uring);
        if let Some(origins) = &self.origins {
            transport = transport.allow_origins(origins);
        }
        transport
    }

    /// The scopes that clients can fetch. None of them is open yet.
    pub fn scopes(&self, metrics: Metrics) -> Scopes {
        self.scopes_of(Scopes::builder(), &[], metrics)
    }

    /// Opens what the scopes are kept in, if anything is to be kept, and makes sure that the models fit what
    /// is there before anything is written.
    ///
    /// # Errors
    ///
    /// The store cannot be opened, or the models do not fit.
    pub async fn open(&self, metrics: Metrics) -> Result<Option<Kept>, OpenError> {
        let notifies = self.scopes.iter().any(|scope| scope.notify.is_some());
        let Some(storage) = self.storage.open(notifies).await? else { return Ok(None) };
        let stored = storage.schemas().await?;
        let step = Evolution::step(&stored, &self.schema, &self.migrations)?;
        if let Some(models) = self.storage.original_models
            && step.evolution.schema(models).is_none()
        {
            let (last, _) = step.evolution.present();
            return Err(OpenError::Storage(StorageError::Unfit(format!(
                "storage.original_models is {}, and the store's schemas are 1 to {}",
                models.0, last.0
            ))));
        }
        if let Some(schema) = step.add {
            storage.add_schema(schema).await?;
        }
        let evolution = Arc::new(step.evolution);
        let builder = Scopes::builder().kept_in(storage.clone(), evolution.clone());
        let notifier = |scope: &ScopeConfig| {
            let notify = scope.notify.as_ref()?;
            Some(notify.notifier(storage.clone(), evolution.clone(), metrics.clone()))
        };
        let told: Vec<Option<Notifier>> = self.scopes.iter().map(notifier).collect();
        let scopes = self.scopes_of(builder, &told, metrics);
        let notifiers = told.into_iter().flatten().collect();
        Ok(Some(Kept { storage, evolution, scopes, changes: step.changes, notifiers }))
    }

    /// `told` has a place for each scope: who is told of it, if anybody is.
    fn scopes_of(
        &self,
        builder: ScopesBuilder,
        told: &[Option<Notifier>],
        metrics: Metrics,
    ) -> Scopes {
        let mut builder = builder.limits(self.limits.clone()).metrics(metrics.clone());
        // The first that matches a name counts, and a scope's own name says more than a family's.
        let (families, single): (Vec<_>, Vec<_>) =
            self.scopes.iter().enumerate().partition(|(_, scope)| scope.template.is_family());
        // One service for all scopes: what it does in one, it does in the others.
        let actions: Vec<_> =
            self.procedures.iter().map(|p| self.action(&p.action, &metrics)).collect();
        for (place, scope) in single.into_iter().chain(families) {
            let graph = self.graph(scope);
            let told = told.get(place).cloned().flatten();
            let setup = self.setup(scope, &actions, told, &metrics);
            let name = scope.template.to_string();
            builder = builder.scope_set_up(&name, self.options(scope), setup, move |_| graph());
        }
        builder.build().expect("the templates were checked with the configuration")
    }

    /// Gives a scope those who decide about its changes, and those who are told of them.
    fn setup(
        &self,
        scope: &ScopeConfig,
        actions: &[Option<HttpAction>],
        told: Option<Notifier>,
        metrics: &Metrics,
    ) -> impl Fn(ScopeBuilder) -> ScopeBuilder + use<> {
        let named = self.procedures.iter().map(|procedure| procedure.name.clone()).zip(actions);
        let actions: Vec<_> =
            named.filter_map(|(name, action)| Some((name, action.clone()?))).collect();
        let validate = self.action(&scope.validate, metrics);
        let write = scope.write.as_ref().map(|write| (write.order, &write.http));
        let write = write.map(|(order, http)| (order, self.action_of(http, metrics)));
        let loader = scope.load.as_ref().map(|load| {
            let ServiceConfig { request, success, options } = load;
            let (service, limits) = (service(options, metrics), scope.limits.clone());
            HttpLoader::new(service, request.clone(), &**success, limits, scope.root)
        });
        move |mut builder| {
            for (name, action) in &actions {
                builder = builder.action(name.clone(), action.clone());
            }
            if let Some((order, action)) = &write {
                builder = builder.write(*order, action.clone());
            }
            if let Some(loader) = &loader {
                builder = builder.load(loader.clone());
            }
            if let Some(notifier) = &told {
                builder = builder.notify(notifier.clone());
            }
            match &validate {
                Some(action) => builder.validate(action.clone()),
                None => builder,
            }
        }
    }

    fn action(&self, service: &Option<ServiceConfig>, metrics: &Metrics) -> Option<HttpAction> {
        Some(self.action_of(service.as_ref()?, metrics))
    }

    fn action_of(&self, config: &ServiceConfig, metrics: &Metrics) -> HttpAction {
        let ServiceConfig { request, success, options } = config;
        let service = service(options, metrics);
        HttpAction::new(service, request.clone(), &**success, self.limits.clone())
    }

    pub(super) fn options(&self, scope: &ScopeConfig) -> Options {
        let procedures = self.procedures.iter().map(|procedure| {
            let constraints = procedure.constraints.clone();
            (procedure.name.clone(), Procedure { constraints, ..Procedure::default() })
        });
        Options {
            limits: Arc::new(scope.limits.clone()),
            procedures: procedures.collect(),
            visible: scope.visible,
            access: scope.access.clone().map(|rules| Access {
                policy: Arc::new(Configured(rules)),
                scope: Arc::new(ScopeFacts {
                    name: (&scope.template).into(),
                    params: std::collections::BTreeMap::new(),
                }),
            }),
            ..Options::default()
        }
    }

    /// Makes what the scope begins with, each time anew: two scopes of a family have different roots.
    pub(super) fn graph(
        &self,
        scope: &ScopeConfig,
    ) -> impl Fn() -> Result<Graph, Rejection> + use<> {
        let schema = self.schema.clone();
        let (model, initial) = (scope.root, scope.initial.clone());
        move || {
            let properties = match &initial {
                Initial::State(graph) => return Ok((**graph).clone()),
                Initial::Properties(properties) => properties.clone(),
            };
            let root = new_object_id();
            let mut fragment = Fragment::new(FragmentKind::Change, root, model);
            fragment.properties = properties;
            let graph = Graph::from_state(schema.clone(), root, vec![fragment]);
            Ok(graph.expect("what a scope begins with was checked with the configuration"))
        }
    }
}

/// How long a server that starts waits for its database, and for the server before it to let go of it.
#[cfg(feature = "postgres")]
const DATABASE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// How much of the past a store in memory keeps where somebody is told of changes, unless the configuration says
/// otherwise: what a service misses that is gone for an hour at most.
const UNTOLD: Retention = Retention { age_ms_max: 60 * 60 * 1000, bytes_max: 4 << 20 };

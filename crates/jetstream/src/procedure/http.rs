//! An action that asks a service over HTTP.

use std::future::ready;
use std::sync::Arc;

use ::http::StatusCode;
use jetstream_core::limits::Limits;
use jetstream_core::model::{ErrorCode, ModelId};

use super::answer::Asked;
use super::{Action, ActionCall, RequestTemplate, Verdict};
use crate::future::BoxFuture;
use crate::http::Service;

/// Asks a service: its status, and what it says of the fragments, decide.
///
/// A status of success accepts, 400 to 499 refuses; anything else, an answer that makes no sense, and no
/// answer are `procedure-failed`. The body may say more: `{"error": {"message", "type"}}` refuses the whole,
/// `{"fragments": [{}, {"error": …}, {"modifications": {…}}]}` speaks of the fragments one by one, and
/// `{"updates": [{"query": …, "update": …}]}` follow what is applied as the application's own.
#[derive(Debug, Clone)]
pub struct HttpAction {
    service: Arc<Service>,
    request: Arc<RequestTemplate>,
    success: Arc<[StatusCode]>,
    limits: Arc<Limits>,
}

impl HttpAction {
    /// Asks `service` with requests made of `request`. `success` are the statuses of an acceptance; none: 200
    /// to 299.
    pub fn new(
        service: Arc<Service>,
        request: RequestTemplate,
        success: impl Into<Arc<[StatusCode]>>,
        limits: impl Into<Arc<Limits>>,
    ) -> Self {
        let (request, success, limits) = (Arc::new(request), success.into(), limits.into());
        Self { service, request, success, limits }
    }
}

impl Action for HttpAction {
    fn decide(&self, call: &ActionCall<'_>) -> BoxFuture<'static, Verdict> {
        let scope = call.scope().clone();
        let outgoing = match self.request.fill(call) {
            Ok(outgoing) => outgoing,
            Err(error) => {
                tracing::warn!(%scope, %error, "no request can be made of a change set");
                return Box::pin(ready(Verdict::failed("the service cannot be asked about this")));
            }
        };
        let schema = call.graph().schema().clone();
        let models: Vec<ModelId> = call.fragments().iter().map(|fragment| fragment.model).collect();
        let refused = match call.procedure() {
            Some(_) if !call.is_write() => ErrorCode::ProcedureFailed,
            _ => ErrorCode::ValidationFailed,
        };
        let Self { service, success, limits, .. } = self.clone();
        Box::pin(async move {
            let answer = match service.call(&outgoing).await {
                Ok(answer) => answer,
                Err(error) => return Verdict::failed(error.to_string()),
            };
            let asked = Asked {
                schema: &schema,
                limits: &limits,
                models: &models,
                refused,
                success: &success,
            };
            asked.verdict(&answer).unwrap_or_else(|why| {
                tracing::warn!(%scope, %why, "the answer of a service cannot be understood");
                Verdict::failed("the answer of the service cannot be understood")
            })
        })
    }
}

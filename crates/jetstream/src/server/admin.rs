//! A listener of its own for operators: metrics and health, apart from what clients reach.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use tokio::net::TcpListener;

use super::Shared;
use crate::metrics::Metrics;
use crate::transport::websocket::{HttpHandler, serve_http};

/// Serves `/metrics`, `/health/live` and `/health/ready`. Gives the address that was taken.
pub(super) async fn start(server: &Arc<Shared>, address: &str) -> io::Result<SocketAddr> {
    let with_address = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"))
    };
    let listener = TcpListener::bind(address).await.map_err(with_address)?;
    let taken = listener.local_addr()?;
    let time_limit = Duration::from_millis(server.limits.handshake_timeout_ms);
    // Weak, or the listener would keep the server that it reports on.
    let weak = Arc::downgrade(server);
    let handler: HttpHandler = Arc::new(move |request| {
        let server = weak.upgrade();
        Box::pin(async move { answer(&*server?, request.uri().path()).await })
    });
    server.spawn(serve_http(listener, handler, time_limit));
    Ok(taken)
}

async fn answer(server: &Shared, path: &str) -> Option<Response<Bytes>> {
    match path {
        "/metrics" => Some(text(StatusCode::OK, Metrics::CONTENT_TYPE, server.metrics.render())),
        "/health/live" => Some(text(StatusCode::OK, PLAIN, "live\n".to_owned())),
        "/health/ready" => {
            let health = server.health().await;
            Some(if health.ready {
                text(StatusCode::OK, PLAIN, "ready\n".to_owned())
            } else {
                text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{}\n", health.problem))
            })
        }
        _ => None,
    }
}

fn text(status: StatusCode, kind: &'static str, text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

const PLAIN: &str = "text/plain; charset=utf-8";

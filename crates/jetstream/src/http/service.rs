//! One service, and the ways in which it can fail.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use parking_lot::Mutex;
use reqwest::redirect::Policy;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::breaker::{Breaker, Open};
use crate::metrics::Metrics;

/// A service that is called over HTTP.
pub struct Service {
    client: reqwest::Client,
    options: ServiceOptions,
    permits: Semaphore,
    breaker: Mutex<Breaker>,
    began: Instant,
    metrics: Metrics,
}

/// How a service is treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceOptions {
    /// How long one attempt may take, until the last byte of the answer.
    pub timeout: Duration,
    /// How often a call that failed is repeated.
    pub retries: u32,
    /// The pause before the first repeat; each further one is twice as long, within a third at random.
    pub retry_pause: Duration,
    /// How many calls there are at a time. The others wait.
    pub calls_max: usize,
    /// After so many failures one after the other nobody is asked any more.
    pub failures_max: u32,
    /// For this long.
    pub pause: Duration,
    /// The longest answer, in bytes. A longer one is a failure.
    pub answer_bytes_max: usize,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            retries: 2,
            retry_pause: Duration::from_millis(200),
            calls_max: 64,
            failures_max: 5,
            pause: Duration::from_secs(10),
            answer_bytes_max: 1 << 20,
        }
    }
}

/// A call.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// How.
    pub method: Method,
    /// Where.
    pub url: String,
    /// What is said beside it.
    pub headers: HeaderMap,
    /// What is said.
    pub body: Option<Bytes>,
    /// Whether it may be repeated when nobody knows whether it arrived. A call that was certainly not
    /// received is repeated anyway.
    pub repeatable: bool,
}

/// What a service has answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Whether it liked it.
    pub status: StatusCode,
    /// What it said beside it.
    pub headers: HeaderMap,
    /// What it said.
    pub body: Bytes,
}

/// Why there is no answer. The texts name no address: they may reach a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It has not answered lately, and is not asked at the moment.
    #[error("the service is not available")]
    Unavailable,
    /// It has not answered in time.
    #[error("the service did not answer in time")]
    TimedOut,
    /// It cannot be reached, or broke off.
    #[error("the service cannot be reached")]
    Unreachable {
        /// Whether it cannot have received anything.
        untouched: bool,
    },
    /// It says that it cannot do anything at the moment.
    #[error("the service answered with the status {}", .status.as_u16())]
    Failing {
        /// How.
        status: StatusCode,
        /// For how long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The answer is too long; its status.
    #[error("the answer of the service is too long")]
    TooLong(StatusCode),
}

impl Service {
    /// A service that nobody has called yet.
    ///
    /// # Errors
    ///
    /// If there are no certificates to trust.
    pub fn new(options: ServiceOptions, metrics: Metrics) -> Result<Self, reqwest::Error> {
        // Whoever installed one before has decided; there is one provider in the program either way.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            // A redirection is no answer, and may lead where nobody meant to go.
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(options.calls_max)
            .user_agent(concat!("jetstream/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let pause_ms = u64::try_from(options.pause.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            client,
            permits: Semaphore::new(options.calls_max.clamp(1, Semaphore::MAX_PERMITS)),
            breaker: Mutex::new(Breaker::new(options.failures_max, pause_ms)),
            began: Instant::now(),
            options,
            metrics,
        })
    }

    /// Calls the service, again if need be.
    ///
    /// # Errors
    ///
    /// The last attempt has failed. A refusal is an answer.
    pub async fn call(&self, outgoing: &Outgoing) -> Result<Answer, ServiceError> {
        let mut repeats = 0;
        loop {
            let error = match self.attempt(outgoing).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let untouched = matches!(error, ServiceError::Unreachable { untouched: true });
            let again = match error {
                ServiceError::Unavailable | ServiceError::TooLong(_) => false,
                _ => outgoing.repeatable || untouched,
            };
            if !again || repeats >= self.options.retries {
                return Err(error);
            }
            let wanted = match error {
                ServiceError::Failing { retry_after, .. } => retry_after.unwrap_or_default(),
                _ => Duration::ZERO,
            };
            sleep(self.pause_before(repeats).max(wanted)).await;
            repeats += 1;
        }
    }

    /// For how long it is left alone when it does not answer.
    pub const fn pause(&self) -> Duration {
        self.options.pause
    }

    /// Whether the service is left alone at the moment.
    pub fn is_unavailable(&self) -> bool {
        self.breaker.lock().is_open()
    }

    async fn attempt(&self, outgoing: &Outgoing) -> Result<Answer, ServiceError> {
        // An open breaker answers at once, and not in turn.
        if self.breaker.lock().is_open() && self.permits.available_permits() == 0 {
            return Err(ServiceError::Unavailable);
        }
        let _permit = self.permits.acquire().await.map_err(|_| ServiceError::Unavailable)?;
        self.breaker.lock().enter(self.now_ms()).map_err(|Open| ServiceError::Unavailable)?;
        self.metrics.service_calls.inc();
        let exchanged = timeout(self.options.timeout, self.exchange(outgoing)).await;
        let result = exchanged.unwrap_or(Err(ServiceError::TimedOut));
        let mut breaker = self.breaker.lock();
        match &result {
            Ok(_) => breaker.succeeded(),
            Err(error) => {
                breaker.failed(self.now_ms());
                self.metrics.service_failures.inc();
                tracing::warn!(%error, "a call to a service failed");
            }
        }
        drop(breaker);
        result
    }

    async fn exchange(&self, outgoing: &Outgoing) -> Result<Answer, ServiceError> {
        let mut request = self
            .client
            .request(outgoing.method.clone(), &outgoing.url)
            .headers(outgoing.headers.clone());
        if let Some(body) = &outgoing.body {
            request = request.body(body.clone());
        }
        let unreachable =
            |error: reqwest::Error| ServiceError::Unreachable { untouched: error.is_connect() };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if is_temporary(status) {
            let retry_after = retry_after(response.headers(), SystemTime::now());
            return Err(ServiceError::Failing { status, retry_after });
        }
        let headers = std::mem::take(response.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > self.options.answer_bytes_max {
                return Err(ServiceError::TooLong(status));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    /// Longer each time, and never the same for all who wait.
    fn pause_before(&self, repeats: u32) -> Duration {
        let mut byte = [0];
        getrandom::fill(&mut byte).expect("the system has a source of randomness");
        let pause = self.options.retry_pause.saturating_mul(1 << repeats.min(16));
        pause.mul_f64(1.0 + f64::from(byte[0]) / 765.0)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whether the service would perhaps answer otherwise a moment later.
fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_EARLY
        || status == StatusCode::TOO_MANY_REQUESTS
}

/// For how long a service wants to be left alone: a number of seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok(),
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_service_says_for_how_long_it_wants_to_be_left_alone() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (text, expected) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", None),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(text));
            let wanted = retry_after(&headers, now).map(|wanted| wanted.as_secs());
            assert_eq!(wanted, expected, "{text}");
        }
    }
}

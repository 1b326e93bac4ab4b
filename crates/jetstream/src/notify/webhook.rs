//! A consumer over HTTP: each notice is a POST, signed after the Standard Webhooks scheme.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use ring::hmac;

use super::{Consumer, NotTaken, Notice};
use crate::clock;
use crate::future::BoxFuture;
use crate::http::{Outgoing, Service, ServiceError};

/// Tells a web service.
///
/// A status of success takes the notice. 410 (gone) means that the service takes nothing any more; 400, 413, 414,
/// 415, 422 and 431 speak about the notice itself, which is set aside, since it would be the same another time.
/// Everything else, and no answer, is tried again: 401 and 404 say more about how the two are set up than about
/// the notice.
#[derive(Debug)]
pub struct Webhook {
    service: Arc<Service>,
    url: String,
    headers: HeaderMap,
    keys: Vec<SigningKey>,
    success: Vec<StatusCode>,
}

/// What notices are signed with. Its owner can tell by it that they are ours.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Reads `whsec_` and the secret in Base64.
    ///
    /// # Errors
    ///
    /// In words without the secret, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let secret = text.strip_prefix("whsec_").ok_or("it does not begin with \"whsec_\"")?;
        let secret = STANDARD.decode(secret).map_err(|_| "what follows \"whsec_\" is no Base64")?;
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len()) {
            return Err("the secret has fewer than 24 or more than 64 bytes");
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    /// `v1,` and the signature of a message in Base64.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl Webhook {
    /// Tells the service at `url`, which has to be one that can be called. Its own repeats are switched off if it
    /// has any: a [`Notifier`](super::Notifier) repeats by itself.
    pub fn new(service: Arc<Service>, url: impl Into<String>) -> Self {
        let (headers, keys, success) = (HeaderMap::new(), Vec::new(), Vec::new());
        Self { service, url: url.into(), headers, keys, success }
    }

    /// Signs with these. Each signs every notice, so that a service can go over from one to another.
    #[must_use]
    pub fn signed_with(mut self, keys: impl IntoIterator<Item = SigningKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Says this beside each notice.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The statuses that take a notice, if not 200 to 299.
    #[must_use]
    pub fn success(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.success.extend(statuses);
        self
    }

    fn outgoing(&self, notice: &Notice) -> Outgoing {
        let body = Bytes::copy_from_slice(notice.body().as_bytes());
        let timestamp = clock::now().wall.0.div_euclid(1000);
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut say = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        say("webhook-id", notice.key());
        say("webhook-timestamp", &timestamp.to_string());
        let signatures: Vec<_> =
            self.keys.iter().map(|key| key.sign(notice.key(), timestamp, &body)).collect();
        if !signatures.is_empty() {
            say("webhook-signature", &signatures.join(" "));
        }
        let (method, url) = (Method::POST, self.url.clone());
        Outgoing { method, url, headers, body: Some(body), repeatable: false }
    }

    fn meaning(&self, status: StatusCode) -> Result<(), NotTaken> {
        let taken = match &self.success[..] {
            [] => status.is_success(),
            success => success.contains(&status),
        };
        if taken {
            return Ok(());
        }
        let why = format!("it answered with the status {}", status.as_u16());
        match status {
            StatusCode::GONE => Err(NotTaken::Gone(why)),
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Err(NotTaken::Never(why)),
            _ => Err(NotTaken::later(why)),
        }
    }
}

impl Consumer for Webhook {
    fn take<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            match self.service.call(&self.outgoing(notice)).await {
                Ok(answer) => self.meaning(answer.status),
                Err(ServiceError::Unavailable) => Err(NotTaken::Away(self.service.pause())),
                Err(ServiceError::Failing { status, retry_after }) => Err(NotTaken::Later {
                    why: format!("it answered with the status {}", status.as_u16()),
                    not_before: retry_after,
                }),
                // What it says beside that is of no interest.
                Err(ServiceError::TooLong(status)) => self.meaning(status),
                Err(error) => Err(NotTaken::later(error.to_string())),
            }
        })
    }
}

/// Shows nothing of it.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// Shorter secrets can be guessed, and longer ones are hashed before they are used; both as the scheme says.
const SECRET_BYTES_MIN: usize = 24;
const SECRET_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_scheme() {
        // The example of the scheme's own text.
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_none_is_refused_without_being_shown() {
        for (text, why) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa!!", "Base64"),
            ("whsec_c2hvcnQ=", "24"),
            (&format!("whsec_{}", STANDARD.encode([0; 65])), "64"),
        ] {
            let error = SigningKey::parse(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("MfKQ"), "{error}");
        }
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey");
    }
}

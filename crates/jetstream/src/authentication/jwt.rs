//! JSON Web Tokens as credentials.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jetstream_core::model::Rejection;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::key_source::{AddressError, Keys, Renewal};
use super::keys::{KeySet, KeysError};
use super::{
    Authenticator, CREDENTIAL_BYTES_MAX, Identity, credential, identity, nothing_shown,
    unauthorized, undecided,
};
use crate::future::BoxFuture;
use crate::metrics::Metrics;
use crate::server::SessionRequest;

/// Takes tokens that are signed with one of some keys.
///
/// A key is good for one algorithm: a token that names another is refused, whatever it is signed with. A token
/// must say when it expires. Where it has a `sub` and no `user`, rules know the subject as `session.user`, too.
#[derive(Clone)]
pub struct Jwt {
    keys: Arc<Keys>,
    audience: Option<String>,
    issuer: Option<String>,
    skew_seconds: u64,
    anonymous: bool,
}

/// Why a token is not taken.
struct Failure {
    refusal: Rejection,
    /// It names a key that is not there.
    lacks_key: bool,
}

impl Jwt {
    /// Takes tokens signed with the keys of a JWKS, `{"keys": [...]}`.
    ///
    /// # Errors
    ///
    /// The first key that cannot be used, or that there is none.
    pub fn from_jwks(text: &str) -> Result<Self, KeysError> {
        Ok(Self::of(Keys::fixed(KeySet::of_ours(text)?)))
    }

    /// Takes tokens signed with the keys of such a file, whose text was read just now. When the file changes,
    /// it is read again.
    ///
    /// # Errors
    ///
    /// The first key that cannot be used, or that there is none.
    pub fn from_file(path: &Path, text: &str) -> Result<Self, KeysError> {
        Ok(Self::of(Keys::of_file(KeySet::of_ours(text)?, path)))
    }

    /// Takes tokens signed with keys that an issuer publishes at an address, `https://` or `http://`. Keys of
    /// other kinds are left out, and secrets: whoever can fetch one could sign with it.
    ///
    /// They are fetched when the server starts, every `refresh`, and when a token names one that is not
    /// there. Until there are any, nobody with a token is let in.
    ///
    /// # Errors
    ///
    /// It is no such address.
    pub fn from_url(url: &str, refresh: Duration, metrics: Metrics) -> Result<Self, AddressError> {
        Ok(Self::of(Keys::of_address(url, metrics)?.refreshed_after(refresh)))
    }

    fn of(keys: Keys) -> Self {
        let (keys, audience, issuer) = (Arc::new(keys), None, None);
        Self { keys, audience, issuer, skew_seconds: SKEW_SECONDS, anonymous: false }
    }

    /// Only tokens for this audience (`aud`).
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Only tokens of this issuer (`iss`).
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// How far the clocks of the issuer and of this server may be apart, in seconds.
    #[must_use]
    pub const fn skew_seconds(mut self, seconds: u64) -> Self {
        self.skew_seconds = seconds;
        self
    }

    /// Lets clients in that show no token, as nobody. One that shows a wrong token is still refused.
    #[must_use]
    pub const fn anonymous(mut self, anonymous: bool) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Who shows this token, by the keys that are there.
    ///
    /// # Errors
    ///
    /// It is no good, in words for its owner.
    pub fn identify(&self, token: &str) -> Result<Identity, Rejection> {
        self.judge(&self.keys.present(), token).map_err(|failure| failure.refusal)
    }

    /// The same, by newer keys if it names one that is not there.
    async fn find_out(&self, token: &str) -> Result<Identity, Rejection> {
        let keys = self.keys.present();
        let failure = match self.judge(&keys, token) {
            Ok(identity) => return Ok(identity),
            Err(failure) => failure,
        };
        if !failure.lacks_key {
            return Err(failure.refusal);
        }
        match self.keys.newer_than(&keys).await {
            Renewal::Newer(keys) => self.judge(&keys, token).map_err(|failure| failure.refusal),
            Renewal::Same => Err(failure.refusal),
            Renewal::Failed => Err(undecided()),
        }
    }

    fn judge(&self, keys: &KeySet, token: &str) -> Result<Identity, Failure> {
        let invalid = || unauthorized("the token is not valid");
        let no_token = || Failure { refusal: invalid(), lacks_key: false };
        if token.len() > CREDENTIAL_BYTES_MAX {
            return Err(no_token());
        }
        let header = decode_header(token).map_err(|_| no_token())?;
        let id = header.kid.as_deref();
        let mut refusal = invalid();
        for key in keys.fitting(header.alg, id) {
            match decode::<Map<String, Value>>(token, &key.key, &self.validation(key.algorithm)) {
                Ok(data) => return Ok(self.identity(data.claims)),
                Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                    refusal = unauthorized("the token has expired");
                }
                Err(_) => {}
            }
        }
        Err(Failure { refusal, lacks_key: keys.may_lack(id) })
    }

    fn identity(&self, claims: Map<String, Value>) -> Identity {
        let expires_at = claims.get("exp").and_then(Value::as_f64);
        let expires_at =
            expires_at.map(|seconds| (seconds.max(0.0) as u64).saturating_add(self.skew_seconds));
        identity(claims, expires_at)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.skew_seconds;
        validation.validate_nbf = true;
        validation.validate_aud = self.audience.is_some();
        let mut required = vec!["exp"];
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

impl Authenticator for Jwt {
    fn authenticate<'a>(
        &'a self,
        request: &'a SessionRequest,
    ) -> BoxFuture<'a, Result<Identity, Rejection>> {
        Box::pin(async {
            match credential(request) {
                Some(token) => self.find_out(token).await,
                None => nothing_shown(self.anonymous),
            }
        })
    }

    fn upkeep(&self) -> Option<BoxFuture<'static, ()>> {
        let keys = self.keys.clone();
        Some(Box::pin(async move { keys.keep().await }))
    }

    fn problem(&self) -> Option<String> {
        let none = self.keys.present().len() == 0;
        none.then(|| "there are no keys yet to check tokens with".to_owned())
    }
}

/// Shows no keys.
impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("keys", &self.keys)
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// How far clocks may be apart if nothing else is said, in seconds.
const SKEW_SECONDS: u64 = 60;

#[cfg(test)]
mod tests;

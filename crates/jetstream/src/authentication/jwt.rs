//! JSON Web Tokens as credentials.

use std::fmt;

use jetstream_core::model::Rejection;
use jetstream_core::scope::Claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::{Authenticator, Identity, credential, unauthorized};
use crate::future::BoxFuture;
use crate::server::SessionRequest;

/// Takes tokens that are signed with one of some keys.
///
/// A key is good for one algorithm: a token that names another is refused, whatever it is signed with. A token
/// must say when it expires. Where it has a `sub` and no `user`, rules know the subject as `session.user`, too.
#[derive(Clone)]
pub struct Jwt {
    keys: Vec<Key>,
    audience: Option<String>,
    issuer: Option<String>,
    skew_seconds: u64,
    anonymous: bool,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Why keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is no key set.
    #[error("no set of keys (JWKS): {0}")]
    Unreadable(String),
    /// A key of a kind that is not taken; its place in the set.
    #[error("key {0} is none for HS256, RS256, ES256 or EdDSA")]
    Unknown(usize),
    /// A key that is broken; its place in the set.
    #[error("key {0} cannot be read")]
    Broken(usize),
    /// There is no key.
    #[error("the set of keys is empty")]
    Empty,
}

impl Jwt {
    /// Takes tokens signed with the keys of a JWKS, `{"keys": [...]}`.
    ///
    /// # Errors
    ///
    /// The first key that cannot be used, or that there is none.
    pub fn from_jwks(text: &str) -> Result<Self, JwtError> {
        // What the parser says names what it expected, never what stands there.
        let set: JwkSet = serde_json::from_str(text)
            .map_err(|error| JwtError::Unreadable(format!("line {}", error.line())))?;
        let keys = set.keys.iter().enumerate().map(|(place, jwk)| Key::new(place, jwk));
        let keys = keys.collect::<Result<Vec<Key>, JwtError>>()?;
        if keys.is_empty() {
            return Err(JwtError::Empty);
        }
        let (audience, issuer) = (None, None);
        Ok(Self { keys, audience, issuer, skew_seconds: SKEW_SECONDS, anonymous: false })
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

    /// Who shows this token.
    ///
    /// # Errors
    ///
    /// It is no good, in words for its owner.
    pub fn identify(&self, token: &str) -> Result<Identity, Rejection> {
        let invalid = || unauthorized("the token is not valid");
        if token.len() > TOKEN_BYTES_MAX {
            return Err(invalid());
        }
        let header = decode_header(token).map_err(|_| invalid())?;
        let mut refusal = invalid();
        for key in self.keys.iter().filter(|key| key.fits(header.alg, header.kid.as_deref())) {
            match decode::<Map<String, Value>>(token, &key.key, &self.validation(key.algorithm)) {
                Ok(data) => return Ok(identity(data.claims, self.skew_seconds)),
                Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                    refusal = unauthorized("the token has expired");
                }
                Err(_) => {}
            }
        }
        Err(refusal)
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

fn identity(mut claims: Map<String, Value>, skew_seconds: u64) -> Identity {
    let expires_at = claims.get("exp").and_then(Value::as_f64);
    let expires_at =
        expires_at.map(|seconds| (seconds.max(0.0) as u64).saturating_add(skew_seconds));
    if !claims.contains_key("user")
        && let Some(subject) = claims.get("sub").cloned()
    {
        claims.insert("user".to_owned(), subject);
    }
    Identity { claims: Claims::new(claims), expires_at }
}

impl Key {
    fn new(place: usize, jwk: &Jwk) -> Result<Self, JwtError> {
        let of_kind = match &jwk.algorithm {
            AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDSA
            }
            _ => return Err(JwtError::Unknown(place)),
        };
        let named = match jwk.common.key_algorithm {
            None => of_kind,
            Some(KeyAlgorithm::HS256) => Algorithm::HS256,
            Some(KeyAlgorithm::RS256) => Algorithm::RS256,
            Some(KeyAlgorithm::ES256) => Algorithm::ES256,
            Some(KeyAlgorithm::EdDSA) => Algorithm::EdDSA,
            Some(_) => return Err(JwtError::Unknown(place)),
        };
        if named != of_kind {
            return Err(JwtError::Unknown(place));
        }
        let key = DecodingKey::from_jwk(jwk).map_err(|_| JwtError::Broken(place))?;
        Ok(Self { id: jwk.common.key_id.clone(), algorithm: of_kind, key })
    }

    /// Whether a token that says this of itself can be signed with the key.
    fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        self.algorithm == algorithm
            && (id.is_none() || self.id.is_none() || self.id.as_deref() == id)
    }
}

impl Authenticator for Jwt {
    fn authenticate<'a>(
        &'a self,
        request: &'a SessionRequest,
    ) -> BoxFuture<'a, Result<Identity, Rejection>> {
        let identity = match credential(request) {
            Some(token) => self.identify(token),
            None if self.anonymous => Ok(Identity::default()),
            None => Err(unauthorized("sign in first: the session needs a token")),
        };
        Box::pin(async { identity })
    }
}

/// Shows no keys.
impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("keys", &self.keys.len())
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// How far clocks may be apart if nothing else is said, in seconds.
const SKEW_SECONDS: u64 = 60;

/// The longest token, in bytes: larger than what any issuer gives, and little work to look at.
const TOKEN_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
    use serde_json::json;

    use super::*;

    const KEYS: &str = r#"{"keys": [{"kty": "oct", "alg": "HS256", "kid": "a", "k": "c2VjcmV0LW9mLXRoZS10ZXN0"}]}"#;
    const SECRET: &[u8] = b"secret-of-the-test";

    fn token(header: &Header, claims: &Value) -> String {
        encode(header, claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    fn jwt() -> Jwt {
        Jwt::from_jwks(KEYS).unwrap().audience("canvas").issuer("us")
    }

    fn claims(seconds: i64) -> Value {
        let expiry = get_current_timestamp() as i64 + seconds;
        json!({"sub": "ann", "aud": "canvas", "iss": "us", "exp": expiry, "roles": ["editor"]})
    }

    #[test]
    fn a_good_token_says_who_it_is_and_until_when() {
        let claims = claims(100);
        let identity = jwt().identify(&token(&Header::default(), &claims)).unwrap();
        assert_eq!(identity.claims.entries()["user"], "ann");
        assert_eq!(identity.claims.entries()["roles"], json!(["editor"]));
        assert_eq!(identity.expires_at, Some(claims["exp"].as_u64().unwrap() + 60));
    }

    #[test]
    fn a_token_that_is_no_good_is_refused() {
        let good = claims(100);
        let without = |name: &str| {
            let mut claims = good.clone();
            claims.as_object_mut().unwrap().remove(name);
            claims
        };
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            claims
        };
        let header = Header::default();
        let other_kid = Header { kid: Some("b".to_owned()), ..Header::default() };
        let stronger = Header::new(Algorithm::HS512);
        let later = json!(get_current_timestamp() + 1_000);
        let cases = [
            ("expired", token(&header, &claims(-100))),
            ("not yet", token(&header, &with("nbf", later))),
            ("for others", token(&header, &with("aud", json!("other")))),
            ("by others", token(&header, &with("iss", json!("other")))),
            ("for ever", token(&header, &without("exp"))),
            ("for nobody", token(&header, &without("aud"))),
            ("by nobody", token(&header, &without("iss"))),
            ("another key", token(&other_kid, &good)),
            ("another algorithm", token(&stronger, &good)),
            ("no token", "x".to_owned()),
            ("too long", "x".repeat(20_000)),
        ];
        for (name, token) in cases {
            let refused = jwt().identify(&token).expect_err(name);
            assert_eq!(refused.code.as_deref(), Some("unauthorized"), "{name}");
        }
        let signed_otherwise = encode(&header, &good, &EncodingKey::from_secret(b"other")).unwrap();
        assert!(jwt().identify(&signed_otherwise).is_err());
        // {"alg":"none"}
        let unsigned = token(&header, &good);
        let payload = unsigned.split('.').nth(1).unwrap();
        assert!(jwt().identify(&format!("eyJhbGciOiJub25lIn0.{payload}.")).is_err());
    }

    #[test]
    fn keys_that_cannot_be_used_are_refused_at_the_start() {
        assert!(matches!(Jwt::from_jwks("{"), Err(JwtError::Unreadable(_))));
        assert_eq!(Jwt::from_jwks(r#"{"keys": []}"#).unwrap_err(), JwtError::Empty);
        let wrong = KEYS.replace("HS256", "RS256");
        assert_eq!(Jwt::from_jwks(&wrong).unwrap_err(), JwtError::Unknown(0));
    }
}

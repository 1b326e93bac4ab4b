//! The keys that tokens are signed with: a set (JWKS), each key good for one algorithm.

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};

/// Keys by which tokens are recognised.
#[derive(Clone, Default)]
pub(super) struct KeySet(Vec<Key>);

/// One of them.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// Why keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
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
    /// There are so many that trying them all would take long.
    #[error("more than {KEYS_MAX} keys")]
    TooMany,
}

impl KeySet {
    /// Reads a set that was made for this server: every key in it has to be one that can be used.
    pub(super) fn of_ours(text: &str) -> Result<Self, KeysError> {
        let keys = read(text)?.enumerate().map(|(place, jwk)| Key::new(place, &jwk));
        Self::of(keys.collect::<Result<_, _>>()?)
    }

    /// Reads a set that an issuer publishes for everybody: keys that are for something else are left out.
    pub(super) fn of_an_issuer(text: &str) -> Result<Self, KeysError> {
        let keys = read(text)?.enumerate().filter_map(|(place, jwk)| Key::new(place, &jwk).ok());
        // A secret that is published is none.
        Self::of(keys.filter(|key| key.algorithm != Algorithm::HS256).collect())
    }

    fn of(keys: Vec<Key>) -> Result<Self, KeysError> {
        match keys.len() {
            0 => Err(KeysError::Empty),
            1..=KEYS_MAX => Ok(Self(keys)),
            _ => Err(KeysError::TooMany),
        }
    }

    /// The keys that a token which says this of itself can be signed with.
    pub(super) fn fitting(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> impl Iterator<Item = &Key> {
        let fits = move |key: &&Key| {
            key.algorithm == algorithm
                && (id.is_none() || key.id.is_none() || key.id.as_deref() == id)
        };
        self.0.iter().filter(fits)
    }

    /// Whether a token may be signed with a key of this name that is not here.
    pub(super) fn may_lack(&self, id: Option<&str>) -> bool {
        let known = |id: &str| self.0.iter().any(|key| key.id.as_deref() == Some(id));
        self.0.is_empty() || id.is_some_and(|id| !known(id))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn read(text: &str) -> Result<impl Iterator<Item = Jwk>, KeysError> {
    // What the parser says names what it expected, never what stands there.
    let unreadable =
        |error: serde_json::Error| KeysError::Unreadable(format!("line {}", error.line()));
    let set: JwkSet = serde_json::from_str(text).map_err(unreadable)?;
    Ok(set.keys.into_iter())
}

impl Key {
    fn new(place: usize, jwk: &Jwk) -> Result<Self, KeysError> {
        let of_kind = match &jwk.algorithm {
            AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDSA
            }
            _ => return Err(KeysError::Unknown(place)),
        };
        let named = match jwk.common.key_algorithm {
            None => of_kind,
            Some(KeyAlgorithm::HS256) => Algorithm::HS256,
            Some(KeyAlgorithm::RS256) => Algorithm::RS256,
            Some(KeyAlgorithm::ES256) => Algorithm::ES256,
            Some(KeyAlgorithm::EdDSA) => Algorithm::EdDSA,
            Some(_) => return Err(KeysError::Unknown(place)),
        };
        let encrypts = matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
        if named != of_kind || encrypts {
            return Err(KeysError::Unknown(place));
        }
        let key = DecodingKey::from_jwk(jwk).map_err(|_| KeysError::Broken(place))?;
        Ok(Self { id: jwk.common.key_id.clone(), algorithm: of_kind, key })
    }
}

/// The most keys in a set. A token that does not say which is its key may be tried with each of them.
const KEYS_MAX: usize = 100;

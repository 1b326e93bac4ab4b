//! Signs tokens with real keys, and publishes them as an issuer does.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// A key, with its name.
pub(crate) struct Signer {
    algorithm: Algorithm,
    id: String,
    key: EncodingKey,
    /// What tells the key to others, without its name.
    public: Value,
}

impl Signer {
    /// A key for this algorithm. All but that of RSA are made anew.
    pub(crate) fn new(algorithm: Algorithm, id: &str) -> Self {
        let random = SystemRandom::new();
        let (key, public) = match algorithm {
            Algorithm::EdDSA => {
                let der = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
                let x = base64url(pair.public_key().as_ref());
                let public = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
                (EncodingKey::from_ed_der(der.as_ref()), public)
            }
            Algorithm::ES256 => {
                let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let der = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
                let pair = EcdsaKeyPair::from_pkcs8(kind, der.as_ref(), &random).unwrap();
                let point = pair.public_key().as_ref();
                let (x, y) = (base64url(&point[1..33]), base64url(&point[33..65]));
                let public = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
                (EncodingKey::from_ec_der(der.as_ref()), public)
            }
            Algorithm::RS256 => {
                let public = json!({"kty": "RSA", "n": MODULUS, "e": "AQAB"});
                (EncodingKey::from_rsa_der(include_bytes!("../data/rsa.der")), public)
            }
            Algorithm::HS256 => {
                let public = json!({"kty": "oct", "k": base64url(id.as_bytes())});
                (EncodingKey::from_secret(id.as_bytes()), public)
            }
            other => unreachable!("no test signs with {other:?}"),
        };
        Self { algorithm, id: id.to_owned(), key, public }
    }

    /// The key as it stands in a set.
    pub(crate) fn published(&self) -> Value {
        let mut jwk = self.public.clone();
        jwk["kid"] = self.id.clone().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token that names its key.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }
}

/// A set of keys.
pub(crate) fn set<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Value {
    json!({"keys": signers.into_iter().map(Signer::published).collect::<Vec<_>>()})
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// That of the key in `data/rsa.der`.
const MODULUS: &str = "pYGcyMkmZ2pV9Iv2Vm7i-JfqGEDfd-vE3B78NhhsFB2pnPfB00ZdJJlEunMRwwbTWE7lvmRX3Dwk4fdA7dDz6cmo4-CR3ABo6gETZZfOt6JCSdO1gnTt4O1xIVBuk9PiUMhXSl2rQRmQbrhACfbpMmKCCcopSK7MG6wWVZMWm4Ry9d0gfY37m0aOwDvi4xj_o1vhYnnCyeUjlTkseBbk3rlmRilBUrUlzOlT-eoz3mFxrGRIRvm-iJz8bRFAZ2cgg41YEqWHOOHjwmd7TDRHicDgUOF5paNrLqls3sHq-FbunMG_eHmE2LLf5IQ_C4nMT5FXp7f1HeuWkhOiboUzUQ";

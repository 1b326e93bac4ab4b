//! Tokens that are good, and all the ways in which they are not.

use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

use super::*;

#[path = "../../../tests/support/signer.rs"]
mod signer;

use signer::{Signer, base64url, set};

const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Takes what these sign, for the canvas and by us.
fn jwt<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Jwt {
    Jwt::from_jwks(&set(signers).to_string()).unwrap().audience("canvas").issuer("us")
}

/// What a token says that is good for so long.
fn claims(seconds: i64) -> Value {
    let expiry = get_current_timestamp() as i64 + seconds;
    json!({"sub": "ann", "aud": "canvas", "iss": "us", "exp": expiry, "roles": ["editor"]})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims(100);
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims(100);
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[test]
fn a_good_token_says_who_it_is_and_until_when_whatever_it_is_signed_with() {
    let signers = ALGORITHMS.map(|algorithm| Signer::new(algorithm, &format!("{algorithm:?}")));
    let jwt = jwt(&signers);
    for signer in &signers {
        let claims = claims(100);
        let identity = jwt.identify(&signer.token(&claims)).unwrap();
        assert_eq!(identity.claims.entries()["user"], "ann");
        assert_eq!(identity.claims.entries()["roles"], json!(["editor"]));
        assert_eq!(identity.expires_at, Some(claims["exp"].as_u64().unwrap() + 60));
    }
}

#[test]
fn a_token_that_is_no_good_is_refused_whatever_it_is_signed_with() {
    for algorithm in ALGORITHMS {
        let signer = Signer::new(algorithm, "a");
        let jwt = jwt([&signer]);
        let good = signer.token(&claims(100));
        let (head, signature) = good.rsplit_once('.').unwrap();
        let (header, payload) = head.split_once('.').unwrap();
        let forged = base64url(claims(100).to_string().replace("ann", "bob").as_bytes());
        let later = json!(get_current_timestamp() + 1_000);
        let mut cases = vec![
            ("expired", signer.token(&claims(-100))),
            ("not yet", signer.token(&with("nbf", later))),
            ("for others", signer.token(&with("aud", json!("other")))),
            ("for others, too many", signer.token(&with("aud", json!(["x", "y"])))),
            ("by others", signer.token(&with("iss", json!("other")))),
            ("for ever", signer.token(&without("exp"))),
            ("a time that is none", signer.token(&with("exp", json!("tomorrow")))),
            ("for nobody", signer.token(&without("aud"))),
            ("by nobody", signer.token(&without("iss"))),
            ("another key of the same name", {
                let secret = EncodingKey::from_secret(b"other");
                let header = Header { kid: Some("a".to_owned()), ..Header::default() };
                encode(&header, &claims(100), &secret).unwrap()
            }),
            ("a key of another name", Signer::new(Algorithm::EdDSA, "b").token(&claims(100))),
            ("somebody else's name", format!("{header}.{forged}.{signature}")),
            ("without a signature", format!("{header}.{payload}.")),
            ("unsigned", format!("{}.{payload}.", base64url(br#"{"alg":"none"}"#))),
            ("no token", "x".to_owned()),
            ("nothing", String::new()),
            ("too long", "x".repeat(20_000)),
        ];
        // A secret is what its name is here, and there is only one key of RSA.
        if matches!(algorithm, Algorithm::ES256 | Algorithm::EdDSA) {
            cases.push(("signed otherwise", Signer::new(algorithm, "a").token(&claims(100))));
        }
        for (name, token) in cases {
            let refused = jwt.identify(&token).expect_err(name);
            assert_eq!(refused.code.as_deref(), Some("unauthorized"), "{name}");
        }
    }
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    // The token says HS256, and is signed with what everybody knows of the key.
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let signer = Signer::new(algorithm, "a");
        let jwt = jwt([&signer]);
        let public = signer.published();
        let known = ["n", "x", "kid"].iter().filter_map(|part| public[*part].as_str());
        for secret in known.map(str::to_owned).chain([public.to_string()]) {
            let header = Header { kid: Some("a".to_owned()), ..Header::default() };
            let secret = EncodingKey::from_secret(secret.as_bytes());
            let token = encode(&header, &claims(100), &secret).unwrap();
            assert!(jwt.identify(&token).is_err(), "{algorithm:?}");
        }
    }
}

#[test]
fn clocks_may_be_a_little_apart_and_no_more() {
    let signer = Signer::new(Algorithm::EdDSA, "a");
    let soon = |seconds: u64| with("nbf", json!(get_current_timestamp() + seconds));
    let (loose, strict) = (jwt([&signer]), jwt([&signer]).skew_seconds(0));
    for (claims, by_loose, by_strict) in [
        (claims(-30), true, false),
        (claims(-90), false, false),
        (soon(30), true, false),
        (soon(90), false, false),
        (claims(30), true, true),
    ] {
        let token = signer.token(&claims);
        assert_eq!(loose.identify(&token).is_ok(), by_loose, "{claims}");
        assert_eq!(strict.identify(&token).is_ok(), by_strict, "{claims}");
    }
    let expired = loose.identify(&signer.token(&claims(-90))).unwrap_err();
    assert_eq!(expired.message, "the token has expired");
}

#[test]
fn keys_that_cannot_be_used_are_refused_at_the_start() {
    let refused = |text: &str| Jwt::from_jwks(text).unwrap_err();
    assert!(matches!(refused("{"), KeysError::Unreadable(_)));
    assert_eq!(refused(r#"{"keys": []}"#), KeysError::Empty);
    let signer = Signer::new(Algorithm::HS256, "a");
    let keys = |change: fn(&mut Value)| {
        let mut jwk = signer.published();
        change(&mut jwk);
        json!({ "keys": [jwk] }).to_string()
    };
    assert_eq!(refused(&keys(|jwk| jwk["alg"] = "RS256".into())), KeysError::Unknown(0));
    assert_eq!(refused(&keys(|jwk| jwk["alg"] = "HS512".into())), KeysError::Unknown(0));
    assert_eq!(refused(&keys(|jwk| jwk["use"] = "enc".into())), KeysError::Unknown(0));
    let many: Vec<Value> = (0..101).map(|_| signer.published()).collect();
    assert_eq!(refused(&json!({ "keys": many }).to_string()), KeysError::TooMany);
}

#[test]
fn of_what_an_issuer_publishes_only_public_keys_for_signatures_are_taken() {
    let signers = ALGORITHMS.map(|algorithm| Signer::new(algorithm, &format!("{algorithm:?}")));
    let mut published = set(&signers);
    let keys = published["keys"].as_array_mut().unwrap();
    keys.push(json!({"kty": "EC", "crv": "P-384", "kid": "384", "x": "AA", "y": "AA"}));
    keys.push(json!({"kty": "RSA", "kid": "e", "use": "enc", "n": "AQAB", "e": "AQAB"}));
    let keys = KeySet::of_an_issuer(&published.to_string()).unwrap();
    assert_eq!(keys.len(), 3);
    let jwt = Jwt::of(Keys::fixed(keys));
    for signer in &signers {
        let by_secret = signer.published()["kty"] == "oct";
        assert_eq!(jwt.identify(&signer.token(&claims(9))).is_err(), by_secret);
    }
}

//! A text that nobody may read back: a token.

use std::fmt;

use ring::digest::{SHA256, digest};

/// What a secret is recognised by. The secret itself is kept nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Of the secret.
    pub fn new(text: &str) -> Self {
        Self(digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("a SHA-256 has 32 bytes"))
    }

    /// Of a secret that is only known by its SHA-256.
    pub const fn from_sha256(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Whether this is the secret. Takes as long for one that is nearly right as for any other.
    pub fn is(&self, text: &str) -> bool {
        self.is_same(&Self::new(text))
    }

    /// Whether both are the same. Takes as long for those that are nearly so as for any others.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_recognises_itself_and_nothing_else_and_does_not_show_itself() {
        let secret = Secret::new("open sesame");
        assert!(secret.is("open sesame"));
        assert!(!secret.is("open sesam") && !secret.is("") && !secret.is("Open sesame"));
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}

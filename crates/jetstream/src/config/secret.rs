//! A text of the configuration that nobody may read back.

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

    /// Whether this is the secret. Takes as long for one that is nearly right as for any other.
    pub fn is(&self, text: &str) -> bool {
        let differing = self.0.iter().zip(Self::new(text).0).fold(0, |all, (a, b)| all | (a ^ b));
        differing == 0
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

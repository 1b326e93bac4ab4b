//! Session tokens: who has one is the session.

use std::fmt;

use ring::digest;

pub(super) use crate::storage::TokenHash;

/// A session's token: 256 bits from the system's source of randomness, as letters and digits.
///
/// Given out once and kept nowhere: the server itself keeps only [`TokenHash`]es.
pub(super) struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    ///
    /// If the system gives no random bytes.
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut text = String::with_capacity(LENGTH);
        let mut bytes = [0; LENGTH];
        while text.len() < LENGTH {
            getrandom::fill(&mut bytes)?;
            // Bytes beyond the last whole round of the alphabet would favour its first letters.
            let fair = bytes.iter().filter(|byte| usize::from(**byte) < FAIR_BELOW);
            let letters =
                fair.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
            text.extend(letters.take(LENGTH - text.len()));
        }
        Ok(Self(text))
    }

    /// The text, for the client that it is made for.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// What to keep of it.
    pub(super) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl TokenHash {
    /// Of what a client says is its token.
    pub(crate) fn of(token: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        Self::new(hash.as_ref().try_into().expect("a SHA-256 has 32 bytes"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// 62^43 is the first power of 62 past 2^256.
const LENGTH: usize = 43;

const FAIR_BELOW: usize = 256 - 256 % ALPHABET.len();

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_are_letters_and_digits_and_none_is_like_another() {
        let tokens: HashSet<String> = (0..100).map(|_| Token::generate().unwrap().0).collect();
        assert_eq!(tokens.len(), 100);
        for token in &tokens {
            assert_eq!(token.len(), 43);
            assert!(token.chars().all(|c| c.is_ascii_alphanumeric()), "{token}");
        }
        let used: HashSet<char> = tokens.iter().flat_map(|token| token.chars()).collect();
        assert_eq!(used.len(), ALPHABET.len(), "every letter is used");
    }

    #[test]
    fn a_token_does_not_show_itself() {
        let token = Token::generate().unwrap();
        assert!(!format!("{token:?}").contains(token.as_str()));
    }
}

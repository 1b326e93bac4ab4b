//! Who may go on with a session: a token alone, or a token and a credential.
//!
//! A session token can be copied from where it is kept. So a session is bound to whoever began it: a
//! connection that shows a credential of somebody else does not get it, and where the client can show a
//! credential with each connection, it has to.

use serde::{Deserialize, Serialize};

/// Where a session's client said who it is when the session began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shown {
    /// Nowhere: it is nobody, or who it is does not matter to this server.
    #[default]
    Nowhere,
    /// In the parameters of its session, which are sent once. Clients of the original have no other place.
    Params,
    /// In what it said when it connected, which it can say again with every connection.
    Connection,
}

/// What becomes of a connection that names a session's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumption {
    /// It goes on with the session.
    Free,
    /// The credential that it shows has to be good, and of the same principal.
    Checked,
    /// It shows none, and would have to.
    Refused,
}

impl Shown {
    /// What becomes of a connection that names the token of a session that began like this.
    ///
    /// `shows`: the connection shows a credential. `strict`: nobody goes on without one who began with one.
    pub const fn resumption(self, shows: bool, strict: bool) -> Resumption {
        match self {
            _ if shows => Resumption::Checked,
            Self::Connection => Resumption::Refused,
            Self::Params if strict => Resumption::Refused,
            Self::Params | Self::Nowhere => Resumption::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_with_a_connection_has_to_be_shown_again() {
        use Resumption::{Checked, Free, Refused};
        let table = [
            (Shown::Nowhere, false, Free),
            (Shown::Nowhere, true, Free),
            (Shown::Params, false, Free),
            (Shown::Params, true, Refused),
            (Shown::Connection, false, Refused),
            (Shown::Connection, true, Refused),
        ];
        for (began, strict, without) in table {
            assert_eq!(began.resumption(false, strict), without, "{began:?}, {strict}");
            assert_eq!(began.resumption(true, strict), Checked, "{began:?}, {strict}");
        }
    }
}

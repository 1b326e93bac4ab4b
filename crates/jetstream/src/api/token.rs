//! Who asks, and what they may.

use http::header::{AUTHORIZATION, HeaderMap, ORIGIN};
use http::{HeaderValue, StatusCode};
use jetstream_core::ids::SharedText;

use super::problem::Problem;
use crate::scope::Template;
use crate::secret::Secret;
use crate::transport::local::is_for_this_machine;

/// A token by which a program is known, and what the program may.
///
/// The name stands in the history of what the program changes. The token itself is kept nowhere.
#[derive(Debug, Clone)]
pub struct ApiToken {
    name: SharedText,
    secret: Secret,
    roles: Vec<Role>,
    /// The scopes that it is about; `None`: all.
    scopes: Option<Vec<Template>>,
}

/// What a program may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Get the states of scopes and follow their changes.
    Read,
    /// Change scopes.
    Write,
    /// Everything, and see and end sessions.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// How it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl ApiToken {
    /// A token that may nothing yet.
    pub fn new(name: impl Into<SharedText>, secret: Secret) -> Self {
        Self { name: name.into(), secret, roles: Vec::new(), scopes: None }
    }

    /// Lets it do more.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Lets it have only these scopes, and others that were named before: `Canvas`, `boards/{id}`.
    #[must_use]
    pub fn scope(mut self, template: Template) -> Self {
        self.scopes.get_or_insert_default().push(template);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it may.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The secret by which it is known.
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub(super) struct Caller(Option<ApiToken>);

impl Caller {
    /// The name that stands in the history.
    pub(super) fn name(&self) -> &str {
        self.0.as_ref().map_or(UNPROTECTED, |token| &token.name)
    }

    /// Whether it may do this, to this scope.
    pub(super) fn require(&self, role: Role, scope: Option<&str>) -> Result<(), Problem> {
        let Some(token) = &self.0 else { return Ok(()) };
        if !token.roles.contains(&role) && !token.roles.contains(&Role::Admin) {
            let message =
                format!("the token {:?} has not the role {:?}", self.name(), role.as_str());
            return Err(Problem::forbidden(message));
        }
        let is_within = |scope: &str| {
            let templates = token.scopes.as_deref();
            templates.is_none_or(|all| all.iter().any(|one| one.matches(scope).is_some()))
        };
        match scope {
            // In the same words whether there is such a scope or not.
            Some(scope) if !is_within(scope) => {
                let message = format!("the token {:?} is not for this scope", self.name());
                Err(Problem::forbidden(message))
            }
            _ => Ok(()),
        }
    }
}

/// Who there is to let in.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) tokens: Vec<ApiToken>,
    pub(super) unprotected: bool,
}

impl Tokens {
    /// Who sent these headers.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        // A page in a browser of this machine says where it comes from when it asks for more than to read.
        let is_from_here = is_for_this_machine(headers) && !headers.contains_key(ORIGIN);
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let given = values.next().map(|value| bearer(value).filter(|_| values.next().is_none()));
        match given {
            None if self.unprotected && is_from_here => return Ok(Caller(None)),
            None if self.unprotected => {
                let message = "without tokens only programs on this machine are answered";
                return Err(Problem::forbidden(message));
            }
            None => {
                return Err(Problem::unauthorized("a token is needed: Authorization: Bearer …"));
            }
            Some(None) => {
                return Err(Problem::unauthorized("expected Authorization: Bearer and a token"));
            }
            Some(Some(given)) => {
                let given = Secret::new(given);
                // All of them are compared, so that the time does not tell which one was nearly right.
                let found = self.tokens.iter().fold(None, |found, token| {
                    if token.secret.is_same(&given) { Some(token) } else { found }
                });
                found.map(|token| Caller(Some(token.clone())))
            }
        }
        .ok_or_else(|| Problem::unauthorized("the token is not known"))
    }
}

/// The token of a header's value; the scheme in any case.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The name of whoever asks without a token.
const UNPROTECTED: &str = "this machine";

impl Problem {
    fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .with(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        all.iter().map(header).collect()
    }

    fn token(name: &str, secret: &str) -> ApiToken {
        ApiToken::new(name, Secret::new(secret))
    }

    #[test]
    fn a_program_is_known_by_its_token() {
        let tokens = vec![token("one", "first secret"), token("two", "second secret")];
        let tokens = Tokens { tokens, unprotected: false };
        let admit = |value| tokens.admit(&headers(&[("authorization", value)]));
        assert_eq!(admit("Bearer second secret").unwrap().name(), "two");
        assert_eq!(admit("bEARER first secret").unwrap().name(), "one");
        for wrong in ["first secret", "Bearer ", "Bearer", "Basic first secret", "Bearer first"] {
            assert_eq!(admit(wrong).unwrap_err().status, StatusCode::UNAUTHORIZED, "{wrong}");
        }
        let twice = headers(&[
            ("authorization", "Bearer first secret"),
            ("authorization", "Bearer second secret"),
        ]);
        for headers in [headers(&[]), twice] {
            assert_eq!(tokens.admit(&headers).unwrap_err().status, StatusCode::UNAUTHORIZED);
        }
    }

    #[test]
    fn a_token_may_what_its_roles_say_in_its_scopes() {
        let boards = Template::parse("boards/{id}").unwrap();
        let reader = Caller(Some(token("reader", "x").role(Role::Read).scope(boards)));
        assert!(reader.require(Role::Read, Some("boards/1")).is_ok());
        for (role, scope) in [
            (Role::Read, Some("Canvas")),
            (Role::Read, Some("boards/1/2")),
            (Role::Write, Some("boards/1")),
            (Role::Admin, None),
        ] {
            let refused = reader.require(role, scope).unwrap_err();
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{role:?} {scope:?}");
        }
        let admin = Caller(Some(token("admin", "x").role(Role::Admin)));
        assert!(admin.require(Role::Write, Some("Canvas")).is_ok());
        assert!(admin.require(Role::Admin, None).is_ok());
    }

    #[test]
    fn without_tokens_only_programs_on_this_machine_are_answered() {
        let tokens = Tokens { tokens: Vec::new(), unprotected: true };
        let admit = |all: &[_]| tokens.admit(&headers(all)).map_err(|problem| problem.status);
        assert_eq!(admit(&[("host", "127.0.0.1:9091")]).unwrap().name(), UNPROTECTED);
        for host in ["localhost", "LOCALHOST:1", "[::1]:9091", "[::1]"] {
            assert!(admit(&[("host", host)]).is_ok(), "{host}");
        }
        for foreign in [
            ("host", "evil.test:9091"),
            ("host", "localhost.evil.test"),
            ("origin", "https://evil.test"),
            ("x-forwarded-for", "192.0.2.1"),
        ] {
            assert_eq!(admit(&[foreign]).unwrap_err(), StatusCode::FORBIDDEN, "{foreign:?}");
        }
        let wrong = admit(&[("authorization", "Bearer anything")]);
        assert_eq!(wrong.unwrap_err(), StatusCode::UNAUTHORIZED, "a token is never passed over");
    }
}

//! Which operation a request is about.

use http::header::{ALLOW, HeaderValue};
use http::{Method, StatusCode};
use jetstream_core::ids::{ObjectId, SessionId};

use super::problem::Problem;
use super::token::Role;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    /// What can be asked, for programs.
    Description,
    /// The state of a scope.
    State(String),
    /// An object of a scope.
    Object(String, ObjectId),
    /// Changes a scope by paths.
    Update(String),
    /// Changes a scope by fragments.
    Change(String),
    /// Follows a scope.
    Follow(String),
    /// The sessions.
    Sessions,
    /// Ends a session.
    End(SessionId),
    /// Ends all sessions of somebody.
    Revoke,
}

/// What a path names.
enum Place {
    Description,
    Scope(String),
    Update(String),
    Changes(String),
    Object(String, ObjectId),
    Sessions,
    Session(SessionId),
    Revoke,
}

impl Operation {
    /// The operation of a method and a path as it was sent.
    pub(super) fn of(method: &Method, path: &str) -> Result<Self, Problem> {
        let (get, post, delete) =
            (method == Method::GET, method == Method::POST, method == Method::DELETE);
        let allow = |allowed: &'static str| {
            let message = format!("only {allowed} is answered here");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message)
                .with(ALLOW, HeaderValue::from_static(allowed))
        };
        Ok(match Place::of(path)? {
            Place::Description if get => Self::Description,
            Place::Scope(name) if get => Self::State(name),
            Place::Object(name, id) if get => Self::Object(name, id),
            Place::Update(name) if post => Self::Update(name),
            Place::Changes(name) if get => Self::Follow(name),
            Place::Changes(name) if post => Self::Change(name),
            Place::Sessions if get => Self::Sessions,
            Place::Session(id) if delete => Self::End(id),
            Place::Revoke if post => Self::Revoke,
            Place::Changes(_) => return Err(allow("GET, POST")),
            Place::Update(_) | Place::Revoke => return Err(allow("POST")),
            Place::Session(_) => return Err(allow("DELETE")),
            Place::Description | Place::Scope(_) | Place::Object(..) | Place::Sessions => {
                return Err(allow("GET"));
            }
        })
    }

    /// What one has to be allowed for it, and of which scope; `None`: nothing.
    pub(super) fn needs(&self) -> Option<(Role, Option<&str>)> {
        match self {
            Self::Description => None,
            Self::State(name) | Self::Object(name, _) | Self::Follow(name) => {
                Some((Role::Read, Some(name)))
            }
            Self::Update(name) | Self::Change(name) => Some((Role::Write, Some(name))),
            Self::Sessions | Self::End(_) | Self::Revoke => Some((Role::Admin, None)),
        }
    }
}

impl Place {
    fn of(path: &str) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("there is nothing at this path");
        let rest = path.strip_prefix("/v1/").ok_or_else(unknown)?;
        let segments: Vec<String> = rest.split('/').map(decode).collect::<Result<_, _>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let place = match segments[..] {
            ["openapi.json"] => Self::Description,
            ["sessions"] => Self::Sessions,
            ["sessions", "revoke"] => Self::Revoke,
            ["sessions", id] => Self::Session(session(id)?),
            ["scopes", ""] | ["scopes", "", ..] => return Err(unknown()),
            ["scopes", name] => Self::Scope(name.to_owned()),
            ["scopes", name, "update"] => Self::Update(name.to_owned()),
            ["scopes", name, "changes"] => Self::Changes(name.to_owned()),
            ["scopes", name, "objects", id] => {
                let id = id
                    .parse()
                    .map_err(|error| Problem::bad_request(format!("the object's id is {error}")))?;
                Self::Object(name.to_owned(), id)
            }
            _ => return Err(unknown()),
        };
        Ok(place)
    }
}

fn session(id: &str) -> Result<SessionId, Problem> {
    let id = id.parse().ok().filter(|_| id.bytes().all(|byte| byte.is_ascii_digit()));
    id.map(SessionId).ok_or_else(|| Problem::bad_request("the id of a session is a number"))
}

/// A segment of a path without its escapes. Unlike in a query, `+` is a plus.
fn decode(segment: &str) -> Result<String, Problem> {
    let wrong = || Problem::bad_request("the path has an escape that is none, or is not in UTF-8");
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((before, escape)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = escape.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(wrong)?);
        rest = &escape[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, path: &str) -> Result<Operation, (u16, String)> {
        let operation = Operation::of(&method.parse().unwrap(), path);
        operation.map_err(|problem| {
            let response = problem.into_response();
            let allowed = response.headers().get(ALLOW).map(|allow| allow.to_str().unwrap());
            (response.status().as_u16(), allowed.unwrap_or_default().to_owned())
        })
    }

    #[test]
    fn a_path_names_an_operation_and_its_scope() {
        let id = "5a000000-0000-4000-8000-000000000001";
        let object = Operation::Object("é+/%".to_owned(), id.parse().unwrap());
        let board = || "boards/1".to_owned();
        for (method, path, expected) in [
            ("GET", "/v1/openapi.json", Operation::Description),
            ("GET", "/v1/scopes/boards%2F1", Operation::State(board())),
            ("POST", "/v1/scopes/boards%2f1/update", Operation::Update(board())),
            ("POST", "/v1/scopes/boards%2f1/changes", Operation::Change(board())),
            ("GET", "/v1/scopes/boards%2f1/changes", Operation::Follow(board())),
            (
                "GET",
                "/v1/scopes/%C3%A9+%2F%25/objects/5A000000-0000-4000-8000-000000000001",
                object,
            ),
            ("GET", "/v1/sessions", Operation::Sessions),
            ("DELETE", "/v1/sessions/7", Operation::End(SessionId(7))),
            ("POST", "/v1/sessions/revoke", Operation::Revoke),
        ] {
            assert_eq!(of(method, path), Ok(expected), "{method} {path}");
        }
    }

    #[test]
    fn what_is_no_operation_is_refused_with_what_there_is() {
        for (method, path, status, allowed) in [
            ("GET", "/", 404, ""),
            ("GET", "/v1", 404, ""),
            ("GET", "/v1/scopes", 404, ""),
            ("GET", "/v1/scopes/", 404, ""),
            ("GET", "/v1/scopes/boards/1", 404, ""),
            ("GET", "/v1/scopes/a%2", 400, ""),
            ("GET", "/v1/scopes/a%+1", 400, ""),
            ("GET", "/v1/scopes/%FF", 400, ""),
            ("GET", "/v1/scopes/a/objects/7", 400, ""),
            ("DELETE", "/v1/sessions/x", 400, ""),
            ("DELETE", "/v1/sessions/99999999999999999999", 400, ""),
            ("PUT", "/v1/scopes/a", 405, "GET"),
            ("PUT", "/v1/scopes/a/changes", 405, "GET, POST"),
            ("GET", "/v1/scopes/a/update", 405, "POST"),
            ("GET", "/v1/sessions/revoke", 405, "POST"),
            ("GET", "/v1/sessions/7", 405, "DELETE"),
        ] {
            assert_eq!(of(method, path), Err((status, allowed.to_owned())), "{method} {path}");
        }
    }
}

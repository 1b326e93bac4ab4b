//! Principals: who sessions belong to, as far as their claims name somebody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jetstream_core::limits::{Limit, Limits};
use jetstream_core::model::Rejection;
use jetstream_core::rate::SharedMeter;
use jetstream_core::scope::Claims;
use jetstream_core::time::Millis;

use crate::quota::{Account, Register};

/// All principals that have sessions.
pub(super) type Principals = Register<String, Principal>;

/// What the sessions of one principal have in common.
#[derive(Default)]
pub(super) struct Principal {
    meter: Arc<SharedMeter>,
    sessions: AtomicUsize,
}

impl Account for Principal {
    fn is_settled(&self, now: Millis) -> bool {
        self.meter.is_settled(now)
    }
}

/// A session's place among those of its principal; given back when it is dropped.
pub(super) struct Membership(Arc<Principal>);

impl Membership {
    /// What the sessions count together.
    pub(super) fn meter(&self) -> Arc<SharedMeter> {
        self.0.meter.clone()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Principals {
    /// A place for another session with these claims; `None` for somebody who did not say who they are.
    ///
    /// # Errors
    ///
    /// That the principal has as many sessions as it may have.
    pub(super) fn admit(
        &self,
        claims: &Claims,
        limits: &Limits,
        now: Millis,
    ) -> Result<Option<Membership>, Rejection> {
        let Some(membership) = self.join(claims, now) else { return Ok(None) };
        let max = limits.principal_sessions_max;
        // It counts itself.
        if membership.0.sessions.load(Ordering::Relaxed) > max {
            let message = format!("at most {max} sessions of one principal");
            return Err(Rejection::beyond(Limit::PrincipalSessions, message));
        }
        Ok(Some(membership))
    }

    /// The same without a bound: for a session that was there before.
    pub(super) fn join(&self, claims: &Claims, now: Millis) -> Option<Membership> {
        let principal = self.account(name(claims)?, now);
        principal.sessions.fetch_add(1, Ordering::Relaxed);
        Some(Membership(principal))
    }
}

/// Who the claims are about: the issuer, and what it calls whom they are about.
fn name(claims: &Claims) -> Option<String> {
    let entries = claims.entries();
    let says = |claim: &str| entries.get(claim).filter(|value| !value.is_null() && *value != "");
    if says("sub").is_none() && says("user").is_none() {
        return None;
    }
    // As JSON, so that no name can be made to look like another.
    Some(serde_json::json!([says("iss"), says("sub"), says("user")]).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claims(of: Value) -> Claims {
        let Value::Object(claims) = of else { panic!("claims are an object") };
        Claims::new(claims)
    }

    #[test]
    fn a_principal_is_named_by_issuer_subject_and_user() {
        let same = [
            json!({ "sub": "ann" }),
            json!({ "sub": "ann", "roles": ["editor"], "exp": 5 }),
            json!({ "sub": "ann", "user": null, "iss": "" }),
        ];
        let others = [
            json!({ "user": "ann" }),
            json!({ "sub": "ann", "iss": "elsewhere" }),
            json!({ "sub": "ann", "user": "bo" }),
            json!({ "sub": ["ann"] }),
            json!({ "sub": "ann\",null,\"x" }),
        ];
        let first = name(&claims(same[0].clone())).unwrap();
        assert!(same.into_iter().all(|one| name(&claims(one)).unwrap() == first));
        assert!(others.into_iter().all(|one| name(&claims(one)).unwrap() != first));
        for nobody in [json!({}), json!({ "roles": ["editor"] }), json!({ "sub": "" })] {
            assert_eq!(name(&claims(nobody)), None);
        }
    }

    #[test]
    fn a_principal_has_only_so_many_sessions_and_room_again_when_one_ends() {
        let limits = Limits { principal_sessions_max: 2, ..Limits::default() };
        let principals = Principals::default();
        let admit =
            |who: &str| principals.admit(&claims(json!({ "sub": who })), &limits, Millis(0));
        let first = admit("ann").unwrap();
        let _second = admit("ann").unwrap();
        let refusal = admit("ann").err().unwrap();
        assert_eq!(refusal.message, "at most 2 sessions of one principal (principal_sessions_max)");
        assert!(admit("bo").unwrap().is_some(), "others are not concerned");
        assert!(admit("").unwrap().is_none(), "nor is somebody without a name");
        drop(first);
        assert!(admit("ann").is_ok());
    }
}

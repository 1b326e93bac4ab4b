//! Who holds how much of a server: principals and addresses, as long as there is something to hold.
//!
//! A [`Register`] has an account for each of them. Accounts are shared by all that belongs to a principal or
//! an address, and forgotten when nothing does and nothing is owed: who comes back at once finds
//! what it owed, who stays away costs nothing.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use jetstream_core::time::Millis;
use parking_lot::Mutex;

/// What is kept of a holder.
pub(crate) trait Account: Default {
    /// Whether nothing is owed, so that nobody misses it.
    fn is_settled(&self, now: Millis) -> bool;
}

/// Accounts by their holders.
pub(crate) struct Register<K, A>(Mutex<Accounts<K, A>>);

struct Accounts<K, A> {
    by_holder: HashMap<K, Arc<A>>,
    /// With so many, those that are not needed any more are looked for.
    tidy_at: usize,
}

impl<K, A> Default for Register<K, A> {
    fn default() -> Self {
        Self(Mutex::new(Accounts { by_holder: HashMap::new(), tidy_at: TIDY_MIN }))
    }
}

impl<K: Eq + Hash, A: Account> Register<K, A> {
    /// The account of a holder. It lives at least as long as somebody has it.
    pub(crate) fn account(&self, holder: K, now: Millis) -> Arc<A> {
        let mut accounts = self.0.lock();
        if accounts.by_holder.len() >= accounts.tidy_at {
            let is_needed =
                |account: &Arc<A>| Arc::strong_count(account) > 1 || !account.is_settled(now);
            accounts.by_holder.retain(|_, account| is_needed(account));
            // So often that it costs each new holder a constant.
            accounts.tidy_at = (accounts.by_holder.len() * 2).max(TIDY_MIN);
        }
        accounts.by_holder.entry(holder).or_default().clone()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().by_holder.len()
    }
}

/// Fewer accounts are not worth looking through.
const TIDY_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Debt(Mutex<u64>);

    impl Account for Debt {
        fn is_settled(&self, now: Millis) -> bool {
            *self.0.lock() <= now.0
        }
    }

    #[test]
    fn an_account_is_kept_while_it_is_held_or_something_is_owed_and_no_longer() {
        let register = Register::<usize, Debt>::default();
        let held = register.account(0, Millis(0));
        *register.account(1, Millis(0)).0.lock() = 100;
        (2..1_000).for_each(|holder| drop(register.account(holder, Millis(50))));
        assert!(register.len() <= TIDY_MIN * 2, "{} accounts", register.len());
        assert!(Arc::ptr_eq(&held, &register.account(0, Millis(50))));
        assert_eq!(*register.account(1, Millis(50)).0.lock(), 100, "it is still owed");
        drop(held);
        (1_000..2_000).for_each(|holder| drop(register.account(holder, Millis(100))));
        assert_eq!(*register.account(1, Millis(100)).0.lock(), 0);
    }
}

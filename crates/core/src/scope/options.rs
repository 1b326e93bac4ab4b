//! How a scope is set up.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Access;
use crate::limits::Limits;
use crate::model::ProcedureName;
use crate::model::constraint::Constraint;

/// How a scope treats its members.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The bounds that it holds its members to.
    pub limits: Arc<Limits>,
    /// Who may do what; `None`: everybody everything.
    pub access: Option<Access>,
    /// The procedures that members may call, by their full names.
    pub procedures: BTreeMap<ProcedureName, Procedure>,
    /// Whether somebody is asked about every ChangeSet of a member that is no call of a procedure.
    pub validate: bool,
    /// Whether somebody else takes every ChangeSet of a member before it is committed, and in which order.
    pub write: Option<WriteOrder>,
    /// How long a repair of plain values waits for more of its kind, in milliseconds; 0: it follows the
    /// reply, as a repair of a collection always does.
    ///
    /// A member below 1.0 that goes on editing a value would be thrown back by each repair of it, and
    /// most of them state what it shows already. See [`REPAIR_DELAY_MS`].
    pub repair_delay_ms: u64,
    /// How many bytes of a state are written in one go, before others have their turn; 0: all of it. See
    /// [`STATE_STEP_BYTES`].
    pub state_step_bytes: usize,
    /// How long the text of a state is kept for the next who needs it, in milliseconds; 0: for good. See
    /// [`STATE_KEPT_MS`].
    pub state_kept_ms: u64,
    /// Whether there is a log that outlives the scope.
    pub stored: bool,
    /// When members see a change.
    pub visible: Visible,
}

/// In which order ChangeSets are written through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WriteOrder {
    /// Those that touch the same property or object one after the other, as they came; the others side by side.
    /// They are committed in an order that leads to the same as the one in which they were taken.
    #[default]
    Places,
    /// Those of one author one after the other, those of several side by side, whatever they touch. Who takes
    /// them has to see to conflicts: by the revision that comes with each.
    Authors,
}

/// When the members of a scope that is stored see a change. Its author's answer always waits until it is
/// durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Visible {
    /// When it is durable: nobody ever sees what is gone after a crash.
    #[default]
    Durable,
    /// At once. After a crash a change that others saw may never have been; they are given the state
    /// afresh then.
    AtOnce,
}

/// How long repairs wait in a server, in milliseconds: a moment that a user takes for "at once", and
/// longer than the pauses between the edits of one gesture.
pub const REPAIR_DELAY_MS: u64 = 750;

/// How many bytes of a state a server writes in one go: some four thousand objects, two or three milliseconds.
pub const STATE_STEP_BYTES: usize = 1 << 20;

/// How long a server keeps the text of a state, in milliseconds. The text is about as long as the objects are
/// large; members who come back after a network was gone for everybody need it within seconds.
pub const STATE_KEPT_MS: u64 = 30_000;

/// A named, constrained way of changing a scope.
#[derive(Debug, Clone, Default)]
pub struct Procedure {
    /// What the fragments of a call must be.
    pub constraints: Vec<Constraint>,
    /// Whether somebody is asked before a call is carried out.
    pub action: bool,
}

//! The states of an account: what each of them still allows, and how an account comes from one to another.

mod change;
mod moderate;
#[cfg(test)]
mod tests;

pub use change::{ActivateError, DeactivateError, NotHere, activate, check_points_here, deactivate};
pub use moderate::{
    Moderation, ModerationError, Subject, SubjectStatus, TakedownOf, set_suspension, set_takedown, subject_status,
};

use crate::store::AccountState;

/// A state that the world knows of, without its particulars. A pending account is not there yet, a deleted one no more:
/// neither may do anything, and nothing tells them from accounts that never were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In use.
    Active,
    /// Switched off by its owner, or moved in and not activated yet.
    Deactivated,
    /// Suspended by the administrator.
    Suspended,
    /// Taken down by the administrator.
    Takendown,
}

/// What an account, or somebody with its password, may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Open a session.
    LogIn,
    /// Open the narrow session that is good for leaving, when the client asks for it.
    LogInToLeave,
    /// Exchange a refresh token.
    Refresh,
    /// Use a session: settings, passwords, codes, uploads, moving in. What a DID should say while it is here, and submitting
    /// an operation that says so, are for arriving: they are no part of leaving.
    UseSession,
    /// Use a session for what leaving takes: read preferences, report, have an operation for the DID signed (which the server
    /// where the account goes submits), deactivate.
    Leave,
    /// Ask for a service token for any service and method.
    ServiceToken,
    /// Ask for a service token for `createAccount` elsewhere.
    ServiceTokenToMove,
    /// Write records.
    Write,
    /// Have its repository, records and blobs read by anybody.
    BeRead,
    /// Read its own repository and blobs.
    ReadItself,
    /// Be activated by its owner.
    Activate,
    /// Be deactivated by its owner.
    Deactivate,
    /// Be deleted by its owner.
    Delete,
}

use Standing::{Active, Deactivated, Suspended, Takendown};

const EVERY: &[Standing] = &[Active, Deactivated, Suspended, Takendown];
const UNMODERATED: &[Standing] = &[Active, Deactivated];

/// In which states an account may do what: everything that asks reads it here.
pub const TABLE: &[(Capability, &[Standing])] = &[
    (Capability::LogIn, UNMODERATED),
    (Capability::LogInToLeave, EVERY),
    (Capability::Refresh, UNMODERATED),
    (Capability::UseSession, UNMODERATED),
    (Capability::Leave, EVERY),
    (Capability::ServiceToken, UNMODERATED),
    (Capability::ServiceTokenToMove, EVERY),
    (Capability::Write, &[Active]),
    (Capability::BeRead, &[Active]),
    (Capability::ReadItself, EVERY),
    (Capability::Activate, UNMODERATED),
    (Capability::Deactivate, EVERY),
    (Capability::Delete, EVERY),
];

impl Standing {
    /// The standing of an account in this state; none while it is pending.
    pub const fn of(state: &AccountState) -> Option<Self> {
        match state {
            AccountState::Pending => None,
            AccountState::Active => Some(Active),
            AccountState::Deactivated { .. } => Some(Deactivated),
            AccountState::Suspended => Some(Suspended),
            AccountState::Takendown { .. } => Some(Takendown),
        }
    }
}

/// Whether an account in this state may do it.
pub fn allows(state: &AccountState, capability: Capability) -> bool {
    let Some(standing) = Standing::of(state) else { return false };
    TABLE.iter().any(|(known, standings)| *known == capability && standings.contains(&standing))
}

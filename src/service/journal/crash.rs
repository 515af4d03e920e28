//! Where a test can stop a change, as if the process had been killed there.

use super::JournalError;

/// The instants between which a process can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The row is `prepared`.
    Prepared,
    /// The row is `posted`, and nothing was sent.
    Posted,
    /// The operation was sent, and the answer was not looked at.
    Sent,
    /// The row is `applied`, and nobody was told.
    Applied,
}

/// The step after which this change stops; outside tests there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CrashPoint(Option<Step>);

#[cfg(test)]
tokio::task_local! {
    static CRASH: Step;
}

/// Runs `work`; a change that it submits stops after `step`.
#[cfg(test)]
pub(crate) async fn crashing_at<T>(step: Step, work: impl Future<Output = T>) -> T {
    CRASH.scope(step, work).await
}

impl CrashPoint {
    /// The one that a test set around this task.
    #[cfg(test)]
    pub(super) fn here() -> Self {
        Self(CRASH.try_with(|step| *step).ok())
    }

    #[cfg(not(test))]
    pub(super) const fn here() -> Self {
        Self(None)
    }

    /// Whether the process still lives after `step`.
    pub(super) fn passed(self, step: Step) -> Result<(), JournalError> {
        if self.0 == Some(step) { Err(JournalError::Pending) } else { Ok(()) }
    }

    /// Whether a test pretends that the process died, so that nothing may happen after it.
    pub(super) const fn is_set(self) -> bool {
        self.0.is_some()
    }
}

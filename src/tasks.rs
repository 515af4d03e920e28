//! Background tasks that shutdown can wait for. The one place that spawns.
use std::future::Future;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Spawns tasks, tells them to stop, and waits for them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// A new set of tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` until it ends; shutdown waits for it.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(self.tracker.track_future(task));
    }

    /// Resolves when the server stops; a task selects on it.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells every task to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until every task has ended. Call [`Tasks::stop`] first.
    pub async fn finished(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stopping_ends_the_tasks_and_waiting_sees_them_end() {
        let tasks = Tasks::new();
        let stop = tasks.stopping();
        let (ended, seen) = tokio::sync::oneshot::channel();
        tasks.spawn(async move {
            stop.cancelled().await;
            assert_eq!(ended.send(()), Ok(()));
        });
        tasks.stop();
        tasks.finished().await;
        assert_eq!(seen.await, Ok(()));
    }
}

//! Threads that read, behind a bounded queue.

use std::thread::JoinHandle;

use crossbeam_channel::{Sender, TrySendError, bounded};
use futures::channel::oneshot;
use nephometer_drivers::StoreError;

/// Reads that may wait.
const QUEUE: usize = 4096;

type Task = Box<dyn FnOnce() + Send>;

/// Threads that read.
pub(crate) struct ReadPool {
    tasks: Option<Sender<Task>>,
    threads: Vec<JoinHandle<()>>,
}

impl ReadPool {
    pub(crate) fn start(threads: u32) -> std::io::Result<Self> {
        let (tasks, waiting) = bounded::<Task>(QUEUE);
        let start = |number| {
            let waiting = waiting.clone();
            let body = move || waiting.iter().for_each(run_guarded);
            std::thread::Builder::new().name(format!("neph-read-{number}")).spawn(body)
        };
        let threads = (0..threads).map(start).collect::<Result<_, _>>()?;
        Ok(Self { tasks: Some(tasks), threads })
    }

    /// How many threads there are.
    pub(crate) fn width(&self) -> usize {
        self.threads.len()
    }

    /// Runs `task` on a thread of the pool.
    pub(crate) fn run<T, F>(&self, task: F) -> impl Future<Output = Result<T, StoreError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, StoreError> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let queued = match &self.tasks {
            Some(tasks) => tasks.try_send(Box::new(move || {
                let _ = done.send(task());
            })),
            None => Ok(()),
        }
        .map_err(|error| match error {
            TrySendError::Full(_) => {
                StoreError::Busy { reason: "too many reads are waiting".to_owned(), retry_after_seconds: 1 }
            }
            TrySendError::Disconnected(_) => StoreError::Closed("it has stopped".to_owned()),
        });
        async move {
            queued?;
            result
                .await
                .unwrap_or_else(|_| Err(StoreError::Io("a read has ended without an answer".to_owned())))
        }
    }
}

/// A task that panics fails its request, not the thread.
fn run_guarded(task: Task) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(task)).is_err() {
        tracing::error!("a read has panicked");
    }
}

impl Drop for ReadPool {
    fn drop(&mut self) {
        self.tasks = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

//! Threads that own connections, and the bounded queue in front of them.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Mutex, oneshot};

use crate::sql::Connection;
use crate::{Answer, StoreProblem};

/// Questions that may wait; more are refused.
pub(crate) const WAITING_MAX: usize = 4_096;
/// Changes that share one commit.
const GROUP_MAX: usize = 256;

/// A question that waits.
pub(crate) type Queued = Box<dyn Job>;
/// The questions that wait, for the threads that answer them.
pub(crate) type Jobs = Mutex<Receiver<Queued>>;

/// A queue and the threads that answer what is in it.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Present until the lane is dropped.
    queue: Option<Sender<Queued>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the jobs of a lane do to what is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sharing {
    /// They write: jobs that wait at the same time share one transaction, each under its own savepoint.
    Writes,
    /// They only read: each by itself, as of the last commit.
    ReadsOnly,
}

impl Lane {
    /// Starts a thread for each connection.
    pub(crate) fn start(name: &str, connections: Vec<Connection>, sharing: Sharing) -> Result<Self, StoreProblem> {
        let (sender, receiver) = channel(WAITING_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = connections
            .into_iter()
            .map(|connection| {
                let jobs = Arc::clone(&receiver);
                std::thread::Builder::new().name(name.to_owned()).spawn(move || match sharing {
                    Sharing::Writes => commit_groups(&connection, &jobs),
                    Sharing::ReadsOnly => answer_each(&connection, &jobs),
                })
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| StoreProblem::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { queue: Some(sender), threads })
    }

    /// Queues a question and waits for its answer. What is queued is done even if nobody waits any more.
    pub(crate) fn ask<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'a, T> {
        let (answer, asker) = oneshot::channel();
        let queued = self.queue(Box::new(Work { work: Some(work), result: None, answer }));
        Box::pin(async move {
            queued?;
            asker.await.unwrap_or_else(|_| Err(StoreProblem::Unavailable("its thread has stopped".to_owned())))
        })
    }

    fn queue(&self, job: Queued) -> Result<(), StoreProblem> {
        let stopped = || StoreProblem::Unavailable("its thread has stopped".to_owned());
        self.queue.as_ref().ok_or_else(stopped)?.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreProblem::Unavailable(format!("{WAITING_MAX} questions wait already")),
            TrySendError::Closed(_) => stopped(),
        })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

/// One question: run inside a transaction, answered after its end.
pub(crate) trait Job: Send {
    /// Runs; true if what it wrote is to be kept.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Gives the answer, or the reason why the transaction around it failed.
    fn finish(self: Box<Self>, committed: Result<(), String>);
}

struct Work<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreProblem>>,
    answer: oneshot::Sender<Result<T, StoreProblem>>,
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T, StoreProblem> + Send> Job for Work<T, F> {
    fn run(&mut self, connection: &Connection) -> bool {
        self.result = self.work.take().map(|work| work(connection));
        matches!(self.result, Some(Ok(_)))
    }

    fn finish(self: Box<Self>, committed: Result<(), String>) {
        let answer = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Err(_), Some(Err(own))) => Err(own),
            (Err(reason), Some(Ok(_)) | None) => Err(StoreProblem::Unavailable(reason)),
            (Ok(()), None) => Err(StoreProblem::Unavailable("it was not asked".to_owned())),
        };
        // Whoever asked may have gone; what was done stays done.
        drop(self.answer.send(answer));
    }
}

fn answer_each(connection: &Connection, jobs: &Jobs) {
    while let Some(mut job) = connection.next(jobs) {
        let ready = connection.ready().map_err(reason);
        if ready.is_ok() {
            job.run(connection);
        }
        job.finish(ready);
    }
}

fn commit_groups(connection: &Connection, jobs: &Jobs) {
    while let Some(first) = connection.next(jobs) {
        let mut group = vec![first];
        // Nobody else waits for jobs of this lane for longer than it takes to take one.
        if let Ok(mut waiting) = jobs.try_lock() {
            group.extend(std::iter::from_fn(|| waiting.try_recv().ok()).take(GROUP_MAX - 1));
        }
        let committed = commit(connection, &mut group).map_err(reason);
        if let Err(reason) = &committed {
            tracing::warn!(%reason, changes = group.len(), "the store could not commit");
        }
        for job in group {
            job.finish(committed.clone());
        }
    }
}

/// What went wrong, for whoever will be told that the store is not available.
fn reason(problem: StoreProblem) -> String {
    match problem {
        StoreProblem::Unavailable(reason) => reason,
        problem @ (StoreProblem::Corrupt(_)
        | StoreProblem::Exists(_)
        | StoreProblem::Full
        | StoreProblem::NotInForce(_)) => problem.to_string(),
    }
}

fn commit(connection: &Connection, group: &mut [Queued]) -> Result<(), StoreProblem> {
    connection.begin()?;
    let done = run_each(connection, group).and_then(|()| connection.commit());
    if done.is_err() {
        connection.roll_back();
    }
    done
}

fn run_each(connection: &Connection, group: &mut [Queued]) -> Result<(), StoreProblem> {
    for job in group {
        connection.step("savepoint job")?;
        if !job.run(connection) {
            connection.step("rollback to job")?;
        }
        connection.step("release job")?;
    }
    Ok(())
}

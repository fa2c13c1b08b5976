//! Threads that own connections, and the bounded queue in front of them.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{Answer, StoreProblem};

/// Questions that may wait; more are refused.
pub(super) const WAITING_MAX: usize = 4_096;
/// Changes that share one commit.
const GROUP_MAX: usize = 256;

/// A queue and the threads that answer what is in it.
#[derive(Debug)]
pub(super) struct Lane {
    /// Present until the lane is dropped.
    queue: Option<SyncSender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the jobs of a lane do to the file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sharing {
    /// They write: jobs that wait at the same time share one transaction, each under its own savepoint.
    Writes,
    /// They only read: each by itself, as of the last commit.
    ReadsOnly,
}

impl Lane {
    /// Starts a thread for each connection.
    pub(super) fn start(name: &str, connections: Vec<Connection>, sharing: Sharing) -> Result<Self, StoreProblem> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
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
    pub(super) fn ask<'a, T: Send + 'static>(
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

    fn queue(&self, job: Box<dyn Job>) -> Result<(), StoreProblem> {
        let stopped = || StoreProblem::Unavailable("its thread has stopped".to_owned());
        self.queue.as_ref().ok_or_else(stopped)?.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreProblem::Unavailable(format!("{WAITING_MAX} questions wait already")),
            TrySendError::Disconnected(_) => stopped(),
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
trait Job: Send {
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

fn answer_each(connection: &Connection, jobs: &Mutex<Receiver<Box<dyn Job>>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut job) = next else { return };
        job.run(connection);
        job.finish(Ok(()));
    }
}

fn commit_groups(connection: &Connection, jobs: &Mutex<Receiver<Box<dyn Job>>>) {
    let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(GROUP_MAX - 1));
        let committed = commit(connection, &mut group).map_err(|error| error.to_string());
        if let Err(reason) = &committed {
            tracing::warn!(%reason, changes = group.len(), "the store could not commit");
        }
        for job in group {
            job.finish(committed.clone());
        }
    }
}

fn commit(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), rusqlite::Error> {
    connection.prepare_cached("begin immediate")?.execute([])?;
    let done = run_each(connection, group)
        .and_then(|()| connection.prepare_cached("commit").and_then(|mut commit| commit.execute([])));
    match done {
        Ok(_) => Ok(()),
        Err(error) => {
            // A failed statement may have ended the transaction by itself (full disk).
            if !connection.is_autocommit() {
                connection.execute_batch("rollback")?;
            }
            Err(error)
        }
    }
}

fn run_each(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), rusqlite::Error> {
    for job in group {
        connection.prepare_cached("savepoint job")?.execute([])?;
        if !job.run(connection) {
            connection.prepare_cached("rollback to job")?.execute([])?;
        }
        connection.prepare_cached("release job")?.execute([])?;
    }
    Ok(())
}

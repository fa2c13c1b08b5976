//! One feed's course through the log: what was sent and has arrived, what is held to be sent next, and the file that keeps
//! it. Knows nothing of connections.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{Audit, Config, FeedBegin};
use policy::Timestamp;
use tokio::task::spawn_blocking;

use crate::feed::receiver::Receiver;
use crate::feed::spool::{Batch, Spool};
use crate::feed::standing::Standing;
use crate::feed::window::Window;

/// How often the file is written, at most.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// A receiver that makes us wait longer than this has not read what is under way.
const DELAY: Duration = Duration::from_secs(1);

/// One feed's course.
#[derive(Debug)]
pub struct Course {
    receiver: Arc<Receiver>,
    log: Audit,
    file: PathBuf,
    standing: Standing,
    window: Window,
    spool: Option<Box<Spool>>,
    held: Option<Batch>,
    /// Lines before this were looked at for messages that are left out.
    counted: u64,
    /// Opening lines that were counted as lost; no more than were open at once.
    lost: BTreeSet<u64>,
    saved: Standing,
    saved_at: Instant,
    is_unsaved: bool,
}

impl Course {
    /// Goes on where the feed stood. `signed` is how many lines a checkpoint covers: no more are ever sent, so that no
    /// crash takes back what was told.
    ///
    /// # Errors
    /// In words, where it cannot be read where the feed stood.
    pub fn begin(receiver: &Arc<Receiver>, config: &Config, signed: u64, now: Instant) -> Result<Self, String> {
        let feed = &receiver.feed;
        let file = Standing::file(&config.state_dir, &feed.id);
        let origin = &config.audit.origin;
        let standing = match Standing::read(&file)? {
            Some(standing) if standing.log == *origin && standing.settled.next <= signed => standing,
            Some(standing) => {
                let (log, line) = (standing.log, standing.settled.next);
                tracing::warn!(feed = %feed.id, log, line, "a feed stood in another log, and begins this one");
                Standing::at(origin, 0)
            }
            None => Standing::at(
                origin,
                match feed.begin {
                    FeedBegin::Oldest => 0,
                    FeedBegin::Now => signed,
                },
            ),
        };
        Ok(Self {
            window: Window::new(standing.settled.clone(), feed.settle),
            counted: standing.settled.next,
            lost: BTreeSet::new(),
            saved: Standing::at(origin, u64::MAX),
            saved_at: now,
            is_unsaved: false,
            receiver: Arc::clone(receiver),
            log: config.audit.clone(),
            file,
            standing,
            spool: None,
            held: None,
        })
    }

    /// Reads what is to be sent next, where nothing is held, from the lines before `end`.
    ///
    /// # Errors
    /// In words, where the log cannot be read; to be tried again later.
    pub async fn hold(&mut self, end: u64) -> Result<(), String> {
        if self.held.is_some() || self.window.sent().next >= end {
            return Ok(());
        }
        let (spool, position) = (self.spool.take(), self.window.sent().clone());
        let (receiver, log) = (Arc::clone(&self.receiver), self.log.clone());
        let read = spawn_blocking(move || {
            let mut spool = match spool {
                Some(spool) => spool,
                None => Box::new(Spool::at(&position, receiver, &log)?),
            };
            let batch = spool.take(end)?;
            Ok::<_, audit::LogProblem>((spool, batch))
        });
        match read.await {
            Ok(Ok((spool, batch))) => {
                self.spool = Some(spool);
                self.held = batch;
                Ok(())
            }
            Ok(Err(problem)) => Err(problem.to_string()),
            Err(error) => Err(format!("reading the log ended unexpectedly: {error}")),
        }
    }

    /// What is to be sent next.
    pub fn held(&self) -> Option<&Batch> {
        self.held.as_ref()
    }

    /// Notes that what was held was sent, and the receiver made us wait for so long. Gives the messages that were left
    /// out, each told once.
    pub fn note_sent(&mut self, waited: Duration, now: Instant) -> u64 {
        let Some(batch) = self.held.take() else { return 0 };
        if waited > DELAY {
            self.window.note_delay(now);
        }
        let lost = batch.lost.iter().filter(|line| self.lost.insert(**line)).count();
        let fresh = (batch.left_out.iter().filter(|line| **line >= self.counted).count() + lost) as u64;
        if fresh > 0 {
            let line = batch.left_out.iter().chain(&batch.lost).max();
            tracing::warn!(
                feed = %self.receiver.feed.id,
                count = fresh,
                line,
                "messages that are longer than a receiver takes, or of damaged lines, were left out"
            );
        }
        self.counted = self.counted.max(batch.position.next);
        self.standing.left_out += fresh;
        self.standing.sent += batch.messages;
        if batch.bytes.is_empty() {
            self.window.note_passed(batch.position);
        } else {
            self.window.note_sent(batch.position, now);
        }
        fresh
    }

    /// Takes as arrived what the connection has outlived.
    pub fn settle(&mut self, now: Instant, at: Timestamp) {
        if self.window.settle(now) {
            self.standing.last_success = Some(at);
        }
        self.standing.settled = self.window.settled().clone();
    }

    /// Notes that nothing keeps the feed from sending. Says whether something did before.
    pub fn note_well(&mut self) -> bool {
        self.standing.problem.take().is_some()
    }

    /// Notes what keeps the feed from sending: whatever was under way will be sent again. Says whether that is news.
    pub fn note_problem(&mut self, problem: &str, at: Timestamp) -> bool {
        self.window.lose();
        (self.spool, self.held) = (None, None);
        self.standing.failures += 1;
        let since = self.standing.problem.as_ref().map(|(since, _)| *since);
        self.standing.problem = Some((since.unwrap_or(at), problem.to_owned()));
        since.is_none()
    }

    /// Where it stands.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The number of the next line to be sent.
    pub fn next(&self) -> u64 {
        self.window.sent().next
    }

    /// Writes the file, where a second went by since it was written.
    pub async fn save_if_due(&mut self, now: Instant) {
        if now.duration_since(self.saved_at) >= SAVE_INTERVAL {
            self.saved_at = now;
            self.save().await;
        }
    }

    /// Writes the file, where something changed. A file that cannot be written stops nothing: what it does not say is
    /// sent again after a restart.
    pub async fn save(&mut self) {
        if self.standing == self.saved {
            return;
        }
        let (standing, file) = (self.standing.clone(), self.file.clone());
        let written = spawn_blocking(move || standing.write(&file).map(|()| standing)).await;
        match written {
            Ok(Ok(standing)) => {
                self.saved = standing;
                self.is_unsaved = false;
            }
            Ok(Err(problem)) if !self.is_unsaved => {
                tracing::error!(feed = %self.receiver.feed.id, problem, "where a feed stands cannot be kept");
                self.is_unsaved = true;
            }
            Ok(Err(_)) => {}
            Err(error) => tracing::error!(%error, "keeping where a feed stands ended unexpectedly"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::testing::House;

    /// As the house has it.
    const SETTLE: Duration = Duration::from_secs(1);
    const AT: Timestamp = Timestamp::from_unix_micros(1_000_000);

    fn house() -> House {
        let house = House::with_feed(6514, "format = \"json\"");
        house.write_log(&vec!["\"ev\":\"started\"".to_owned(); 10]);
        house
    }

    fn begin(house: &House, signed: u64, now: Instant) -> Course {
        Course::begin(&house.receiver, &house.config, signed, now).unwrap()
    }

    async fn send(course: &mut Course, end: u64, now: Instant) {
        course.hold(end).await.unwrap();
        assert!(course.held().is_some());
        course.note_sent(Duration::ZERO, now);
    }

    #[tokio::test]
    async fn what_a_connection_did_not_outlive_is_held_again() {
        let house = house();
        let start = Instant::now();
        let mut course = begin(&house, 10, start);
        send(&mut course, 4, start).await;
        course.settle(start + SETTLE, AT);
        send(&mut course, 10, start + SETTLE).await;
        course.settle(start + SETTLE, AT);
        assert_eq!((course.standing().settled.next, course.next()), (4, 10));
        assert!(course.note_problem("gone", AT) && !course.note_problem("still gone", AT), "told once");
        assert_eq!(course.next(), 4);
        course.hold(10).await.unwrap();
        assert_eq!(course.held().unwrap().messages, 6);
        assert_eq!((course.standing().failures, course.standing().last_success), (2, Some(AT)));
        assert!(course.note_well() && !course.note_well());
    }

    #[tokio::test]
    async fn a_feed_goes_on_where_its_file_says() {
        let house = house();
        let start = Instant::now();
        let mut course = begin(&house, 10, start);
        send(&mut course, 7, start).await;
        course.save().await;
        assert_eq!(begin(&house, 10, start).next(), 0, "what may not have arrived is sent again");
        course.settle(start + SETTLE, AT);
        course.save().await;
        assert_eq!(begin(&house, 10, start).next(), 7);
        assert_eq!(begin(&house, 5, start).next(), 0, "a log without those lines is another log");
        let mut other = house.config.clone();
        other.audit.origin = "another/log".to_owned();
        assert_eq!(Course::begin(&house.receiver, &other, 10, start).unwrap().next(), 0);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_stops_the_feed_and_one_that_cannot_be_written_does_not() {
        let house = house();
        let file = Standing::file(&house.config.state_dir, &house.receiver.feed.id);
        let start = Instant::now();
        let mut course = begin(&house, 10, start);
        std::fs::create_dir_all(file.with_extension("new")).unwrap();
        send(&mut course, 10, start).await;
        course.save().await;
        std::fs::write(&file, "{").unwrap();
        assert!(Course::begin(&house.receiver, &house.config, 10, start).is_err());
    }
}

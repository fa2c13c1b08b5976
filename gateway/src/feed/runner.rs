//! One feed's life: connect, send, wait to see that it arrived; when the receiver stalls, refuses or is gone, wait longer
//! each time and begin again from what has arrived. Nothing here is on the way of a request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::FeedId;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock;
use crate::feed::backoff::Backoff;
use crate::feed::connection::Connection;
use crate::feed::course::Course;
use crate::feed::progress::Progress;
use crate::feed::receiver::Receiver;
use crate::gate::Gate;

/// How often the log is looked at for new lines.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How long the last lines may take when the gateway stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs one feed until it is stopped, or taken out of the configuration.
#[derive(Debug)]
pub struct Runner {
    pub gate: Arc<Gate>,
    pub id: FeedId,
    pub stop: watch::Receiver<bool>,
    pub progress: Arc<Progress>,
}

/// Why a connection is not gone on with.
enum Ended {
    /// The gateway stops.
    Stopped,
    /// The feed is configured otherwise now, or not at all.
    Changed,
    /// The receiver, or the log, is out of reach.
    Lost(String),
}

impl Runner {
    /// Runs it.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new();
        while let Some(receiver) = self.receiver() {
            let config = Arc::clone(&self.gate.snapshot.load().config);
            match Course::begin(&receiver, &config, self.signed(), Instant::now()) {
                Ok(mut course) => {
                    let stopped = self.follow(&mut course, &receiver, &mut backoff).await;
                    course.save().await;
                    if stopped {
                        return;
                    }
                }
                Err(problem) => {
                    self.gate.metrics.feeds.note_failure(&self.id);
                    tracing::error!(feed = %self.id, problem, "a feed cannot begin");
                    if self.pause(&mut backoff).await {
                        return;
                    }
                }
            }
        }
    }

    fn receiver(&self) -> Option<Arc<Receiver>> {
        self.gate.snapshot.load().receivers.find(&self.id).cloned()
    }

    fn is_current(&self, receiver: &Arc<Receiver>) -> bool {
        self.receiver().is_some_and(|now| Arc::ptr_eq(&now, receiver) || now.is_as(receiver))
    }

    /// How many lines of the log may be told: those that a checkpoint covers.
    fn signed(&self) -> u64 {
        self.gate.log.health().lines_signed
    }

    /// Follows the log with one receiver. Says whether the gateway stops.
    async fn follow(&mut self, course: &mut Course, receiver: &Arc<Receiver>, backoff: &mut Backoff) -> bool {
        loop {
            match self.attempt(course, receiver, backoff).await {
                Ended::Stopped => return true,
                Ended::Changed => return false,
                Ended::Lost(problem) => {
                    self.gate.metrics.feeds.note_failure(&self.id);
                    if course.note_problem(&problem, self.gate.clock.now()) {
                        tracing::warn!(feed = %self.id, problem, "a feed's receiver cannot be told");
                    }
                    self.show(course, false);
                    course.save().await;
                }
            }
            // What waits, and since when, is known also while the receiver is away.
            if let Err(problem) = course.hold(self.signed()).await {
                tracing::error!(feed = %self.id, problem, "a feed cannot read the log");
            }
            self.show(course, false);
            if self.pause(backoff).await {
                return true;
            }
            if !self.is_current(receiver) {
                return false;
            }
        }
    }

    /// Waits before the next attempt. Says whether the gateway stops.
    async fn pause(&mut self, backoff: &mut Backoff) -> bool {
        // Without dice everybody waits as long as they would at least.
        let wait = backoff.wait(clock::random_u64().unwrap_or(0));
        tokio::select! {
            () = stopped(&mut self.stop) => true,
            () = sleep(wait) => false,
        }
    }

    async fn attempt(&mut self, course: &mut Course, receiver: &Arc<Receiver>, backoff: &mut Backoff) -> Ended {
        let dialer = self.gate.snapshot.load().dialer.clone();
        let opened = tokio::select! {
            () = stopped(&mut self.stop) => return Ended::Stopped,
            opened = Connection::open(&dialer, receiver) => opened,
        };
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(problem) => return Ended::Lost(problem),
        };
        let ended = self.serve(course, &mut connection, receiver, backoff).await;
        match ended {
            Ended::Stopped | Ended::Changed => connection.close().await,
            Ended::Lost(_) => {}
        }
        ended
    }

    /// Sends on one connection until it ends.
    async fn serve(
        &mut self,
        course: &mut Course,
        connection: &mut Connection,
        receiver: &Arc<Receiver>,
        backoff: &mut Backoff,
    ) -> Ended {
        let connected = Instant::now();
        let mut stop_at = None;
        loop {
            course.settle(Instant::now(), self.gate.clock.now());
            if connected.elapsed() >= receiver.feed.settle {
                backoff.reset();
                if course.note_well() {
                    tracing::info!(feed = %self.id, "a feed's receiver is told again");
                }
            }
            course.save_if_due(Instant::now()).await;
            if *self.stop.borrow() && *stop_at.get_or_insert(Instant::now() + STOP_TIMEOUT) <= Instant::now() {
                return Ended::Stopped;
            }
            if !self.is_current(receiver) {
                return Ended::Changed;
            }
            if let Err(problem) = course.hold(self.signed()).await {
                return Ended::Lost(problem);
            }
            self.show(course, true);
            if let Err(problem) = self.send_or_wait(course, connection, receiver).await {
                return Ended::Lost(problem);
            }
            if *self.stop.borrow() && course.next() >= self.signed() {
                return Ended::Stopped;
            }
        }
    }

    /// Sends what is held; where nothing is, waits a moment for more.
    async fn send_or_wait(
        &mut self,
        course: &mut Course,
        connection: &mut Connection,
        receiver: &Receiver,
    ) -> Result<(), String> {
        let Some(batch) = course.held() else {
            return tokio::select! {
                ended = connection.ended() => Err(ended),
                () = sleep(LOOK_INTERVAL) => Ok(()),
            };
        };
        let messages = batch.messages;
        let waited = connection.send(&batch.bytes, receiver.feed.settle).await?;
        self.gate.metrics.feeds.note_sent(&self.id, messages);
        let left_out = course.note_sent(waited, Instant::now());
        self.gate.metrics.feeds.note_left_out(&self.id, left_out);
        Ok(())
    }

    fn show(&self, course: &Course, connected: bool) {
        self.progress.show(|seen| {
            seen.connected = connected;
            seen.next = course.next();
            seen.waiting_since = course.held().and_then(|batch| batch.oldest);
            seen.last_success = course.standing().last_success;
        });
    }
}

/// Waits until the gateway stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the end as well.
    let _told = stop.wait_for(|stopped| *stopped).await;
}

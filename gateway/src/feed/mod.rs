//! Telling the log to the hospital's own receivers: an audit repository (IHE ITI-20) or a SIEM, by syslog over mutual TLS
//! (RFC 5424, 5425).
//!
//! Each feed follows the log with a cursor of its own ([`course`]); the log is the spool, so a receiver may be away for
//! as long as the log is kept. Order is kept, every message is sent at least once ([`window`] says what that means where
//! nothing is acknowledged). Deliberately not here: what a message says (`evidence`).

mod backoff;
mod choice;
mod connection;
mod counts;
mod course;
#[cfg(test)]
mod damage_tests;
mod message;
mod progress;
mod receiver;
mod runner;
mod spool;
mod standing;
mod stories;
#[cfg(test)]
mod testing;
mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use backoff::Backoff;
pub use connection::Connection;
pub use counts::FeedCounts;
use counts::Lag;
use policy::FeedId;
use progress::Progress;
pub use receiver::Receivers;
use runner::Runner;
pub use standing::Standing;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::gate::Gate;

/// How often it is looked at how feeds are.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long feeds may take to end in order, all together.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The feeds of a running gateway.
#[derive(Debug)]
pub struct Feeds {
    stop: watch::Sender<bool>,
    watch: JoinHandle<()>,
}

/// One feed that runs.
#[derive(Debug)]
struct Running {
    task: JoinHandle<()>,
    progress: Arc<Progress>,
    alarmed: bool,
}

impl Feeds {
    /// Starts those of the configuration, now and whenever it changes.
    pub fn start(gate: &Arc<Gate>) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, watch: tokio::spawn(follow(Arc::clone(gate), stopped)) }
    }

    /// Sends the last lines, closes the connections in order, and keeps where each feed stands.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let watch = self.watch.abort_handle();
        if timeout(STOP_TIMEOUT, self.watch).await.is_err() {
            tracing::warn!("feeds did not end in time; what may not have arrived is sent again at the next start");
            watch.abort();
        }
    }
}

/// Starts and watches feeds until the gateway stops, and sees them end.
async fn follow(gate: Arc<Gate>, mut stop: watch::Receiver<bool>) {
    let mut running: HashMap<FeedId, Running> = HashMap::new();
    loop {
        let configured: Vec<FeedId> = gate.snapshot.load().receivers.ids().cloned().collect();
        for id in &configured {
            if running.get(id).is_none_or(|feed| feed.task.is_finished()) {
                running.insert(id.clone(), start(&gate, id, &stop));
            }
        }
        running.retain(|id, feed| {
            let ended = feed.task.is_finished() && !configured.contains(id);
            if ended {
                gate.metrics.feeds.forget(id);
            }
            !ended
        });
        running.iter_mut().filter(|(id, _)| configured.contains(id)).for_each(|(id, feed)| look(&gate, id, feed));
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => break,
            () = sleep(LOOK_INTERVAL) => {}
        }
    }
    for (id, feed) in running {
        if let Err(error) = feed.task.await {
            tracing::error!(feed = %id, %error, "a feed did not end in order");
        }
    }
}

fn start(gate: &Arc<Gate>, id: &FeedId, stop: &watch::Receiver<bool>) -> Running {
    let progress = Arc::new(Progress::default());
    let runner = Runner { gate: Arc::clone(gate), id: id.clone(), stop: stop.clone(), progress: Arc::clone(&progress) };
    Running { task: tokio::spawn(runner.run()), progress, alarmed: false }
}

/// Shows how a feed is, and raises the alarm where lines wait too long.
fn look(gate: &Gate, id: &FeedId, feed: &mut Running) {
    let snapshot = gate.snapshot.load();
    let Some(receiver) = snapshot.receivers.find(id) else { return };
    let seen = feed.progress.seen();
    let waits = seen.waiting_since.map(|since| gate.clock.now().since(since)).unwrap_or_default();
    let alarm = waits > receiver.feed.alarm_after;
    match (alarm, feed.alarmed) {
        (true, false) => tracing::error!(
            feed = %id,
            seconds = waits.as_secs(),
            "a feed's receiver has not been told for too long; the log keeps what waits"
        ),
        (false, true) => tracing::info!(feed = %id, "nothing waits too long for a feed's receiver"),
        (true, true) | (false, false) => {}
    }
    feed.alarmed = alarm;
    let lag = Lag {
        connected: seen.connected,
        lines: gate.log.health().lines_signed.saturating_sub(seen.next),
        seconds: waits.as_secs(),
        last_success: seen.last_success.map(policy::Timestamp::unix_seconds),
        alarm,
    };
    gate.metrics.feeds.show(id, lag);
}

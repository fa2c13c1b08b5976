//! Tells the collector what ended and what the diagnostic log says: some at once, within bounds. Traces that it does not
//! take are dropped and counted; records of the log wait while it is away, as far as there is room.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::collector::{Kind, NotTaken};
use super::diagnostics::{Diagnostics, Record};
use super::otlp;
use super::trace::Finished;
use crate::gate::Gate;

/// What is told at once.
const BATCH_MAX: usize = 256;
/// How long others are waited for.
const GATHER: Duration = Duration::from_secs(1);
/// How long nothing is sent after a failure.
const PAUSE: Duration = Duration::from_secs(10);
/// How long the last of the log is told when the gateway ends.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// How telling goes: whether the collector takes it, which is said once when it changes, and how much it took.
struct Course<'g> {
    kind: Kind,
    is_taken: bool,
    sent: &'g Counter,
    dropped: &'g Counter,
}

impl Course<'_> {
    fn note(&mut self, told: &Result<u64, NotTaken>, count: u64) {
        let what = self.kind.words();
        match told {
            Ok(rejected) => {
                let rejected = (*rejected).min(count);
                self.sent.inc_by(count - rejected);
                self.dropped.inc_by(rejected);
                if !self.is_taken {
                    tracing::info!(what, "the collector takes what it is told again");
                }
            }
            Err(not_taken) => {
                if self.is_taken {
                    tracing::warn!(what, problem = not_taken.words(), "the collector does not take what it is told");
                }
            }
        }
        self.is_taken = told.is_ok();
    }
}

/// Tells the collector which traces ended, until the gateway stops.
pub async fn follow(gate: Arc<Gate>, mut ended: mpsc::Receiver<Finished>) {
    let (sent, dropped) = (&gate.metrics.traces_sent, &gate.metrics.traces_dropped);
    let mut course = Course { kind: Kind::Traces, is_taken: true, sent, dropped };
    let mut batch = Vec::new();
    while ended.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let more = async { while batch.len() < BATCH_MAX && ended.recv_many(&mut batch, 1).await > 0 {} };
        // Whatever came by then is sent; it is an end of waiting, not a failure.
        let _waited = tokio::time::timeout(GATHER, more).await;
        let snapshot = gate.snapshot.load_full();
        // It may be taken out of the configuration meanwhile.
        if let Some(collector) = &snapshot.collector {
            let told = otlp::traces(&otlp::instance(&snapshot.config), &batch);
            let told = collector.tell(Kind::Traces, &told).await;
            course.note(&told, batch.len() as u64);
            if told.is_err() {
                dropped.inc_by(batch.len() as u64);
                tokio::time::sleep(PAUSE).await;
                while ended.try_recv().is_ok() {
                    dropped.inc();
                }
            }
        }
        batch.clear();
    }
}

/// Tells the collector what the diagnostic log says.
#[derive(Debug)]
pub struct LogTeller {
    end: oneshot::Sender<()>,
    telling: JoinHandle<()>,
}

impl LogTeller {
    /// Begins to tell, where the configuration says so.
    pub fn start(gate: &Arc<Gate>, diagnostics: &Diagnostics) -> Self {
        let (end, ends) = oneshot::channel();
        let telling = tokio::spawn(tell_log(Arc::clone(gate), diagnostics.clone(), ends));
        Self { end, telling }
    }

    /// Tells what was said last, within a bound.
    pub async fn stop(mut self) {
        drop(self.end);
        if tokio::time::timeout(LAST_WITHIN, &mut self.telling).await.is_err() {
            self.telling.abort();
        }
    }
}

/// Until `ends` is dropped or told.
async fn tell_log(gate: Arc<Gate>, diagnostics: Diagnostics, mut ends: oneshot::Receiver<()>) {
    let (sent, dropped) = (&gate.metrics.logs_sent, &gate.metrics.logs_dropped);
    let mut course = Course { kind: Kind::Logs, is_taken: true, sent, dropped };
    let mut changed = gate.changed.subscribe();
    let mut batch = Vec::new();
    loop {
        diagnostics.keep_from(gate.snapshot.load().config.telemetry.as_ref().and_then(|telemetry| telemetry.logs));
        let is_last = tokio::select! {
            _ = &mut ends => true,
            () = wait_for_more(&diagnostics, &batch, &mut changed) => false,
        };
        loop {
            dropped.inc_by(diagnostics.take_dropped());
            batch.extend(diagnostics.take(BATCH_MAX.saturating_sub(batch.len())));
            if batch.is_empty() {
                break;
            }
            let told = tell_batch(&gate, &batch).await;
            course.note(&told, batch.len() as u64);
            match told {
                Ok(_) => batch.clear(),
                Err(NotTaken::Ever(_)) => {
                    dropped.inc_by(batch.len() as u64);
                    batch.clear();
                    break;
                }
                Err(NotTaken::Yet(_)) => break,
            }
        }
        if is_last {
            return;
        }
    }
}

/// Until others gathered with the first, or the configuration may be another; after a failure until it is time to try
/// again.
async fn wait_for_more(diagnostics: &Diagnostics, batch: &[Record], changed: &mut watch::Receiver<u64>) {
    if !batch.is_empty() {
        return tokio::time::sleep(PAUSE).await;
    }
    tokio::select! {
        biased;
        () = diagnostics.came() => tokio::time::sleep(GATHER).await,
        // The sender is the gate's, which outlives this.
        _ = changed.changed() => {}
    }
}

async fn tell_batch(gate: &Gate, batch: &[Record]) -> Result<u64, NotTaken> {
    let snapshot = gate.snapshot.load_full();
    match (&snapshot.collector, &snapshot.config.telemetry) {
        (Some(collector), Some(telemetry)) => {
            let told = otlp::logs(&otlp::instance(&snapshot.config), batch, telemetry.goes_on);
            collector.tell(Kind::Logs, &told).await
        }
        // It was taken out of the configuration meanwhile.
        (None, _) | (Some(_), None) => Ok(batch.len() as u64),
    }
}

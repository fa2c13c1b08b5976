//! The bell: a connection that listens whether another node told something. It may ring for nothing and miss a ring
//! while it is away; whoever hears it reads what was told after the last that they know, and does so each second anyway.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::way::Way;
use crate::StoreProblem;

/// How often it is made sure that the bell still hangs.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// How long that may take.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// How long after it was lost it is hung up again.
const PAUSE: Duration = Duration::from_millis(500);

/// The bell and its thread.
#[derive(Debug)]
pub(super) struct Bell {
    rung: watch::Receiver<u64>,
    /// Present until it is dropped.
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bell {
    pub(super) fn hang(way: Arc<Way>) -> Result<Self, StoreProblem> {
        let failed = |error| StoreProblem::Unavailable(format!("the system gives no thread: {error}"));
        let (ring, rung) = watch::channel(0);
        let (stop, mut stopped) = watch::channel(());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name("store-bell".to_owned())
            .spawn(move || {
                let ring = Arc::new(ring);
                runtime.block_on(async {
                    tokio::select! {
                        () = hear(&way, &ring) => {}
                        _ = stopped.changed() => {}
                    }
                });
            })
            .map_err(failed)?;
        Ok(Self { rung, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn rung(&self) -> watch::Receiver<u64> {
        self.rung.clone()
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a thread of the store panicked");
        }
    }
}

/// Listens for as long as it lives.
async fn hear(way: &Way, ring: &Arc<watch::Sender<u64>>) {
    loop {
        let bell = Arc::clone(ring);
        if let Ok(client) = way.reach(move || bell.send_modify(|rings| *rings += 1)).await
            && client.batch_execute("listen sekimori").await.is_ok()
        {
            // What was told while nobody listened.
            ring.send_modify(|rings| *rings += 1);
            while matches!(timeout(PROBE_MAX, client.simple_query("")).await, Ok(Ok(_))) {
                sleep(PROBE_INTERVAL).await;
            }
            tracing::debug!("the bell of the store was lost");
        }
        sleep(PAUSE).await;
    }
}

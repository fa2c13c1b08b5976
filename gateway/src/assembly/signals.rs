//! The signals that end the gateway, hand it over, or have it read its files again.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::failure::Failure;

/// The signals that mean something, listened to before anything is open, so that none takes its default action.
pub(super) struct Signals {
    pub(super) hang_up: Signal,
    pub(super) ends: Ends,
}

/// Those that end this process in one way or another.
pub(super) struct Ends {
    terminate: Signal,
    interrupt: Signal,
    hand_over: Signal,
}

/// Why it is to end.
pub(super) enum End {
    Stop,
    HandOver,
    Fault,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::unavailable(format!("signals cannot be received: {error}")));
        Ok(Self {
            hang_up: listen(SignalKind::hangup())?,
            ends: Ends {
                terminate: listen(SignalKind::terminate())?,
                interrupt: listen(SignalKind::interrupt())?,
                hand_over: listen(SignalKind::user_defined2())?,
            },
        })
    }
}

impl Ends {
    /// Waits for SIGTERM, SIGINT, SIGUSR2, or a part that ended, which none does while all is well.
    pub(super) async fn wait(
        &mut self,
        control: &mut JoinSet<()>,
        a_worker_ended: &mut mpsc::UnboundedReceiver<usize>,
    ) -> End {
        tokio::select! {
            _ = self.terminate.recv() => End::Stop,
            _ = self.interrupt.recv() => End::Stop,
            _ = self.hand_over.recv() => End::HandOver,
            ended = control.join_next() => {
                tracing::error!(?ended, "a part of the control plane ended; stopping");
                End::Fault
            }
            worker = a_worker_ended.recv() => {
                tracing::error!(worker, "a worker ended; stopping");
                End::Fault
            }
        }
    }

    /// Waits for SIGTERM or SIGINT.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for so long, or until whoever stops the gateway says it once more.
    pub(super) async fn again_or(&mut self, within: Duration) {
        // Either way the wait is over.
        drop(tokio::time::timeout(within, self.stop()).await);
    }
}

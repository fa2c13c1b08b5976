//! How another process takes over: started while everything goes on, and let begin once this one has ended.

use std::sync::Arc;

use config::Config;
use sd_notify::NotifyState;
use store::Store;
use web::Alarm;

use super::signals::Ends;
use super::{Begin, Ended, Source};
use crate::alarms;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::handover::{Program, Sockets, Successor, systemd};
use crate::reload::Stamps;

/// The number of the process that a container ends with.
const FIRST_PROCESS: u32 = 1;

/// Who comes next.
pub(super) enum Next {
    Process(Box<Successor>),
    /// It was told to stop meanwhile.
    Nobody,
}

/// Starts the process that comes next, and waits until it is ready. Everything goes on meanwhile, and where it does not
/// become ready, nothing has changed.
pub(super) async fn succeed(
    source: &Source,
    program: &Program,
    sockets: &Sockets,
    gate: &Gate,
    ends: &mut Ends,
) -> Option<Next> {
    let Source::File(_) = source else {
        tracing::warn!("the demo hands over to nobody");
        return None;
    };
    let failed = |reason: String| {
        gate.metrics.handovers_failed.inc();
        alarms::raise(gate, Alarm::HandoverFailed, true);
        tracing::error!(reason, "nobody takes over; this process goes on");
        None
    };
    if std::process::id() == FIRST_PROCESS {
        // The kernel ends everything in a container with its first process: the next one would go with this one.
        let reason = "this is process 1 of a container, which ends with it; replace the container instead";
        return failed(reason.to_owned());
    }
    tracing::info!("another process is to take over");
    let successor = match Successor::start(program, sockets) {
        Ok(successor) => successor,
        Err(error) => return failed(format!("the program could not be started: {error}")),
    };
    tokio::select! {
        ready = successor.until_ready() => match ready {
            Ok(()) => Some(Next::Process(Box::new(successor))),
            Err(reason) => failed(reason),
        },
        () = ends.stop() => Some(Next::Nobody),
    }
}

/// Lets the next process begin; where it does not, this one begins again by the configuration that was in force.
pub(super) async fn hand_over(
    mut successor: Successor,
    sockets: Sockets,
    config: &Config,
    store: Arc<dyn Store>,
) -> Result<Ended, Failure> {
    match successor.take_over().await {
        Ok(process) => {
            systemd::tell(&[NotifyState::MainPid(process), NotifyState::Ready]);
            tracing::info!(process, "handed over");
            Ok(Ended::Over)
        }
        Err(reason) => {
            tracing::error!(reason, "nobody took over; this process begins again");
            // Beginning takes its time, in which nobody else tells it.
            systemd::tell(&[NotifyState::Watchdog]);
            // What the files hold is looked at anew: it was not in force.
            let stamps = Stamps::of(&[]);
            let (config, found) = (config.clone(), sockets.leave());
            let store = Some(store);
            let begin = Begin { stamps, config, fallen_back: None, serves_again: true, store, found, turn: None };
            Ok(Ended::Again(Box::new(begin)))
        }
    }
}

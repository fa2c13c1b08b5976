//! Telling people outside of our pages what happened: by mail (RFC 5321) and by signed requests to their servers.
//!
//! Each receiver has a runner of its own ([`runner`]), which follows the store's events and keeps in the store how far it
//! came and what became of each notice; whoever is out of reach is tried again, and holds nobody else up. Deliberately not
//! here: what a notice says (`web`), and who is told (configuration).

mod counts;
mod mail;
mod runner;
mod senders;
mod smtp;
mod tell;
mod webhook;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use counts::NoticeCounts;
use policy::NoticeId;
use runner::Runner;
pub use senders::Senders;
use store::Store;
pub use tell::trial;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use web::WordBook;

use crate::gate::Gate;

/// How often it is looked whether the configuration names other receivers.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Tells the receivers of the configuration, now and whenever it changes. Dropped, it ends them all; what was under way is
/// sent again at the next start, under the same number.
pub async fn follow(gate: Arc<Gate>, store: Arc<dyn Store>) {
    let book = Arc::new(WordBook::new());
    let mut tasks = JoinSet::new();
    let mut running: HashMap<NoticeId, AbortHandle> = HashMap::new();
    loop {
        let snapshot = gate.snapshot.load_full();
        // One node tells everybody outside; whoever takes over goes on from what the store says.
        let leads = gate.nodes.leads();
        if !leads {
            running.drain().for_each(|(_, task)| task.abort());
        }
        for id in snapshot.senders.ids().filter(|_| leads) {
            if running.get(id).is_none_or(AbortHandle::is_finished) {
                let (gate, store, book) = (Arc::clone(&gate), Arc::clone(&store), Arc::clone(&book));
                running.insert(id.clone(), tasks.spawn(Runner { gate, store, book, id: id.clone() }.run()));
            }
        }
        running.retain(|id, task| {
            let is_over = task.is_finished() && snapshot.senders.find(id).is_none();
            if is_over {
                gate.metrics.notices.forget(id);
            }
            !is_over
        });
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a runner of notices broke off; it is started again");
            }
        }
        sleep(LOOK_INTERVAL).await;
    }
}

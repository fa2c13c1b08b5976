//! Players that were asked a moment ago and will be asked again: the next pictures follow the last ones without playing
//! all from the beginning.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use audit::Player;
use policy::{RequestId, SessionId};

/// How many are kept.
const KEPT_MAX: usize = 16;

/// The players that are kept, the one that was asked last at the end.
#[derive(Debug, Default)]
pub(crate) struct Players {
    kept: Mutex<Vec<(Who, Player)>>,
}

/// Who plays what.
pub(super) type Who = (SessionId, RequestId);

impl Players {
    /// Takes the player that stands at a moment.
    pub(super) fn take(&self, who: Who, at: Duration) -> Option<Player> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(its, player)| *its == who && player.at().as_millis() == at.as_millis())?;
        Some(kept.remove(place).1)
    }

    /// Keeps a player for the next time.
    pub(super) fn keep(&self, who: Who, player: Player) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(its, _)| *its != who);
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push((who, player));
    }
}

//! Players that were asked a moment ago and will be asked again: the next pictures follow the last ones without playing
//! all from the beginning.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use audit::Player;
use policy::{RequestId, SessionId};

/// How many are kept.
const KEPT_MAX: usize = 16;
/// How many looks are remembered.
const LOOKS_MAX: usize = 256;
/// For how long a look goes on that nothing is asked for.
const LOOK_MAX: Duration = Duration::from_secs(10 * 60);

/// The players that are kept, the one that was asked last at the end.
#[derive(Debug, Default)]
pub(crate) struct Players {
    kept: Mutex<Vec<(Who, Player)>>,
    /// Looks that are on record and go on.
    looks: Mutex<Vec<(Who, Instant)>>,
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

    /// Remembers a look that is on record.
    pub(super) fn looked(&self, who: Who) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|(its, at)| *its != who && at.elapsed() < LOOK_MAX);
        if looks.len() >= LOOKS_MAX {
            looks.remove(0);
        }
        looks.push((who, Instant::now()));
    }

    /// Whether a look is on record and goes on.
    pub(super) fn looks(&self, who: Who) -> bool {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.iter().any(|(its, at)| *its == who && at.elapsed() < LOOK_MAX)
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

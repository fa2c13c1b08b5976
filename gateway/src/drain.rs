//! A worker's end: it takes nothing new, lets what is open finish, and tells what has no end of its own to begin again
//! elsewhere, one after the other, so that not everybody comes back in the same moment.
//!
//! Over HTTP/1.1 nobody can say "no further request" to a client that is just sending one. So a connection that was used a
//! moment ago may ask once more, and is told with that answer; one that stands idle longer is closed. HTTP/2 has GOAWAY.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::exchange::How;
use crate::worker::Worker;

/// For how long after its last answer a connection may ask once more.
const LINGER: Duration = Duration::from_secs(1);
/// How much time each stream without an end gives the next one, as long as that fits into half of the drain.
const BETWEEN_STREAMS: Duration = Duration::from_millis(5);
/// How often it is looked what is left.
const TURN: Duration = Duration::from_millis(20);

/// What a worker does from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Serves.
    Serve,
    /// Ends.
    Leave(Leave),
}

/// How a worker ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leave {
    /// What becomes of the sockets it accepts from.
    pub sockets: Fate,
    /// How long what is open may take to finish.
    pub within: Duration,
}

/// What becomes of the sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// They close: what waits in them is taken first.
    Close,
    /// They stay open for whoever comes next, with what waits in them.
    Stay,
}

/// Waits until a worker is told to end.
pub async fn told(orders: &mut watch::Receiver<Order>) -> Leave {
    loop {
        match *orders.borrow_and_update() {
            Order::Serve => {}
            Order::Leave(leave) => return leave,
        }
        if orders.changed().await.is_err() {
            // The sender is gone, which is the end as well.
            return Leave { sockets: Fate::Close, within: Duration::ZERO };
        }
    }
}

/// Ends what is open. Its accept loops have ended already.
pub async fn drain(worker: &Rc<Worker>, leave: Leave) {
    let begun = Instant::now();
    worker.connections.leave();
    loop {
        let now = Instant::now();
        worker.connections.end_idle(now, LINGER);
        let passed = now.saturating_duration_since(begun);
        worker.open.tell(due_now(worker.open.endless(), passed, leave.within));
        if !worker.is_busy() || passed >= leave.within {
            break;
        }
        tokio::time::sleep(TURN).await;
    }
    worker.open.stop();
    worker.connections.end_all(How::Now);
    // One more turn for the tasks to see it and to close their records.
    tokio::time::sleep(TURN).await;
}

/// How many of so many streams are told in this turn.
fn due_now(left: usize, passed: Duration, within: Duration) -> usize {
    let spread = BETWEEN_STREAMS.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX));
    let time_left = spread.min((within / 2).saturating_sub(passed));
    let turns = usize::try_from(time_left.as_millis() / TURN.as_millis()).unwrap_or(usize::MAX);
    left.div_ceil(turns.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_one_after_the_other_and_all_by_half_of_the_drain() {
        for (streams, within) in [(1, 30), (10, 30), (1_000, 30), (100_000, 30), (5_000, 2)] {
            let within = Duration::from_secs(within);
            let (mut left, mut passed, mut most) = (streams, Duration::ZERO, 0);
            while left > 0 {
                assert!(passed <= within / 2 + TURN, "{streams} within {within:?}: {left} left after {passed:?}");
                let told = due_now(left, passed, within);
                assert!(told > 0);
                most = most.max(told);
                left -= told.min(left);
                passed += TURN;
            }
            assert!(most <= 8.max(streams / 20), "{streams} within {within:?}: {most} in one turn");
        }
        assert_eq!(due_now(7, Duration::from_secs(60), Duration::from_secs(1)), 7, "none is forgotten at the end");
        assert_eq!(due_now(0, Duration::ZERO, Duration::from_secs(1)), 0);
    }

    #[tokio::test]
    async fn an_order_is_heard_however_early_it_was_given() {
        let (sender, mut orders) = watch::channel(Order::Serve);
        let leave = Leave { sockets: Fate::Stay, within: Duration::from_secs(1) };
        sender.send_replace(Order::Leave(leave));
        assert_eq!(told(&mut orders).await, leave);
        assert_eq!(told(&mut orders).await, leave, "and again, by whoever asks");
        let mut other = orders.clone();
        drop(sender);
        assert_eq!(told(&mut other).await, leave);
    }
}

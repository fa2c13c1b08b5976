//! The process that comes next, seen from itself: it waits for its turn.

use std::io::IsTerminal as _;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use super::channel::{self, Word};
use super::sockets::Found;
use super::systemd;
use crate::failure::Failure;

/// Set for a process that takes over from another: the number of that process. Its standard input is the channel.
pub(super) const TAKES_OVER: &str = "SEKIMORI_TAKES_OVER";
/// How long the other process may take to say something that is due at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to let go of the log: its drain, at most 600 s, and what follows.
const RELEASE_MAX: Duration = Duration::from_secs(900);

/// The turn of a process that takes over from another.
#[derive(Debug)]
pub struct Turn {
    channel: OwnedFd,
}

/// The sockets that were open before this process, and its turn where it takes over from another.
///
/// # Errors
/// The other process does not hand over as it should.
pub fn entered() -> Result<(Found, Option<Turn>), Failure> {
    if std::env::var_os(TAKES_OVER).is_none() {
        return Ok((systemd::found(), None));
    }
    let broken = |error: std::io::Error| Failure::unavailable(format!("nothing can be taken over: {error}"));
    let input = std::io::stdin();
    if input.is_terminal() {
        return Err(Failure::input(format!("`{TAKES_OVER}` is set by a running gateway alone; unset it")));
    }
    let channel = input.as_fd().try_clone_to_owned().map_err(broken)?;
    channel::hear_within(&channel, PATIENCE).map_err(broken)?;
    let mut sockets = Vec::new();
    loop {
        match channel::hear(&channel).map_err(broken)? {
            Some((Word::Sockets, several)) => sockets.extend(several.into_iter().map(TcpListener::from)),
            Some((Word::AllSockets, _)) => break,
            Some((word @ (Word::Ready | Word::Go | Word::Stay | Word::Serving), _)) => {
                return Err(Failure::unavailable(format!("nothing can be taken over: {word:?} came too early")));
            }
            None => return Err(Failure::unavailable("nothing can be taken over: the running gateway is gone")),
        }
    }
    Ok((Found::new(sockets), Some(Turn { channel })))
}

impl Turn {
    /// Says that everything is ready, and waits until the other process has let go of the log. One that is gone without
    /// a word has let go of it too.
    ///
    /// # Errors
    /// It goes on itself.
    pub fn come(&self) -> Result<(), Failure> {
        let broken = |error: std::io::Error| Failure::unavailable(format!("nothing can be taken over: {error}"));
        channel::hear_within(&self.channel, RELEASE_MAX).map_err(broken)?;
        channel::say(&self.channel, Word::Ready, &[]).map_err(broken)?;
        match channel::hear(&self.channel).map_err(broken)? {
            Some((Word::Go, _)) => Ok(()),
            None => {
                tracing::warn!("the gateway that ran is gone without handing over");
                Ok(())
            }
            Some((Word::Stay | Word::Sockets | Word::AllSockets | Word::Ready | Word::Serving, _)) => {
                Err(Failure::unavailable("the running gateway goes on itself"))
            }
        }
    }

    /// Says that this process accepts, and waits until the other is gone: only then is this one the service's main process.
    pub async fn taken(self) {
        let waiting = tokio::task::spawn_blocking(move || {
            channel::hear_within(&self.channel, PATIENCE)?;
            channel::say(&self.channel, Word::Serving, &[])?;
            channel::hear(&self.channel)
        });
        if let Err(error) = waiting.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            tracing::warn!(%error, "the gateway that ran was not seen to end");
        }
    }
}

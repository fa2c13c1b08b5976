//! The process that comes next, seen from the one that runs.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::channel::{self, TOGETHER_MAX, Word};
use super::sockets::Sockets;
use super::turn::TAKES_OVER;

/// How long the next process may take to read and open everything. This one serves meanwhile.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long it may take from the log's release until it accepts. Nobody serves meanwhile.
const SERVING_MAX: Duration = Duration::from_secs(60);

/// Where this program lies, and with which words it was started; learned at its start, because a package replaces the
/// file while it runs.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    words: Vec<OsString>,
}

impl Program {
    /// This program.
    ///
    /// # Errors
    /// The system does not say where it lies.
    pub fn own() -> io::Result<Self> {
        Ok(Self { path: std::env::current_exe()?, words: std::env::args_os().skip(1).collect() })
    }
}

/// The process that comes next. It is ended when dropped before it serves.
#[derive(Debug)]
pub struct Successor {
    process: Child,
    channel: UnixStream,
    /// It goes on by itself.
    is_free: bool,
}

impl Successor {
    /// Starts the program that lies at this one's place now, and gives it the sockets.
    ///
    /// # Errors
    /// It cannot be started; nothing changes.
    pub fn start(program: &Program, sockets: &Sockets) -> io::Result<Self> {
        let (channel, other) = channel::pair()?;
        let process = command(program).stdin(Stdio::from(other)).spawn()?;
        let successor = Self { process, channel, is_free: false };
        for several in sockets.all().chunks(TOGETHER_MAX) {
            channel::say(&successor.channel, Word::Sockets, several)?;
        }
        channel::say(&successor.channel, Word::AllSockets, &[])?;
        Ok(successor)
    }

    /// Waits until everything is read and opened there.
    ///
    /// # Errors
    /// In words; drop it then.
    pub async fn until_ready(&self) -> Result<(), String> {
        self.until(Word::Ready, READY_MAX).await
    }

    /// Tells it that the log is free, and waits until it accepts. Gives its process id; it goes on by itself from there,
    /// and is the service's main process once this is dropped.
    ///
    /// # Errors
    /// In words; drop it then, and serve again.
    pub async fn take_over(&mut self) -> Result<u32, String> {
        channel::say(&self.channel, Word::Go, &[]).map_err(|error| error.to_string())?;
        self.until(Word::Serving, SERVING_MAX).await?;
        self.is_free = true;
        Ok(self.process.id())
    }

    async fn until(&self, word: Word, within: Duration) -> Result<(), String> {
        match timeout(within, channel::heard(&self.channel)).await {
            Ok(Ok(Some(heard))) if heard == word => Ok(()),
            Ok(Ok(Some(heard))) => Err(format!("it said {heard:?} where {word:?} was due")),
            Ok(Ok(None)) => Err("it ended; what it says stands above".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it took longer than {} s", within.as_secs())),
        }
    }
}

/// What starts it.
fn command(program: &Program) -> Command {
    let mut command = Command::new(&program.path);
    command.args(&program.words).env(TAKES_OVER, std::process::id().to_string());
    // Those are this process's own. The next one is watched as well (`WATCHDOG_USEC` stays), by whatever number it gets.
    for own in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
        command.env_remove(own);
    }
    command
}

impl Drop for Successor {
    fn drop(&mut self) {
        if self.is_free {
            return;
        }
        // It may be gone already; then there is nobody to tell and nothing to end.
        drop(channel::say(&self.channel, Word::Stay, &[]));
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn the_next_process_is_watched_as_well_and_takes_nothing_that_was_given_to_this_one() {
        let command = command(&Program::own().unwrap());
        let changed = |name: &str| command.get_envs().find(|(key, _)| *key == OsStr::new(name)).map(|(_, value)| value);
        for own in ["WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
            assert_eq!(changed(own), Some(None), "{own} is of this process");
        }
        assert_eq!(changed("WATCHDOG_USEC"), None, "is handed down");
        assert!(changed(TAKES_OVER).flatten().is_some());
    }
}

//! Programs of others that the gateway runs: each in a group of its own, which is ended as a whole where it takes too long
//! or nobody waits for it any more. What it complains of is read to its end, and told in part.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long is waited for the rest of its complaint, and for the end of one that was killed: what hangs in the disk ends
/// when that does.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much of its complaint is told.
const COMPLAINT_BYTES_MAX: u64 = 1_024;

/// Why a program was of no use.
#[derive(Debug, thiserror::Error)]
pub enum ChildProblem {
    /// There is none, or it cannot be begun.
    #[error("cannot be run: {0}")]
    NotRun(#[source] io::Error),
    /// How it ends cannot be seen; it was ended.
    #[error("cannot be watched: {0}")]
    NotWatched(#[source] io::Error),
    /// It was ended.
    #[error("did not end within {} s", .0.as_secs())]
    Late(Duration),
    /// It said so itself.
    #[error("failed ({status}): {said}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The begin of its complaint.
        said: String,
    },
}

/// Runs a program to its end, which is an early one where it takes longer than this or is not wanted any more.
///
/// # Errors
/// [`ChildProblem`].
pub fn run(mut command: Command, within: Duration, is_unwanted: impl Fn() -> bool) -> Result<(), ChildProblem> {
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(ChildProblem::NotRun)?;
    let said = listen(&mut child);
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < within && !is_unwanted() => std::thread::sleep(LOOK),
            Ok(None) => {
                end(&mut child);
                return Err(ChildProblem::Late(within));
            }
            Err(error) => {
                end(&mut child);
                return Err(ChildProblem::NotWatched(error));
            }
        }
    };
    if status.success() {
        return Ok(());
    }
    // Whatever it left running may hold on to where it complained.
    let complaint = said.recv_timeout(PATIENCE).unwrap_or_default();
    Err(ChildProblem::Failed { status, said: String::from_utf8_lossy(&complaint).trim().to_owned() })
}

/// Reads what it complains of, beside and to its end: a program that says much would wait for ever, or be killed by what
/// nobody reads.
fn listen(child: &mut Child) -> mpsc::Receiver<Vec<u8>> {
    let (say, said) = mpsc::channel();
    if let Some(mut complains) = child.stderr.take() {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            // What cannot be read is not told; nobody may wait for it either.
            drop(complains.by_ref().take(COMPLAINT_BYTES_MAX).read_to_end(&mut text));
            drop(say.send(text));
            drop(io::copy(&mut complains, &mut io::sink()));
        });
    }
    said
}

/// Ends it, with all that it began.
fn end(child: &mut Child) {
    // It may have ended by itself meanwhile; nobody else has its number before it is waited for.
    kill_process_group(Pid::from_child(child), Signal::KILL).ok();
    let begun = Instant::now();
    while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_may_say_much_and_is_heard_where_it_fails() {
        let much = "echo begin >&2; i=0; while [ $i -lt 2000 ]; do echo 'what was done, and how, line by line' >&2; \
                    i=$((i+1)); done";
        run(shell(much), LONG, || false).unwrap();
        let told = run(shell(&format!("{much}; exit 3")), LONG, || false).unwrap_err().to_string();
        assert!(told.contains("exit status: 3") && told.contains("begin"), "{told}");
        assert!(told.len() < 2_000, "{}", told.len());
    }

    #[test]
    fn a_program_that_takes_too_long_or_is_not_wanted_is_ended_with_all_that_it_began() {
        for is_unwanted in [false, true] {
            let number = std::env::temp_dir().join(format!("sekimori-child-{}-{is_unwanted}", std::process::id()));
            let begun = AtomicBool::new(false);
            let unwanted = || {
                begun.fetch_or(number.exists(), Ordering::Relaxed);
                is_unwanted && begun.load(Ordering::Relaxed)
            };
            let within = if is_unwanted { LONG } else { Duration::from_secs(2) };
            // What it begins holds on to where it complains, and would outlive it.
            let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", number.display());
            let told = run(shell(&script), within, unwanted).unwrap_err();
            assert!(matches!(told, ChildProblem::Late(_)), "{told}");
            let begun_by_it = std::fs::read_to_string(&number).unwrap();
            let left = format!("/proc/{}/stat", begun_by_it.trim());
            let is_running = || std::fs::read_to_string(&left).is_ok_and(|stat| !stat.contains(") Z "));
            let begun = Instant::now();
            while is_running() {
                assert!(begun.elapsed() < LONG, "`sleep` goes on");
                std::thread::sleep(LOOK);
            }
            std::fs::remove_file(&number).unwrap();
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_told_apart() {
        let told = run(Command::new("/nowhere/pg_restore"), LONG, || false).unwrap_err();
        assert!(matches!(told, ChildProblem::NotRun(_)), "{told}");
    }
}

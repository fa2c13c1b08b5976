//! What is around the program: mounts that nobody else sees, a clock of its own, the first place among the processes of a
//! container, another file to be started from. So a disk can be filled to the last byte, a folder made read-only and the time
//! set back, without touching the machine that the tests run on.
//!
//! Mounts need a namespace: as root one of mounts alone, as anybody else one of a user of its own as well. Where a machine
//! forbids both, the tests that need one fail and say what to allow; none is skipped.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::sekimori;

/// The ways to a namespace of one's own, the plainer first.
const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
/// The ways to be the first process of a namespace, as in a container; whoever started it takes it along when ended.
const FIRST: [&[&str]; 2] =
    [&["--pid", "--fork", "--kill-child"], &["--user", "--map-root-user", "--pid", "--fork", "--kill-child"]];
/// How often a folder is made read-only before it is given up.
const READ_ONLY_TRIES: usize = 100;
/// By which the program is told another time (Debian's libfaketime).
const FAKE_TIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
const FAKE_TIME_ARM: &str = "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1";

/// What is around a hospital's program.
#[derive(Debug, Default)]
pub struct Surroundings {
    mounts: Option<Mounts>,
    /// The file that says how far off the clock is.
    clock: Option<PathBuf>,
    /// How it is made the first process of a namespace.
    first: Option<&'static [&'static str]>,
    /// The program's file, where it is a copy of its own.
    program: Option<PathBuf>,
    /// Whether it takes memory from the system in small pieces.
    is_frugal: bool,
}

/// A namespace of mounts; ends with this value.
#[derive(Debug)]
struct Mounts {
    holder: Child,
    way: &'static [&'static str],
}

impl Surroundings {
    /// With mounts of its own.
    #[must_use]
    pub fn with_mounts() -> Self {
        Self { mounts: Some(Mounts::new()), ..Self::default() }
    }

    /// With a clock of its own, set by this file; it is right at first.
    #[must_use]
    pub fn with_clock(file: &Path) -> Self {
        let surroundings = Self { clock: Some(file.to_owned()), ..Self::default() };
        surroundings.set_clock(0);
        surroundings
    }

    /// In which it takes memory from the system in pieces of 32 MiB and not of a gibibyte, so that it soon asks for more.
    #[must_use]
    pub fn with_small_pieces() -> Self {
        Self { is_frugal: true, ..Self::default() }
    }

    /// In which it is process 1, as it is in a container. The process that is started is its parent.
    #[must_use]
    pub fn as_process_one() -> Self {
        let way = FIRST.into_iter().find(|way| {
            let tried =
                Command::new("unshare").args(*way).arg("true").stdin(Stdio::null()).stderr(Stdio::null()).status();
            tried.expect("util-linux is installed").success()
        });
        let way = way.expect("processes of one's own: run as root, or allow user namespaces to everybody");
        Self { first: Some(way), ..Self::default() }
    }

    /// Has another file started from now on.
    pub(crate) fn take_program(&mut self, file: PathBuf) {
        self.program = Some(file);
    }

    /// Sets the clock of the program, running or not: so many seconds off from now on.
    pub fn set_clock(&self, seconds: i64) {
        let file = self.clock.as_ref().expect("it has a clock of its own");
        // Whole or not at all: the program reads it whenever it asks for the time.
        let beside = file.with_extension("new");
        std::fs::write(&beside, format!("{seconds:+}")).expect("the file can be written");
        std::fs::rename(&beside, file).expect("the file can be put in its place");
    }

    /// The program, to be run in a folder.
    pub(crate) fn program(&self, folder: &Path) -> Command {
        let mut command = self.command(folder, &self.program.clone().unwrap_or_else(sekimori));
        if let Some(clock) = &self.clock {
            let library = [FAKE_TIME, FAKE_TIME_ARM].into_iter().find(|one| Path::new(one).is_file());
            command
                .env("LD_PRELOAD", library.expect("libfaketime is installed: see tests/run"))
                .env("FAKETIME_TIMESTAMP_FILE", clock)
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        if self.is_frugal {
            // In KiB; the allocator's own setting.
            command.env("MIMALLOC_ARENA_RESERVE", "32768");
        }
        command
    }

    /// A command of the system, in a folder as it is seen from here.
    fn command(&self, folder: &Path, program: &Path) -> Command {
        let Some(mounts) = &self.mounts else {
            let mut command = match self.first {
                None => Command::new(program),
                Some(way) => {
                    let mut first = Command::new("unshare");
                    first.args(way).arg("--").arg(program);
                    first
                }
            };
            command.current_dir(folder);
            return command;
        };
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", mounts.holder.id()));
        command.args(mounts.way.iter().filter(|word| **word != "--map-root-user"));
        if mounts.way.contains(&"--user") {
            command.arg("--preserve-credentials");
        }
        // The folder is entered inside: from outside, what is mounted on it would not be seen.
        command.args(["--", "sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(folder).arg(program);
        command
    }

    /// Runs a command of the system that must succeed.
    fn must(&self, program: &str, words: &[&str]) {
        let output = self.try_to(program, words);
        assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn try_to(&self, program: &str, words: &[&str]) -> Output {
        let output = self.command(Path::new("/"), Path::new(program)).args(words).stdin(Stdio::null()).output();
        output.expect("the command is there")
    }

    /// Puts a small empty disk onto a folder.
    pub fn mount_disk(&self, folder: &Path, mebibytes: u32) {
        self.must("mount", &["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=700"), "tmpfs", text(folder)]);
    }

    /// Fills the disk of a folder to the last byte.
    pub fn fill(&self, folder: &Path) {
        // It ends when nothing more fits, which is what is wanted.
        let fill = "dd if=/dev/zero of=\"$0/ballast\" bs=64k 2>/dev/null; dd if=/dev/zero of=\"$0/ballast-rest\" bs=1 2>/dev/null; \
                    test \"$(df --output=avail -B1 \"$0\" | tail -1)\" -eq 0";
        self.must("sh", &["-c", fill, text(folder)]);
    }

    /// Makes room again.
    pub fn make_room(&self, folder: &Path) {
        self.must("sh", &["-c", "rm \"$0/ballast\" \"$0/ballast-rest\"", text(folder)]);
    }

    /// Makes a folder read-only: to root too, whom modes do not hold up.
    pub fn make_read_only(&self, folder: &Path) {
        self.must("mount", &["--bind", text(folder), text(folder)]);
        let words = ["-o", "remount,bind,ro", text(folder)];
        // Busy while somebody writes in it at that very moment.
        for _ in 0..READ_ONLY_TRIES {
            if self.try_to("mount", &words).status.success() {
                return;
            }
        }
        self.must("mount", &words);
    }

    /// Shows the program another file in the place of one of the system's.
    pub fn put_over(&self, own: &Path, place: &Path) {
        self.must("mount", &["--bind", text(own), text(place)]);
    }

    /// Takes that back.
    pub fn make_writable(&self, folder: &Path) {
        self.must("umount", &["--lazy", text(folder)]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a test's folder is a text")
}

impl Mounts {
    fn new() -> Self {
        let mut refused = String::new();
        for way in WAYS {
            // It says when it is there, and stays until it is killed.
            let mut holder = Command::new("unshare")
                .args(way)
                .args(["--propagation", "private", "--", "sh", "-c", "echo there && exec sleep infinity"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("util-linux is installed");
            let mut said = String::new();
            let out = holder.stdout.take().expect("its output is a pipe");
            // It may have ended by itself: then nothing is said.
            BufReader::new(out).read_line(&mut said).ok();
            if said == "there\n" {
                return Self { holder, way };
            }
            let ended = holder.wait_with_output().expect("a child that ended can be waited for");
            refused.push_str(&String::from_utf8_lossy(&ended.stderr));
        }
        panic!("no mounts of one's own: run as root, or allow user namespaces to everybody:\n{refused}");
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}

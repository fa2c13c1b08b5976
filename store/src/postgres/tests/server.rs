//! A real PostgreSQL server for one test, reached by a socket in its folder; and ways to it that can be cut.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::{Answer, Connector, Postgres, PostgresLogin, StoreProblem, Stream};

/// A server; ends with this value.
pub(super) struct Server {
    folder: PathBuf,
    process: Option<Child>,
}

impl Server {
    pub(super) fn start() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sekimori-pg-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        if is_root() {
            // The server refuses to run as root; its package has an account for it.
            assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
        }
        let mut server = Self { folder, process: None };
        let data = server.data();
        let words = ["-D", &data, "-U", "sekimori", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"];
        let made = program("initdb", &words).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.go_on();
        server
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    /// Starts it again.
    pub(super) fn go_on(&mut self) {
        let (data, folder) = (self.data(), self.folder.display().to_string());
        let sockets = format!("unix_socket_directories={folder}");
        let words = ["-D", &data, "-c", "listen_addresses=", "-c", &sockets, "-c", "fsync=off"];
        let process = program("postgres", &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.process = Some(process);
        let begin = Instant::now();
        while !self.psql("select 1").0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it, as its own scripts do.
    pub(super) fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // SIGINT is its fast shutdown.
        Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap();
        process.wait().unwrap();
    }

    /// Asks it beside the store.
    pub(super) fn psql(&self, sql: &str) -> (bool, String) {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-A", "-t", "-U", "sekimori", "-d", "postgres", "-c", sql]).arg("-h").arg(&self.folder);
        let output = psql.stdin(Stdio::null()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Cuts every connection of the store.
    pub(super) fn cut_all(&self) {
        let all = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'sekimori'";
        assert!(self.psql(all).0);
    }

    pub(super) fn way(&self) -> Arc<Wire> {
        let socket = self.folder.join(".s.PGSQL.5432");
        Arc::new(Wire { socket, cut_at_commit: Arc::default() })
    }

    pub(super) fn open(&self) -> Result<Postgres, StoreProblem> {
        Postgres::open(self.way(), login())
    }

    pub(super) fn open_alone(&self) -> Result<Postgres, StoreProblem> {
        Postgres::open_alone(self.way(), login())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

pub(super) fn login() -> PostgresLogin {
    let (database, user) = ("postgres".to_owned(), "sekimori".to_owned());
    PostgresLogin { database, user, password: None, connections: 4 }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

/// A program of the newest server that is installed.
fn program(name: &str, words: &[&str]) -> Command {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.sort();
    let program = found.pop().expect("PostgreSQL is installed: see tests/run");
    let mut command = match is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        }
        false => Command::new(program),
    };
    command.args(words).current_dir("/").stdin(Stdio::null());
    command
}

/// The way to a server.
#[derive(Debug)]
pub(super) struct Wire {
    socket: PathBuf,
    /// Whether the next `commit` is sent and its answer lost.
    pub(super) cut_at_commit: Arc<AtomicBool>,
}

impl Connector for Wire {
    fn connect(&self) -> Answer<'_, Box<dyn Stream>> {
        Box::pin(async move {
            let stream = UnixStream::connect(&self.socket).await;
            let stream = stream.map_err(|error| StoreProblem::Unavailable(error.to_string()))?;
            let cut_at_commit = Arc::clone(&self.cut_at_commit);
            Ok(Box::new(Cut { stream, cut_at_commit, is_cut: false }) as Box<dyn Stream>)
        })
    }
}

struct Cut {
    stream: UnixStream,
    cut_at_commit: Arc<AtomicBool>,
    is_cut: bool,
}

impl AsyncRead for Cut {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if self.is_cut {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cut {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let is_commit = buf.windows(7).any(|window| window == b"commit\0");
        if is_commit && self.cut_at_commit.swap(false, Ordering::SeqCst) {
            self.is_cut = true;
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

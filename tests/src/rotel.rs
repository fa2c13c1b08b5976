//! A real collector: Rotel, which reads OTLP by the protocol's own definitions and writes down what it took.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Folder, Loopback};

const HTTP_PORT: u16 = 4_318;
const GRPC_PORT: u16 = 4_317;

/// A running one; ends with this value.
#[derive(Debug)]
pub struct Rotel {
    process: Child,
    address: SocketAddr,
    folder: Folder,
    _place: Loopback,
}

impl Default for Rotel {
    fn default() -> Self {
        Self::open()
    }
}

impl Rotel {
    /// Starts one that takes traces and logs, and hands them to nobody.
    #[must_use]
    pub fn open() -> Self {
        let folder = Folder::new();
        let place = Loopback::take();
        let [address, grpc] = [HTTP_PORT, GRPC_PORT].map(|port| place.port(port));
        let out = File::create(folder.join("out")).expect("its folder is there");
        let process = Command::new(program())
            .args(["start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"])
            .args(["--debug-log", "traces", "--debug-log", "logs"])
            .args(["--otlp-http-endpoint", &address.to_string(), "--otlp-grpc-endpoint", &grpc.to_string()])
            .arg("--pid-file")
            .arg(folder.join("pid"))
            .arg("--log-file")
            .arg(folder.join("log"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stderr(out.try_clone().expect("a file can be shared"))
            .stdout(out)
            .spawn()
            .expect("what tests/collector needs is installed: see tests/run");
        Self { process, address, folder, _place: place }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it wrote down so far: everything it took, and what it could not read.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = std::fs::read(self.folder.join("out")).expect("it is written to");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Where its package has it: in the folder of one Python or another.
fn program() -> PathBuf {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("collector/venv/lib");
    let pythons = std::fs::read_dir(&library).into_iter().flatten().flatten();
    let found = pythons.map(|python| python.path().join("site-packages/rotel/rotel-agent")).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{} has no rotel: see tests/run", library.display()))
}

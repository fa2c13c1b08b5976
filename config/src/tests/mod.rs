//! What a whole configuration means, and what is said about one that is wrong.

mod acme;
mod between;
mod exceptions;
mod expect;
mod feed;
mod files;
mod golden;
mod mistakes;
mod nodes;
mod notice;
mod patients;
mod sections;
mod statements;
mod store;
mod tcp_app;
mod telemetry;
mod templates;
mod terminal;
mod words;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Config, Problem, Problems, parse};

/// A folder of its own for one test, with the certificate files that configurations name; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sekimori-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        folder.file("tls/chain.pem", "certificate", 0o644);
        folder.file("tls/key.pem", "key", 0o600);
        folder
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn parse(&self, text: &str) -> Result<Config, Problems> {
        parse(text, "sekimori.toml", &self.0)
    }

    /// What is said about a configuration, with this folder's path left out.
    fn said(&self, text: &str) -> Vec<String> {
        let folder = format!("{}/", self.0.display());
        let problems = self.parse(text).err().map_or_else(Vec::new, |problems| problems.0);
        problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// A sound configuration, as short as one can be: a gateway with its first app, in twenty lines.
const SHORT: &str = r#"facility.name = "さくらクリニック"
gateway = { login_host = "login.sakura.example", portal_host = "portal.sakura.example" }
listener = [{ address = "0.0.0.0:443", zone = "inside" }]
certificate = [{ certificate = "tls/chain.pem", key = "tls/key.pem" }]
roles = { nurse = "看護師" }
[[provider]]
id = "idp"
issuer = "https://idp.sakura.example"
client_id = "sekimori"
roles_claim = "groups"
roles = { nurses = "nurse" }
[[app]]
id = "emr"
host = "emr.sakura.example"
upstreams = ["http://10.0.0.5:8080"]
[[rule]]
id = "nurses-use-emr"
roles = ["nurse"]
apps = ["emr"]
actions = ["read", "write"]
"#;

/// The short configuration with one text replaced, which must be there.
fn short_with(from: &str, to: &str) -> String {
    assert!(SHORT.contains(from), "{from}");
    SHORT.replace(from, to)
}

/// The short configuration with lines at its end, which belong to the rule or begin a section.
fn short_and(more: &str) -> String {
    format!("{SHORT}{more}\n")
}

/// The one problem of a configuration.
fn only_problem(text: &str) -> Problem {
    let problems = Folder::new().parse(text).err().map_or_else(Vec::new, |problems| problems.0);
    match <[Problem; 1]>::try_from(problems) {
        Ok([problem]) => problem,
        Err(problems) => panic!("not one problem but {}:\n{}", problems.len(), Problems(problems)),
    }
}

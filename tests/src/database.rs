//! A real PostgreSQL server for the gateway's store: with a password and TLS, stopped and started as a test wants.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{DatabasePlace, StoreKind};
use store::{Answer, Connector, Postgres, PostgresLogin, Sqlite, Store, StoreProblem, Stream};
use tokio::net::TcpStream;

use crate::connector::{as_its_account, free_address, is_root, output, postgres, run};
use crate::session::STORE_FILE;
use crate::{Folder, Hospital, Plan, make_private};

/// The name in its certificate.
const NAME: &str = "db.hospital.test";
/// Its password, and the file of the hospital that holds it.
const PASSWORD: &str = "a test's own";
pub(crate) const PASSWORD_FILE: &str = "database-password";

/// A server; ends with this value.
#[derive(Debug)]
pub struct Database {
    folder: Folder,
    address: SocketAddr,
    process: Option<Child>,
}

impl Database {
    /// Makes an empty one, not started yet.
    #[must_use]
    pub fn build() -> Self {
        let (folder, address) = (Folder::new(), free_address());
        let (data, password) = (folder.join("data").display().to_string(), folder.join("password"));
        std::fs::write(&password, PASSWORD).expect("the password can be written");
        if is_root() {
            // The server refuses to run as root; its package has an account for it.
            run("chown", &["-R", "postgres", &folder.path().display().to_string()]);
        }
        let password = format!("--pwfile={}", password.display());
        let words = ["-D", &data, "-U", "sekimori", "-A", "scram-sha-256", &password, "-E", "UTF8", "--no-sync"];
        let made = output(as_its_account(&postgres("initdb"), &words));
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        Self { folder, address, process: None }
    }

    /// The plan of a hospital that keeps its store in it.
    #[must_use]
    pub fn in_plan(&self, plan: Plan) -> Plan {
        plan.set("store", "kind = \"postgres\"")
            .set("store", &format!("address = \"{}\"", self.address))
            .set("store", "database = \"postgres\"")
            .set("store", &format!("password_file = \"{PASSWORD_FILE}\""))
            .set("store", "ca_file = \"ca.pem\"")
            .set("store", &format!("server_name = \"{NAME}\""))
    }

    /// Starts it for a hospital, which signs its certificate and knows its password.
    pub fn start_for(&mut self, hospital: &Hospital) {
        let files = hospital.authority().issue(self.folder.path(), "server", &[NAME]);
        make_private(&files.key);
        if is_root() {
            run("chown", &["postgres", &files.key.display().to_string(), &files.certificate.display().to_string()]);
        }
        hospital.folder().write(PASSWORD_FILE, PASSWORD);
        make_private(&hospital.folder().join(PASSWORD_FILE));
        self.start();
    }

    /// Starts it, again.
    pub fn start(&mut self) {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let port = self.address.port().to_string();
        let (certificate, key) = (path("server.pem"), path("server.key"));
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "ssl=on",
            &format!("ssl_cert_file={certificate}"),
            &format!("ssl_key_file={key}"),
        ]
        .map(|setting| ["-c".to_owned(), setting.to_owned()]);
        let data = path("data");
        let mut words = vec!["-D", &data, "-p", &port];
        words.extend(settings.iter().flatten().map(String::as_str));
        let mut server = as_its_account(&postgres("postgres"), &words);
        let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the server starts");
        self.process = Some(process);
        let begin = Instant::now();
        while !self.ask("select 1").0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it; everybody who is connected is cut off.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // SIGINT is its fast shutdown.
        run("kill", &["-INT", &process.id().to_string()]);
        process.wait().expect("the server ends");
    }

    /// Asks it beside the gateway: whether it went well, and what it said.
    #[must_use]
    pub fn ask(&self, sql: &str) -> (bool, String) {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-A", "-t", "-U", "sekimori", "-d", "postgres", "-h", &self.address.ip().to_string()])
            .args(["-p", &self.address.port().to_string(), "-c", sql])
            .env("PGPASSWORD", PASSWORD)
            .stdin(Stdio::null());
        let said = output(psql);
        (said.status.success(), String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    /// Writes its own dump into a file.
    ///
    /// # Panics
    /// Where that fails.
    pub fn dump(&self, file: &Path) {
        let mut dump = Command::new("pg_dump");
        dump.args(["--format=custom", "-U", "sekimori", "-d", "postgres", "-h", &self.address.ip().to_string()])
            .args(["-p", &self.address.port().to_string(), "--file"])
            .arg(file)
            .env("PGPASSWORD", PASSWORD)
            .stdin(Stdio::null());
        let said = output(dump);
        assert!(said.status.success(), "pg_dump: {}", String::from_utf8_lossy(&said.stderr));
    }

    /// Cuts every connection of the store.
    pub fn cut_all(&self) {
        let all = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'sekimori'";
        assert!(self.ask(all).0, "the server ends connections");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The store of a hospital, as its configuration names it, opened beside the gateway.
pub(crate) fn store_of(hospital: &Hospital) -> Arc<dyn Store> {
    let file: PathBuf = hospital.folder().join("sekimori.toml");
    let kind = config::read(&file).map(|config| config.store.kind);
    let Ok(StoreKind::Postgres(kept_in)) = kind else {
        return Arc::new(Sqlite::open(hospital.folder().join(STORE_FILE)).expect("the gateway's store opens"));
    };
    let DatabasePlace::Host { host, port, .. } = &kept_in.place else { panic!("a test's database has a port") };
    let address = SocketAddr::new(host.parse().expect("a test's database is on this machine"), *port);
    let login = PostgresLogin {
        database: kept_in.name.clone(),
        user: kept_in.user.clone(),
        password: kept_in.password.clone(),
        connections: 3,
    };
    Arc::new(Postgres::open(Arc::new(Plain(address)), login).expect("the gateway's store opens"))
}

/// The way to a server of this machine.
#[derive(Debug)]
struct Plain(SocketAddr);

impl Connector for Plain {
    fn connect(&self) -> Answer<'_, Box<dyn Stream>> {
        Box::pin(async move {
            let stream = TcpStream::connect(self.0).await;
            Ok(Box::new(stream.map_err(|error| StoreProblem::Unavailable(error.to_string()))?) as Box<dyn Stream>)
        })
    }
}

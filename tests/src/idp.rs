//! A real OpenID provider: `oidc-provider` on Node.js (see `tests/idp`), with a certificate of the test's CA.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::authority::make_private;
use crate::hospital::{PORT, host_name};
use crate::{Ask, Authority, Caller, Folder};

/// The provider's name in the gateway's settings.
const PROVIDER: &str = "staff";
const CLIENT: &str = "sekimori";
const SECRET: &str = "a-secret-that-only-the-two-of-them-know";

/// A running provider; ends with this value.
#[derive(Debug)]
pub struct Idp {
    process: Child,
    issuer: String,
    wanted: Value,
}

impl Idp {
    /// Starts one that knows the gateway of the hospital.
    #[must_use]
    pub fn start(folder: &Folder, authority: &Authority, gateway: SocketAddr) -> Self {
        let files = authority.issue(folder.path(), "idp", &["localhost"]);
        secret_file(folder);
        let login = format!("https://{}:{PORT}", host_name("login"));
        let wanted = json!({
            "certificate": files.certificate,
            "key": files.key,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "redirect_uris": [format!("{login}/callback/{PROVIDER}")],
            "post_logout_redirect_uris": [format!("{login}/signed-out")],
            "backchannel_logout_uri": format!("{login}/backchannel-logout/{PROVIDER}"),
            "gateway": gateway.ip().to_string(),
            "ca": folder.join("ca.pem"),
            "jwk": folder.join("idp.jwk"),
            "port": 0,
        });
        let (process, issuer) = begin(&wanted);
        Self { process, issuer, wanted }
    }

    /// Starts it again where it was, with the keys it had.
    pub fn start_again(&mut self) {
        self.wanted["port"] = self.address().port().into();
        let (process, issuer) = begin(&self.wanted);
        assert_eq!(issuer, self.issuer);
        self.process = process;
    }

    /// Its issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

fn begin(wanted: &Value) -> (Child, String) {
    let program = program();
    let mut process = Command::new("node")
        .arg(&program)
        .arg(wanted.to_string())
        .env("NODE_NO_WARNINGS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Node.js is installed: see tests/run");
    let mut line = String::new();
    let output = process.stdout.take().expect("the output was asked for");
    BufReader::new(output).read_line(&mut line).expect("the provider's output can be read");
    let issuer = line.trim().strip_prefix("issuer ").map(str::to_owned);
    (process, issuer.expect("the provider starts: see tests/run"))
}

impl Idp {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let port = self.issuer.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        SocketAddr::from(([127, 0, 0, 1], port.expect("an issuer has a port")))
    }

    /// Has it sign whatever a test wants signed, right or wrong.
    pub async fn sign(&self, caller: &Caller, header: &Value, claims: &Value) -> String {
        let ask = Ask::post("localhost", "/test/sign", json!({ "header": header, "claims": claims }).to_string());
        caller.at(self.address()).ask(ask).await.expect(200).text()
    }

    /// From now on its ID tokens tell this lie; see `tests/idp/index.mjs`. `null` for the truth.
    pub async fn lie(&self, caller: &Caller, lie: &Value) {
        let ask = Ask::post("localhost", "/test/lie", lie.to_string());
        caller.at(self.address()).ask(ask).await.expect(200);
    }

    /// Somebody moves: the provider tells these groups of them from now on.
    pub async fn move_person(&self, caller: &Caller, login: &str, groups: &[&str]) {
        self.change(caller, &json!({ "login": login, "groups": groups })).await;
    }

    /// Somebody leaves: the provider knows them no more.
    pub async fn dismiss(&self, caller: &Caller, login: &str) {
        self.change(caller, &json!({ "login": login, "groups": null })).await;
    }

    async fn change(&self, caller: &Caller, change: &Value) {
        let ask = Ask::post("localhost", "/test/account", change.to_string());
        caller.at(self.address()).ask(ask).await.expect(200);
    }

    /// The gateway's settings for it, with further keys.
    #[must_use]
    pub fn settings(&self, more: &str) -> String {
        settings(&self.issuer).replacen("\n\n", &format!("\n{more}\n\n"), 1)
    }

    /// Stops it, as when the provider is down.
    pub fn stop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Settings for a provider at this issuer.
#[must_use]
pub fn settings(issuer: &str) -> String {
    format!(
        r#"[[provider]]
id = "{PROVIDER}"
name = {{ ja = "職員", en = "Staff" }}
issuer = "{issuer}"
client_id = "{CLIENT}"
client_secret_file = "client.secret"
scopes = ["profile", "groups"]
roles_claim = "groups"
ca_file = "ca.pem"

[provider.roles]
"ward-nurses" = "nurse"
"doctors" = "doctor"
"clerks" = "clerk"
"pharmacists" = "pharmacist"
"vendors" = "vendor"

[provider.assurance]
mfa = "aal2""#
    )
}

/// Writes the secret that the settings name.
pub fn secret_file(folder: &Folder) -> PathBuf {
    let file = folder.write("client.secret", SECRET);
    make_private(&file);
    file
}

fn program() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("idp");
    assert!(folder.join("node_modules/oidc-provider").is_dir(), "run `npm ci` in {} first", folder.display());
    folder.join("index.mjs")
}

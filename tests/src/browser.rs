//! A real browser: headless Chromium, driven through ChromeDriver by W3C WebDriver.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use x509_parser::parse_x509_certificate;

use crate::carrier::carry;
use crate::{Answer, Device, Folder, Hospital, eventually, full, within};

/// How an element is named on the wire.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(60);
const DRIVER_STARTS_MAX: usize = 5;
/// For a closed network, as root, without anything the test did not ask for.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1000,800",
];

/// One browser with one window.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: Folder,
}

impl Browser {
    /// Opens a browser that finds the hospital's hosts and trusts its certificates, in a language such as `ja`.
    pub async fn open(hospital: &Hospital, language: &str) -> Self {
        Self::open_at(hospital, language, &hospital.address().ip().to_string()).await
    }

    /// The same on a device of the ledger.
    pub async fn open_on(hospital: &Hospital, language: &str, device: &Device) -> Self {
        Self::open_at(hospital, language, &carry(hospital, device).to_string()).await
    }

    async fn open_at(hospital: &Hospital, language: &str, place: &str) -> Self {
        let profile = Folder::new();
        let (driver, address) = start_driver(&profile);
        let trusted: Vec<String> = ["wild.pem", "annex.pem", "idp.pem"]
            .iter()
            .map(|name| hospital.folder().join(name))
            .filter(|file| file.exists())
            .map(|file| key_digest(&file))
            .collect();
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.join("profile").display()));
        flags.push(format!("--host-resolver-rules=MAP *.hospital.test {place}"));
        flags.push(format!("--ignore-certificate-errors-spki-list={}", trusted.join(",")));
        flags.push(format!("--lang={language}"));
        let options = json!({ "args": flags, "prefs": { "intl.accept_languages": language } });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "pageLoadStrategy": "normal",
        } } });
        let mut browser = Self { driver, address, session: String::new(), profile };
        let told = browser.call("POST", "/session", &wanted).await;
        browser.session = told["sessionId"].as_str().expect("a session begins").to_owned();
        browser
    }

    /// Opens an address, as typed.
    pub async fn go(&self, url: &str) {
        self.post("url", &json!({ "url": url })).await;
    }

    /// The address of the page shown.
    pub async fn url(&self) -> String {
        self.get("url").await.as_str().expect("an address is text").to_owned()
    }

    /// Waits until the address begins so.
    pub async fn arrives_at(&self, start: &str) {
        eventually(&format!("the browser arrives at {start}"), async || {
            self.url().await.starts_with(start).then_some(())
        })
        .await;
    }

    /// The text of the page as a person sees it.
    pub async fn text(&self) -> String {
        self.script("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits for an element and gives its handle.
    pub async fn find(&self, css: &str) -> String {
        let query = json!({ "using": "css selector", "value": css });
        eventually(&format!("{css} on the page"), async || {
            let found = self.post("elements", &query).await;
            found.as_array().and_then(|all| all.first()).and_then(|one| one[ELEMENT].as_str()).map(str::to_owned)
        })
        .await
    }

    /// Clicks on an element.
    pub async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.post(&format!("element/{element}/click"), &json!({})).await;
    }

    /// Types into an element.
    pub async fn fill(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        self.post(&format!("element/{element}/value"), &json!({ "text": text })).await;
    }

    /// Waits until the page says this.
    pub async fn says(&self, words: &str) {
        eventually(&format!("the page says {words}"), async || self.text().await.contains(words).then_some(())).await;
    }

    /// Plugs in a security key that verifies its owner (W3C Web Authentication section 11); gives its name.
    pub async fn plug_in_key(&self) -> String {
        let wanted = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserVerified": true, "isUserConsenting": true,
        });
        let told = self.post("webauthn/authenticator", &wanted).await;
        told.as_str().expect("an authenticator has a name").to_owned()
    }

    /// From now on the key's owner proves, or fails to prove, who they are.
    pub async fn verify_at_key(&self, key: &str, is_verified: bool) {
        self.post(&format!("webauthn/authenticator/{key}/uv"), &json!({ "isUserVerified": is_verified })).await;
    }

    /// Unplugs a key and keeps what it holds, until it is plugged in again.
    pub async fn take_key(&self, key: &str) -> Value {
        let held = self.get(&format!("webauthn/authenticator/{key}/credentials")).await;
        self.unplug(key).await;
        held
    }

    /// Plugs in a key that was taken; gives its name.
    pub async fn give_back_key(&self, held: &Value) -> String {
        let key = self.plug_in_key().await;
        for passkey in held.as_array().into_iter().flatten() {
            self.post(&format!("webauthn/authenticator/{key}/credential"), passkey).await;
        }
        key
    }

    /// Unplugs a key.
    pub async fn unplug(&self, key: &str) {
        self.call("DELETE", &format!("/session/{}/webauthn/authenticator/{key}", self.session), &Value::Null).await;
    }

    /// How many passkeys a key holds.
    pub async fn passkeys_at(&self, key: &str) -> usize {
        self.get(&format!("webauthn/authenticator/{key}/credentials")).await.as_array().map_or(0, Vec::len)
    }

    /// Gives the page the size of a tablet held upright.
    pub async fn as_tablet(&self) {
        let metrics = json!({ "width": 768, "height": 1024, "deviceScaleFactor": 1, "mobile": true });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.post("goog/cdp/execute", &command).await;
    }

    /// Forgets every cookie.
    pub async fn forget(&self) {
        let command = json!({ "cmd": "Network.clearBrowserCookies", "params": {} });
        self.post("goog/cdp/execute", &command).await;
    }

    /// Runs a script that has an answer later, with one argument.
    pub async fn later(&self, script: &str, argument: &str) -> Value {
        self.post("execute/async", &json!({ "script": script, "args": [argument] })).await
    }

    /// Presses keys as a person does, wherever the focus is.
    pub async fn press(&self, key: char) {
        let presses =
            json!([{ "type": "keyDown", "value": key.to_string() }, { "type": "keyUp", "value": key.to_string() }]);
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": presses }] });
        self.post("actions", &actions).await;
    }

    /// Runs a script in the page and gives what it returns.
    pub async fn script(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Opens a new tab and goes there; gives its handle.
    pub async fn new_tab(&self) -> String {
        let told = self.post("window/new", &json!({ "type": "tab" })).await;
        let handle = told["handle"].as_str().expect("a tab has a handle").to_owned();
        self.switch_to(&handle).await;
        handle
    }

    /// The handle of the tab shown.
    pub async fn tab(&self) -> String {
        self.get("window").await.as_str().expect("a tab has a handle").to_owned()
    }

    /// The handles of all tabs.
    pub async fn tabs(&self) -> Vec<String> {
        let told = self.get("window/handles").await;
        told.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    }

    /// Shows another tab.
    pub async fn switch_to(&self, handle: &str) {
        self.post("window", &json!({ "handle": handle })).await;
    }

    /// Gives the page the width of a phone.
    pub async fn narrow_to(&self, width: u32) {
        let metrics = json!({ "width": width, "height": 740, "deviceScaleFactor": 1, "mobile": true });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.post("goog/cdp/execute", &command).await;
    }

    /// Lets downloads fall into a folder of its own, and gives it.
    pub async fn downloads(&self) -> PathBuf {
        let folder = self.profile.join("downloads");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let params = json!({ "behavior": "allow", "downloadPath": folder.display().to_string() });
        self.post("goog/cdp/execute", &json!({ "cmd": "Browser.setDownloadBehavior", "params": params })).await;
        folder
    }

    /// A picture of the page, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let told = self.get("screenshot").await;
        STANDARD.decode(told.as_str().expect("a picture is text")).expect("a picture is base64")
    }

    async fn get(&self, what: &str) -> Value {
        self.call("GET", &format!("/session/{}/{what}", self.session), &Value::Null).await
    }

    async fn post(&self, what: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}/{what}", self.session), body).await
    }

    async fn call(&self, method: &str, target: &str, body: &Value) -> Value {
        let stream = TcpStream::connect(self.address).await.expect("ChromeDriver accepts");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1 begins");
        tokio::spawn(connection);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(target).header("host", self.address.to_string());
        let request = request.body(full(body)).expect("a call is a request");
        let response = within(PATIENCE, "ChromeDriver's answer", sender.send_request(request));
        let response = response.await.expect("ChromeDriver answers");
        let answer = Answer::read(response).await.expect("ChromeDriver's answer has an end");
        let told = answer.json();
        assert_eq!(answer.status, 200, "{method} {target}: {told}");
        told["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // ChromeDriver ends its browser when it is asked to; killed, it would leave it running.
        let address = self.address;
        let target =
            format!("DELETE /session/{} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n", self.session);
        if let Ok(mut stream) = std::net::TcpStream::connect(address) {
            use std::io::{Read, Write};
            stream.set_read_timeout(Some(PATIENCE)).ok();
            stream.write_all(target.as_bytes()).ok();
            // The first bytes say that it is done; ChromeDriver keeps the connection open.
            stream.read_exact(&mut [0; 12]).ok();
        }
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}

/// Starts ChromeDriver on a free port. Where another program takes that port first, it ends, and is started again.
fn start_driver(profile: &Folder) -> (Child, SocketAddr) {
    let started = (0..DRIVER_STARTS_MAX).find_map(|_| try_start_driver(profile));
    started.expect("ChromeDriver says its port")
}

fn try_start_driver(profile: &Folder) -> Option<(Child, SocketAddr)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .env("TMPDIR", profile.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("ChromeDriver is installed: see tests/run");
    let output = driver.stdout.take().expect("the output was asked for");
    let port = BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split("started successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok());
    if port.is_none() {
        driver.kill().ok();
        driver.wait().ok();
    }
    Some((driver, SocketAddr::from(([127, 0, 0, 1], port?))))
}

/// SHA-256 of the public key of a certificate, as Chromium names keys.
fn key_digest(file: &Path) -> String {
    let certificate = CertificateDer::from_pem_file(file).expect("the certificate can be read");
    let (_, parsed) = parse_x509_certificate(&certificate).expect("the certificate is a certificate");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, parsed.tbs_certificate.subject_pki.raw);
    STANDARD.encode(digest)
}

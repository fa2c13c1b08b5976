//! What tests stand on: a site with a real store, real sessions, a real log and a small real provider, and a browser
//! that keeps cookies as browsers do.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use audit::Log;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use config::Config;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use identity::{
    Assertions, Devices, FetchProblem, HandOffs, Oidc, Outage, Passkeys, People, PostureDesk, RelyingParty, Sessions,
};
use policy::{
    AppId, Challenge, Clock, Device, DeviceClass, DeviceId, Fingerprint, From, Host, Method, Path, Reason, Reasons,
    RequestId, RuleId, Timestamp, ZoneId,
};
use serde_json::json;
use store::{CertificateIssuer, CertificateRecord, DeviceRecord, Sqlite, Store};
use url::{Url, form_urlencoded};

use crate::{
    CertificateProblem, Challenged, DeviceCertificates, DeviceFile, DeviceForm, HostKind, PageRequest, SignedRequest,
    Site, SiteParts, route, session_token,
};

pub(crate) const LOGIN: &str = "login.hosp.example";
pub(crate) const PORTAL: &str = "portal.hosp.example";
pub(crate) const CONSOLE: &str = "console.hosp.example";
pub(crate) const EMR: &str = "emr.hosp.example";
pub(crate) const PACS: &str = "pacs.hosp.example";
/// 2026-11-22 10:05 in Japan.
const START: i64 = 1_795_309_500_000_000;

/// A whole site, its parts, and the clock.
pub(crate) struct Hospital {
    pub(crate) site: Site,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) provider: Arc<FakeProvider>,
    pub(crate) log: Log,
    /// Goes away with the hospital.
    _folder: Folder,
    clock: Arc<AtomicI64>,
}

/// A folder that goes away with its test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

fn folder() -> Folder {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("sekimori-web-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    fs::create_dir_all(&path).unwrap();
    Folder(path)
}

/// A provider's table in the configuration.
fn provider_table(id: &str, ja: &str, en: &str, more: &str) -> String {
    format!(
        "[[provider]]\nid = \"{id}\"\nname = {{ ja = \"{ja}\", en = \"{en}\" }}\nissuer = \"https://{id}.example\"\n\
         client_id = \"sekimori\"\nroles_claim = \"groups\"\n{more}[provider.roles]\nnurses = \"nurse\"\n\
         [provider.assurance]\nmfa = \"aal2\"\n\n"
    )
}

/// What a test adds to the configuration: to `[gateway]`, and to `[roles]` with the tables after it.
#[derive(Default)]
struct Extra {
    gateway: String,
    roles: String,
    /// To the first provider.
    provider: String,
}

fn config(folder: &Folder, providers: usize, extra: &Extra) -> Config {
    let providers: String = [
        provider_table("city", "市立病院アカウント", "City Hospital account", &extra.provider),
        provider_table("vendor-idp", "業者アカウント", "Vendor account", ""),
    ]
    .into_iter()
    .take(providers)
    .collect();
    let app = |id: &str, ja: &str, en: &str| {
        format!(
            "[[app]]\nid = \"{id}\"\nname = {{ ja = \"{ja}\", en = \"{en}\" }}\nhost = \"{id}.hosp.example\"\n\
             upstreams = [\"http://127.0.0.1:9\"]\n\n"
        )
    };
    let apps = app("emr", "電子カルテ", "Medical records")
        + &app("pacs", "画像参照 (PACS)", "Images (PACS)")
        + &app("lab", "検査結果", "Lab results")
        + &app("receipt", "医事会計・レセプト", "Billing");
    let text = format!(
        "[facility]\nname = \"さくら総合病院\"\n\n[gateway]\nstate_dir = \"state\"\nlogin_host = \"{LOGIN}\"\n\
         portal_host = \"{PORTAL}\"\n{}\n[[listener]]\naddress = \"127.0.0.1:8443\"\nzone = \"inside\"\n\n\
         [[certificate]]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\n[roles]\n\
         nurse = {{ ja = \"看護師\", en = \"Nurse\" }}\n{}\n{providers}{apps}[[rule]]\nid = \"nurses\"\neffect = \"permit\"\n\
         roles = [\"nurse\"]\napps = [\"emr\", \"pacs\"]\nactions = [\"read\"]\ndevices = \"known\"\n",
        extra.gateway, extra.roles
    );
    for file in ["cert.pem", "key.pem"] {
        fs::write(folder.0.join(file), "not read here").unwrap();
    }
    fs::write(folder.0.join("token"), "a-token-of-the-mdm-that-is-long-enough").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for file in ["key.pem", "token"] {
            fs::set_permissions(folder.0.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    config::parse(&text, "sekimori.toml", &folder.0).unwrap_or_else(|problems| panic!("{problems}"))
}

impl Hospital {
    pub(crate) async fn open() -> Self {
        Self::with_providers(1).await
    }

    pub(crate) async fn with_providers(count: usize) -> Self {
        Self::with(count, &Extra::default()).await
    }

    /// With a console, its roles, and people whom the gateway itself knows.
    pub(crate) async fn with_console() -> Self {
        let gateway = format!("console_host = \"{CONSOLE}\"\n");
        let role = |id: &str| format!("{id} = {{ ja = \"{id}\", en = \"{id}\" }}\n");
        let roles = ["administrator", "help-desk", "auditor"].map(role).concat();
        let roles = roles
            + "[console]\nadministrators = [\"administrator\"]\nhelp_desk = [\"help-desk\"]\n\
               auditors = [\"auditor\"]\n\n[directory]\nlocal = true\n";
        Self::with(1, &Extra { gateway, roles, ..Extra::default() }).await
    }

    /// With people whom the gateway itself knows, and more tables and lines for the first provider.
    pub(crate) async fn with_keys(tables: &str, provider: &str) -> Self {
        let roles = format!("[directory]\nlocal = true\n\n{tables}\n");
        Self::with(1, &Extra { roles, provider: provider.to_owned(), ..Extra::default() }).await
    }

    async fn with(count: usize, extra: &Extra) -> Self {
        let folder = folder();
        let config = Arc::new(config(&folder, count, extra));
        let clock = Arc::new(AtomicI64::new(START));
        let told = clock.clone();
        let clock_arg = Clock::new(move || Timestamp::from_unix_micros(told.load(Ordering::SeqCst)));
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
        store.add_device(ward_terminal_record(), "test".to_owned()).await.unwrap();
        let devices = Arc::new(Devices::load(store.clone()).await.unwrap());
        let sessions = Arc::new(Sessions::new(store.clone(), devices.clone(), config.sessions.clone()));
        let provider = Arc::new(FakeProvider::new(clock_arg.clone()));
        let outage = Outage::load(store.clone(), &config.providers, config.outage).await.unwrap();
        let outage = Arc::new(outage);
        let oidc = Oidc::new(&config.providers, store.clone(), fetch(&provider), clock_arg.clone());
        let oidc = Arc::new(oidc.with_outage(outage.clone()));
        let party = RelyingParty {
            host: config.login_host.clone(),
            origin: config.origin(&config.login_host),
            name: config.facility.name.clone(),
        };
        let keys = folder.0.join("keys");
        fs::create_dir_all(&keys).unwrap();
        let (log, _) = Log::open(&config.audit, &config.facility, &keys, clock_arg).unwrap();
        let site = Site::new(SiteParts {
            hand_offs: Arc::new(HandOffs::new(store.clone(), sessions.clone())),
            assertions: Arc::new(Assertions::open_or_create(&keys, "https://login.hosp.example").unwrap()),
            recorder: log.recorder(),
            sessions: sessions.clone(),
            people: Arc::new(People::new(store.clone(), &config)),
            passkeys: Arc::new(Passkeys::new(store.clone(), &party, config.passkeys.clone()).unwrap()),
            devices,
            certificates: Arc::new(FakeCa::default()),
            posture: Arc::new(PostureDesk::new(store.clone(), config.posture_sources.clone())),
            outage,
            store: store.clone(),
            oidc,
            config,
        });
        Self { site, store, sessions, provider, log, _folder: folder, clock }
    }

    /// The gateway starts again: what it knew of the provider is forgotten, sessions are not.
    pub(crate) fn restart(&mut self) {
        let told = self.clock.clone();
        let clock = Clock::new(move || Timestamp::from_unix_micros(told.load(Ordering::SeqCst)));
        let parts = &self.site.parts;
        let oidc = Oidc::new(&parts.config.providers, self.store.clone(), fetch(&self.provider), clock);
        self.site = Site::new(SiteParts {
            config: parts.config.clone(),
            sessions: parts.sessions.clone(),
            oidc: Arc::new(oidc),
            hand_offs: parts.hand_offs.clone(),
            assertions: parts.assertions.clone(),
            people: parts.people.clone(),
            passkeys: parts.passkeys.clone(),
            devices: parts.devices.clone(),
            certificates: parts.certificates.clone(),
            posture: parts.posture.clone(),
            outage: parts.outage.clone(),
            store: parts.store.clone(),
            recorder: self.log.recorder(),
        });
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn pass_seconds(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// The lines of the log so far.
    pub(crate) fn lines(&self) -> String {
        let directory = &self.site.parts.config.audit.directory;
        audit::tail(directory, 1_000).unwrap().join("\n")
    }

    /// The kind of a host, as the gateway would tell it.
    fn kind(host: &str) -> HostKind {
        match host {
            LOGIN => HostKind::Login,
            PORTAL => HostKind::Portal,
            CONSOLE => HostKind::Console,
            _ => HostKind::App,
        }
    }
}

/// Makes certificates that are none, each with a fingerprint of its own.
#[derive(Debug, Default)]
struct FakeCa {
    made: AtomicU64,
}

impl FakeCa {
    fn record(&self, issuer: CertificateIssuer, at: Timestamp) -> CertificateRecord {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let mut fingerprint = [9; 32];
        fingerprint[..8].copy_from_slice(&made.to_le_bytes());
        let ends_at = at.after(std::time::Duration::from_secs(365 * 86_400));
        CertificateRecord { issuer, ..CertificateRecord::own(Fingerprint::new(fingerprint), at, ends_at) }
    }
}

impl DeviceCertificates for FakeCa {
    fn make(
        &self,
        device: &DeviceId,
        _class: DeviceClass,
        form: DeviceForm,
        at: Timestamp,
    ) -> Result<DeviceFile, CertificateProblem> {
        let bytes = format!("{} of {device}", form.as_str()).into_bytes();
        let certificate = self.record(CertificateIssuer::Own, at);
        Ok(DeviceFile { bytes, password: "one-time-password".to_owned(), certificate })
    }

    fn sign(
        &self,
        device: &DeviceId,
        _class: DeviceClass,
        request: &[u8],
        at: Timestamp,
    ) -> Result<SignedRequest, CertificateProblem> {
        if request != b"request" {
            return Err(CertificateProblem::Request { code: "request-malformed", text: "unreadable".to_owned() });
        }
        Ok(SignedRequest {
            body: format!("certificate of {device}"),
            certificate: self.record(CertificateIssuer::Est, at),
        })
    }

    fn ca_certificates(&self) -> String {
        "the CA".to_owned()
    }
}

fn fetch(provider: &Arc<FakeProvider>) -> identity::Fetch {
    let serving = provider.clone();
    Arc::new(move |request| {
        let answer = serving.answer(&request);
        Box::pin(async move { answer })
    })
}

fn ward_terminal_record() -> DeviceRecord {
    let at = Timestamp::from_unix_micros(START);
    DeviceRecord {
        asset: "A-1".into(),
        owner: "3F".into(),
        place: "3F".into(),
        certificates: vec![CertificateRecord::own(
            Fingerprint::new([7; 32]),
            at,
            at.after(std::time::Duration::from_secs(365 * 86_400)),
        )],
        ..DeviceRecord::new(DeviceId::parse("ward3-pc1").unwrap(), DeviceClass::WardShared, at)
    }
}

pub(crate) fn ward_terminal() -> Arc<Device> {
    let DeviceRecord { id, class, certificates, .. } = ward_terminal_record();
    let certificate = certificates[0].fingerprint;
    Arc::new(Device { id, class, certificate, posture: Arc::from([]) })
}

pub(crate) fn request_id() -> RequestId {
    RequestId::new(Timestamp::from_unix_micros(START), 0x3f9a_21bc_77de_9c1f_03ab)
}

pub(crate) fn reasons(main: Reason) -> Reasons {
    Reasons { main, rule: RuleId::parse("nurses-read-charts").unwrap(), others: vec![Reason::OutsideHours] }
}

/// A browser: cookies by host, and the device whose certificate it shows.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) device: Option<Arc<Device>>,
    pub(crate) language: &'static str,
}

impl Browser {
    pub(crate) fn at(device: Option<Arc<Device>>) -> Self {
        Self { cookies: BTreeMap::new(), device, language: "ja" }
    }

    pub(crate) fn session_cookie(&self, host: &str) -> Option<&String> {
        self.cookies.get(host)?.get("__Host-sekimori")
    }

    /// The header fields of a navigation.
    pub(crate) fn headers(&self, host: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/html"));
        headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
        headers.insert("accept-language", HeaderValue::from_static(if self.language == "en" { "en" } else { "ja" }));
        let jar = self.cookies.get(host).into_iter().flatten();
        let line: Vec<String> = jar.map(|(name, value)| format!("{name}={value}")).collect();
        if !line.is_empty() {
            headers.insert(COOKIE, HeaderValue::from_str(&line.join("; ")).unwrap());
        }
        headers
    }

    /// One request without following; keeps the cookies of the answer.
    pub(crate) async fn get(&mut self, hospital: &Hospital, url: &str) -> Response<Bytes> {
        let (host, _, _) = parts(url);
        let headers = self.headers(&host);
        self.send(hospital, "GET", url, headers, Bytes::new()).await
    }

    /// Posts a form as a page of the same host would.
    pub(crate) async fn post(&mut self, hospital: &Hospital, url: &str, form: &str) -> Response<Bytes> {
        let (host, _, _) = parts(url);
        let mut headers = self.headers(&host);
        headers.insert("origin", HeaderValue::from_str(&format!("https://{host}")).unwrap());
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.send(hospital, "POST", url, headers, Bytes::copy_from_slice(form.as_bytes())).await
    }

    /// What the gateway does: find the session, route, answer; an app answers `app` to whoever has a session.
    pub(crate) async fn send(
        &mut self,
        hospital: &Hospital,
        method: &str,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response<Bytes> {
        let (host, path, query) = parts(url);
        let at = hospital.now();
        let (method, host_name) = (Method::parse(method).unwrap(), Host::parse(&host).unwrap());
        let session = match session_token(&headers) {
            Some(token) => hospital.sessions.find(token, &host_name, self.device.as_deref(), at).await.unwrap(),
            None => None,
        };
        let page = route(Hospital::kind(&host), &method, &path);
        let needs_session = page.is_none_or(|page| page.built_in() == crate::BuiltIn::Portal);
        let response = if needs_session && session.is_none() {
            let challenged = challenged(Challenge::SignIn, &host, path, query, headers, at);
            if method.as_str() == "POST" {
                hospital.site.session_over_form(&challenged, Some(&body))
            } else {
                hospital.site.sign_in_redirect(&challenged).await
            }
        } else if let Some(page) = page {
            let request = PageRequest {
                request: request_id(),
                at,
                method,
                host: host_name,
                path,
                query,
                headers,
                body,
                from: from(),
                device: self.device.clone(),
                session,
            };
            hospital.site.answer(page, request, |app| app.id.as_str() != "receipt").await
        } else {
            Response::new(Bytes::from("app"))
        };
        self.keep_cookies(&host, &response);
        response
    }

    fn keep_cookies(&mut self, host: &str, response: &Response<Bytes>) {
        let jar = self.cookies.entry(host.to_owned()).or_default();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (pair, attributes) = text.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        // Browsers empty themselves after they kept what the answer sets.
        if response.headers().get("clear-site-data").is_some_and(|what| what.to_str().unwrap().contains("\"cookies\""))
        {
            self.cookies.clear();
        }
    }

    /// Posts JSON as our script does.
    pub(crate) async fn post_json(
        &mut self,
        hospital: &Hospital,
        url: &str,
        body: &serde_json::Value,
    ) -> Response<Bytes> {
        let (host, _, _) = parts(url);
        let mut headers = self.headers(&host);
        headers.insert("accept", HeaderValue::from_static("application/json"));
        headers.insert("sec-fetch-mode", HeaderValue::from_static("cors"));
        headers.insert("origin", HeaderValue::from_str(&format!("https://{host}")).unwrap());
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        self.send(hospital, "POST", url, headers, Bytes::from(body.to_string())).await
    }

    /// Opens an address and follows every redirect, through the provider too. The last address and answer.
    pub(crate) async fn open(&mut self, hospital: &Hospital, url: &str) -> (String, Response<Bytes>) {
        let first = self.get(hospital, url).await;
        self.follow(hospital, url, first).await
    }

    pub(crate) async fn follow(
        &mut self,
        hospital: &Hospital,
        url: &str,
        mut response: Response<Bytes>,
    ) -> (String, Response<Bytes>) {
        let mut here = Url::parse(url).unwrap();
        for _ in 0..20 {
            let Some(place) = location(&response) else { return (here.to_string(), response) };
            here = here.join(&place).unwrap();
            if let Some(back) = hospital.provider.visit(&here) {
                here = Url::parse(&back).unwrap();
            }
            response = self.get(hospital, here.as_str()).await;
        }
        panic!("too many redirects, the last to {here}");
    }
}

pub(crate) fn challenged(
    challenge: Challenge,
    host: &str,
    path: Path,
    query: String,
    headers: HeaderMap,
    at: Timestamp,
) -> Challenged {
    let main = match challenge {
        Challenge::SignIn => Reason::SignInRequired,
        Challenge::StepUp(_) => Reason::StepUpRequired,
    };
    Challenged {
        challenge,
        reasons: reasons(main),
        request: request_id(),
        at,
        host: Host::parse(host).unwrap(),
        app: AppId::parse("emr").unwrap(),
        path,
        query,
        headers,
    }
}

pub(crate) fn from() -> From {
    From { address: IpAddr::V4(Ipv4Addr::new(10, 3, 0, 7)), zone: ZoneId::parse("inside").unwrap() }
}

pub(crate) fn location(response: &Response<Bytes>) -> Option<String> {
    let is_redirect = matches!(response.status(), StatusCode::FOUND | StatusCode::SEE_OTHER);
    response.headers().get(LOCATION).filter(|_| is_redirect).map(|place| place.to_str().unwrap().to_owned())
}

pub(crate) fn text(response: &Response<Bytes>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

/// Host, path and query of an address.
pub(crate) fn parts(url: &str) -> (String, Path, String) {
    let url = Url::parse(url).unwrap();
    let host = url.host_str().unwrap().to_owned();
    (host, Path::parse(url.path()).unwrap(), url.query().unwrap_or_default().to_owned())
}

/// A small real OpenID provider: signs ES256, checks redirect URIs, remembers what it was asked.
pub(crate) struct FakeProvider {
    key: EcdsaKeyPair,
    clock: Clock,
    state: Mutex<ProviderState>,
}

#[derive(Default)]
struct ProviderState {
    /// Who sits before it, and with which groups.
    person: Option<(String, Vec<String>)>,
    codes: BTreeMap<String, serde_json::Value>,
    asked: Vec<BTreeMap<String, String>>,
    is_down: bool,
    refuses: bool,
}

impl FakeProvider {
    fn new(clock: Clock) -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        let state = ProviderState { person: Some(("n.sato".into(), vec!["nurses".into()])), ..Default::default() };
        Self { key, clock, state: Mutex::new(state) }
    }

    pub(crate) fn seat(&self, person: &str, groups: &[&str]) {
        let groups = groups.iter().map(ToString::to_string).collect();
        self.state.lock().unwrap().person = Some((person.to_owned(), groups));
    }

    pub(crate) fn go_down(&self) {
        self.state.lock().unwrap().is_down = true;
    }

    pub(crate) fn refuse(&self) {
        self.state.lock().unwrap().refuses = true;
    }

    /// The fields of every authorization request so far.
    pub(crate) fn asked(&self) -> Vec<BTreeMap<String, String>> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The browser visits it: where it sends the browser back to, if the address is its own.
    pub(crate) fn visit(&self, url: &Url) -> Option<String> {
        let issuer = url.host_str().filter(|host| matches!(*host, "city.example" | "vendor-idp.example"))?;
        let issuer = format!("https://{issuer}");
        let fields: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let mut state = self.state.lock().unwrap();
        state.asked.push(fields.clone());
        let provider = issuer.trim_start_matches("https://").trim_end_matches(".example");
        assert_eq!(fields["redirect_uri"], format!("https://{LOGIN}/callback/{provider}"), "a registered one");
        let mut back = form_urlencoded::Serializer::new(String::new());
        back.append_pair("state", &fields["state"]).append_pair("iss", &issuer);
        if state.refuses {
            back.append_pair("error", "access_denied");
            return Some(format!("{}?{}", fields["redirect_uri"], back.finish()));
        }
        let code = format!("code-{}", state.asked.len());
        let now = self.clock.now().unix_seconds();
        let (person, groups) = state.person.clone().unwrap();
        let claims = json!({
            "iss": issuer, "aud": "sekimori", "sub": person, "preferred_username": person, "name": "佐藤 花子",
            "groups": groups, "nonce": fields["nonce"], "iat": now, "exp": now + 300, "auth_time": now,
            "amr": ["pwd", "mfa"], "sid": "provider-session",
        });
        state.codes.insert(code.clone(), claims);
        back.append_pair("code", &code);
        Some(format!("{}?{}", fields["redirect_uri"], back.finish()))
    }

    fn answer(&self, request: &http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, FetchProblem> {
        if self.state.lock().unwrap().is_down {
            return Err(FetchProblem::TimedOut);
        }
        let issuer = format!("https://{}", request.uri().host().unwrap());
        let body = match request.uri().path() {
            "/.well-known/openid-configuration" => json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "jwks_uri": format!("{issuer}/jwks"),
                "end_session_endpoint": format!("{issuer}/end"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "authorization_response_iss_parameter_supported": true,
            }),
            "/jwks" => json!({ "keys": [self.public_key()] }),
            "/token" => self.token(request.body()),
            other => panic!("the provider has no {other}"),
        };
        let answer = http::Response::builder().header("content-type", "application/json");
        Ok(answer.body(serde_json::to_vec(&body).unwrap()).unwrap())
    }

    fn token(&self, form: &[u8]) -> serde_json::Value {
        let fields: BTreeMap<String, String> = form_urlencoded::parse(form).into_owned().collect();
        let claims = self.state.lock().unwrap().codes.remove(&fields["code"]).expect("a code works once");
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap());
        let message = format!("{}.{}", part(&json!({ "alg": "ES256", "kid": "k1" })), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
        json!({ "access_token": "unused", "token_type": "Bearer", "id_token": token })
    }

    fn public_key(&self) -> serde_json::Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k1", "x": x, "y": y })
    }
}

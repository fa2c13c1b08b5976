//! Certificates of devices as stock programs get, use, renew and lose them: curl and openssl as EST clients (RFC 7030),
//! openssl and Python as readers of what is installed.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use tests::{Ask, Caller, Device, Hospital, Person, Plan, Session, Upstream, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

const DAY: u64 = 24 * 60 * 60;

/// A hospital, and a folder in which a device's administrator works.
struct Bench {
    hospital: Hospital,
    _emr: Upstream,
}

impl Bench {
    fn open(lifetime: &str) -> Self {
        let emr = Upstream::http1();
        let plan = Plan::with_emr(emr.address()).set("devices", &format!("certificate_lifetime = \"{lifetime}\""));
        Self { hospital: Hospital::open(plan), _emr: emr }
    }

    fn file(&self, name: &str) -> String {
        self.hospital.folder().join(name).display().to_string()
    }

    fn invite(&self, id: &str) -> String {
        let words = ["device", "invite", id, "--class", "fixed", "--reason", "新規導入", "--format", "json"];
        self.hospital.run(&words).ok().json()["code"].as_str().unwrap().to_owned()
    }

    /// Runs stock openssl.
    fn openssl(&self, words: &[&str]) -> String {
        let output = Command::new("openssl").args(words).current_dir(self.hospital.folder().path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "openssl {words:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs stock curl against the login host; gives status and body.
    fn curl(&self, path: &str, words: &[&str]) -> (u16, String) {
        let url = self.hospital.url("login", path);
        let place = format!("login.hospital.test:8443:{}", self.hospital.address().ip());
        let output = Command::new("curl")
            .args(["--silent", "--cacert", "ca.pem", "--resolve", &place, "--write-out", "\n%{http_code}"])
            .args(words)
            .arg(url)
            .current_dir(self.hospital.folder().path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// A new key and a request for it, as RFC 7030 wants it sent.
    fn request(&self, name: &str, subject: &str) -> String {
        let (key, der, text) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.b64"));
        self.openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &key]);
        self.openssl(&["req", "-new", "-key", &key, "-subj", subject, "-outform", "DER", "-out", &der]);
        self.openssl(&["base64", "-in", &der, "-out", &text]);
        format!("@{text}")
    }

    fn enrol(&self, id: &str, code: &str, request: &str) -> (u16, String) {
        let who = format!("{id}:{code}");
        let words = ["--user", &who, "--header", "Content-Type: application/pkcs10", "--data-binary", request];
        self.curl("/.well-known/est/simpleenroll", &words)
    }

    /// Keeps what EST answered as PEM, and gives the device that holds it.
    fn keep(&self, id: &str, name: &str, answer: &str) -> Device {
        let (text, der, pem) = (format!("{name}.p7.b64"), format!("{name}.p7"), format!("{name}.crt"));
        self.hospital.folder().write(&text, format!("{}\n", answer.trim()));
        self.openssl(&["base64", "-d", "-in", &text, "-out", &der]);
        self.openssl(&["pkcs7", "-inform", "DER", "-in", &der, "-print_certs", "-out", &pem]);
        let certificate = format!("{name}.der");
        self.openssl(&["x509", "-in", &pem, "-outform", "DER", "-out", &certificate]);
        let pkcs8 = format!("{name}.p8");
        self.openssl(&[
            "pkcs8",
            "-topk8",
            "-nocrypt",
            "-in",
            &format!("{name}.key"),
            "-outform",
            "DER",
            "-out",
            &pkcs8,
        ]);
        let read = |name: &str| std::fs::read(self.hospital.folder().join(name)).unwrap();
        Device::holding(id, vec![CertificateDer::from(read(&certificate))], read(&pkcs8))
    }

    async fn nurse_reads(&self, device: &Device) -> u16 {
        let nurse = Session::open(&self.hospital, "nurse", Some(device), &["emr"]).await;
        self.hospital.caller(device).ask(Ask::get("emr", "/a").signed_in(&nurse)).await.status
    }

    /// So many lines of what the store did are written.
    async fn told(&self, event: &str, times: usize) {
        eventually(event, async || (self.hospital.records().with("ev", event).len() == times).then_some(())).await;
    }

    async fn is_known(&self, device: &Device) {
        eventually("the gateway knows the certificate", async || (self.nurse_reads(device).await == 200).then_some(()))
            .await;
    }
}

#[tokio::test]
async fn stock_clients_enrol_use_renew_and_lose_a_certificate() {
    let mut bench = Bench::open("1d");
    let (status, answer) = bench.curl("/.well-known/est/cacerts", &[]);
    assert_eq!(status, 200);
    bench.hospital.folder().write("cacerts.b64", format!("{}\n", answer.trim()));
    bench.openssl(&["base64", "-d", "-in", "cacerts.b64", "-out", "cacerts.p7"]);
    bench.openssl(&["pkcs7", "-inform", "DER", "-in", "cacerts.p7", "-print_certs", "-out", "device-ca.pem"]);

    let code = bench.invite("ct-1");
    // What the request says of itself counts for nothing: the ledger decides who the device is.
    let request = bench.request("first", "/CN=chief-server/O=Evil");
    let (status, answer) = bench.enrol("ct-1", &code, &request);
    assert_eq!(status, 200, "{answer}");
    let first = bench.keep("ct-1", "first", &answer);
    let subject = bench.openssl(&["x509", "-in", "first.crt", "-noout", "-subject"]);
    assert!(subject.contains("ct-1") && !subject.contains("Evil"), "{subject}");
    bench.openssl(&["verify", "-CAfile", "device-ca.pem", "-purpose", "sslclient", "first.crt"]);
    bench.is_known(&first).await;

    // Not yet.
    let renewal = bench.request("second", "/CN=ct-1");
    let with = |name: &str| ["--cert".to_owned(), format!("{name}.crt"), "--key".to_owned(), format!("{name}.key")];
    let renew = |bench: &Bench, with: &[String]| {
        let words: Vec<&str> = with
            .iter()
            .map(String::as_str)
            .chain(["--header", "Content-Type: application/pkcs10", "--data-binary", &renewal])
            .collect();
        bench.curl("/.well-known/est/simplereenroll", &words)
    };
    assert_eq!(renew(&bench, &with("first")).0, 403);
    assert_eq!(bench.hospital.records().with("ev", "ceremony-refused").last()["why"], "renewal-too-early");
    let plan = bench
        .hospital
        .plan()
        .clone()
        .set("devices", "certificate_lifetime = \"90d\"")
        .set("devices", "renew_before = \"30d\"");
    bench.hospital.reload(plan);
    let answer = eventually("renewal is due", async || {
        let (status, answer) = renew(&bench, &with("first"));
        (status == 200).then_some(answer)
    })
    .await;
    let second = bench.keep("ct-1", "second", &answer);
    bench.is_known(&second).await;
    assert_eq!(bench.nurse_reads(&first).await, 200, "the old one is good beside it for a while");
    assert_eq!(renew(&bench, &[]).0, 403, "nobody renews without a certificate");

    let _ = bench.hospital.run(&["device", "revoke", "ct-1"]).ok();
    for (name, device) in [("first", &first), ("second", &second)] {
        eventually("the device is out", async || {
            let answer = knock(&bench.hospital.caller(device)).await;
            (!answer.starts_with("HTTP/1.1 200")).then_some(())
        })
        .await;
        assert_ne!(renew(&bench, &with(name)).0, 200, "{name}");
    }
    bench.told("certificate-added", 2).await;
    bench.told("device-revoked", 1).await;
    assert_eq!(bench.hospital.records().with("ev", "device-revoked").only()["dev"], "ct-1");
}

#[tokio::test]
async fn a_code_enrols_once_its_own_device_and_a_request_in_due_form() {
    let bench = Bench::open("90d");
    let (code, other) = (bench.invite("ct-1"), bench.invite("ct-2"));
    let request = bench.request("one", "/CN=x");
    assert_eq!(bench.enrol("ct-2", &code, &request).0, 401, "another device's code");
    assert_eq!(bench.enrol("ct-1", "ABCD-EFGH-JKMN", &request).0, 401);
    assert_eq!(bench.enrol("ct-9", &other, &request).0, 401);
    assert_eq!(bench.curl("/.well-known/est/simpleenroll", &["--data-binary", &request]).0, 401, "nobody asks");
    let who = format!("ct-1:{code}");
    let form = ["--user", &who, "--data-binary", &request];
    assert_eq!(bench.curl("/.well-known/est/simpleenroll", &form).0, 415, "another content type");
    let (status, said) = bench.enrol("ct-1", &code, "not a request at all");
    assert_eq!(status, 400, "{said}");
    bench.openssl(&["genrsa", "-out", "weak.key", "1024"]);
    bench.openssl(&["req", "-new", "-key", "weak.key", "-subj", "/CN=x", "-outform", "DER", "-out", "weak.csr"]);
    bench.openssl(&["base64", "-in", "weak.csr", "-out", "weak.b64"]);
    let (status, said) = bench.enrol("ct-1", &code, "@weak.b64");
    assert_eq!(status, 400, "{said}");
    assert_eq!(bench.enrol("ct-1", &code, &request).0, 200, "none of that used the code up");
    assert_eq!(bench.enrol("ct-1", &code, &request).0, 401, "this did");
    assert!(bench.hospital.records().with("ev", "ceremony-refused").len() >= 6);
    bench.told("certificate-added", 1).await;
}

/// Connects, asks, and gives what came back; nothing where the gateway did not talk.
pub async fn knock(caller: &Caller) -> String {
    let Ok(mut stream) = caller.connect("emr", &[b"http/1.1"]).await else { return String::new() };
    let mut answer = Vec::new();
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: emr.hospital.test:8443\r\nConnection: close\r\n\r\n").await.ok();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A CA of an MDM, as the hospital may already have one.
struct Mdm {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn now() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap()
}

/// How long after 1970 a day that many days from now is.
fn days_from_now(days: i64) -> Duration {
    Duration::from_secs(now().as_secs().checked_add_signed(days * i64::try_from(DAY).unwrap()).unwrap())
}

impl Mdm {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A device with a certificate that ends so many days from now; gives its PEM too.
    fn device(&self, id: &str, serial: u64, ends_in_days: i64) -> (Device, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, id);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + days_from_now(-30);
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + days_from_now(ends_in_days);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (Device::holding(id, vec![certificate.der().clone()], key.serialize_der()), certificate.pem())
    }

    /// A list made so many days ago, good for a week.
    fn list(&self, revoked: u64, days_ago: i64) -> String {
        let entry = RevokedCertParams {
            serial_number: SerialNumber::from(revoked),
            revocation_time: rcgen::date_time_ymd(1970, 1, 1) + days_from_now(-days_ago),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(1970, 1, 1) + days_from_now(-days_ago),
            next_update: rcgen::date_time_ymd(1970, 1, 1) + days_from_now(7 - days_ago),
            crl_number: SerialNumber::from(u64::try_from(100 - days_ago).unwrap()),
            issuing_distribution_point: None,
            revoked_certs: vec![entry],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

#[tokio::test]
async fn a_foreign_an_expired_a_revoked_and_a_stale_certificate_are_each_refused_for_what_they_are() {
    let emr = Upstream::http1();
    let (mdm, foreign) = (Mdm::new("Hospital MDM"), Mdm::new("Somebody's CA"));
    let plan = Plan::with_emr(emr.address())
        .set("devices", "ca_files = [\"mdm.pem\"]")
        .set("devices", "crl_files = [\"mdm.crl\"]");
    let mut hospital = Hospital::build(plan);
    hospital.folder().write("mdm.pem", &mdm.pem);
    let list: PathBuf = hospital.folder().write("mdm.crl", mdm.list(13, 0));
    let (good, pem) = mdm.device("tablet-1", 12, 60);
    let good_file = hospital.folder().write("tablet-1.crt", pem);
    let words = ["device", "certificate", "tablet-1", &good_file.display().to_string(), "--class", "tablet"];
    let _ = hospital.run(&words).ok();
    hospital.start();
    let nurse = Session::open(&hospital, "nurse", Some(&good), &["emr"]).await;
    hospital.caller(&good).ask(Ask::get("emr", "/a").signed_in(&nurse)).await.expect(200);

    let refused = async |device: &Device, code: &str| {
        let answer = knock(&hospital.caller(device)).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{code}: {answer}");
        eventually(code, async || {
            let records = hospital.records().with("ev", "tls-refused");
            records.all().last().is_some_and(|last| last["why"] == code).then_some(())
        })
        .await;
    };
    refused(&foreign.device("tablet-1", 12, 60).0, "client-certificate-foreign").await;
    refused(&mdm.device("tablet-2", 14, -1).0, "client-certificate-expired").await;
    refused(&mdm.device("tablet-3", 13, 60).0, "client-certificate-revoked").await;
    // A list that nobody renewed: who was good yesterday may be stolen today.
    std::fs::write(&list, mdm.list(13, 20)).unwrap();
    hospital.signal(rustix::process::Signal::HUP);
    eventually("the old list is in force", async || {
        (!knock(&hospital.caller(&good)).await.starts_with("HTTP/1.1")).then_some(())
    })
    .await;
    refused(&good, "client-certificate-crl-too-old").await;
    assert_eq!(emr.seen().len(), 1, "only the good one came through, while its list was fresh");
}

/// Gets the file for a device by its page, in a form such as `pkcs12`; gives it with its password.
async fn by_page(bench: &Bench, id: &str, form: &str) -> (Vec<u8>, String) {
    let mut someone = Person::new(&bench.hospital.stranger(), "");
    let (page, origin) = (bench.hospital.url("login", "/device"), bench.hospital.url("login", ""));
    let code = bench.invite(id);
    let ready =
        someone.post(&Url::parse(&page).unwrap(), &origin, &[("code", &code), ("form", form)]).await.expect(200).text();
    let between = |start: &str, end: &str| {
        ready
            .split(start)
            .nth(1)
            .and_then(|rest| rest.split(end).next())
            .unwrap_or_else(|| panic!("{ready}"))
            .to_owned()
    };
    let password = between("class=\"secret\">", "<");
    let file = between("href=\"/device/file", "\"").replace("&amp;", "&");
    let answer = someone.step(&Url::parse(&bench.hospital.url("login", &format!("/device/file{file}"))).unwrap()).await;
    (answer.expect(200).body.to_vec(), password)
}

#[tokio::test]
async fn the_file_for_a_computer_is_read_by_openssl_and_opens_the_door() {
    let bench = Bench::open("90d");
    let (file, password) = by_page(&bench, "pc-1", "pkcs12").await;
    bench.hospital.folder().write("pc-1.p12", &file);
    let pass = format!("pass:{password}");
    bench.openssl(&["pkcs12", "-in", "pc-1.p12", "-passin", &pass, "-nodes", "-out", "pc-1.pem"]);
    let subject = bench.openssl(&["x509", "-in", "pc-1.pem", "-noout", "-subject"]);
    assert!(subject.contains("pc-1"), "{subject}");
    bench.openssl(&["x509", "-in", "pc-1.pem", "-outform", "DER", "-out", "pc-1.der"]);
    bench.openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", "pc-1.pem", "-outform", "DER", "-out", "pc-1.p8"]);
    let read = |name: &str| std::fs::read(bench.hospital.folder().join(name)).unwrap();
    let device = Device::holding("pc-1", vec![CertificateDer::from(read("pc-1.der"))], read("pc-1.p8"));
    bench.is_known(&device).await;
    let wrong = Command::new("openssl")
        .args(["pkcs12", "-in", &bench.file("pc-1.p12"), "-passin", "pass:guess", "-nodes"])
        .output()
        .unwrap();
    assert!(!wrong.status.success());
}

#[tokio::test]
async fn the_profile_for_a_tablet_is_read_by_python_and_its_key_by_openssl() {
    let bench = Bench::open("90d");
    let (file, password) = by_page(&bench, "ipad-1", "mobileconfig").await;
    bench.hospital.folder().write("ipad-1.mobileconfig", &file);
    let script = "import plistlib, sys\n\
        profile = plistlib.load(open('ipad-1.mobileconfig', 'rb'))\n\
        assert profile['PayloadType'] == 'Configuration', profile['PayloadType']\n\
        parts = {part['PayloadType']: part for part in profile['PayloadContent']}\n\
        key = parts['com.apple.security.pkcs12']\n\
        open('ipad-1.p12', 'wb').write(key['PayloadContent'])\n\
        print(sorted(parts), 'ipad-1' in repr(profile))\n";
    let output =
        Command::new("python3").args(["-c", script]).current_dir(bench.hospital.folder().path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("True"));
    let pass = format!("pass:{password}");
    bench.openssl(&["pkcs12", "-in", "ipad-1.p12", "-passin", &pass, "-nodes", "-out", "ipad-1.pem"]);
    assert!(bench.openssl(&["x509", "-in", "ipad-1.pem", "-noout", "-subject"]).contains("ipad-1"));
}

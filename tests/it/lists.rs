//! Revocation lists that the gateway fetches by itself: a CA of stock openssl, a stock web server, and devices that are
//! believed as long as both say so.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use policy::{Timestamp, UtcOffset};
use rustls::pki_types::CertificateDer;
use tests::{Ask, Device, Folder, Hospital, Plan, Session, Upstream, eventually, eventually_in, now};

use crate::est::knock;
use crate::operations::operations;

/// The shortest span the configuration takes, and some air for a busy machine.
const FETCHED: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);

/// A CA, such as an MDM's, and the web server on which it publishes its list.
struct Pki {
    folder: Folder,
    port: u16,
    server: Option<Child>,
}

impl Pki {
    fn open(name: &str) -> Self {
        let folder = Folder::new();
        std::fs::create_dir(folder.join("www")).unwrap();
        let mut pki = Self { folder, port: 0, server: None };
        pki.serve();
        pki.folder.write("index.txt", "");
        pki.folder.write("serial", "1000\n");
        pki.folder.write("number", "1000\n");
        let text = format!(
            "[ca]\ndefault_ca=one\n[one]\ndatabase=index.txt\nserial=serial\ncrlnumber=number\nnew_certs_dir=.\n\
             certificate=ca.pem\nprivate_key=ca.key\ndefault_md=sha256\ndefault_days=60\ndefault_crl_days=7\n\
             policy=any\nunique_subject=no\n[any]\ncommonName=supplied\n[device]\nextendedKeyUsage=clientAuth\n\
             keyUsage=critical,digitalSignature\nbasicConstraints=CA:FALSE\n\
             crlDistributionPoints=URI:ldap://dc.example/cn=mdm,URI:{}\n\
             [req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN={name}\n[own]\nbasicConstraints=critical,CA:TRUE\n\
             keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n",
            pki.url()
        );
        pki.folder.write("ca.cnf", text);
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key"];
        let own = ["req", "-x509", "-config", "ca.cnf", "-extensions", "own", "-days", "365", "-out", "ca.pem"];
        pki.openssl(&[&own[..], &key].concat());
        pki
    }

    fn openssl(&self, words: &[&str]) -> String {
        let output = Command::new("openssl").args(words).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts the web server, on the port it had before if it had one.
    fn serve(&mut self) {
        let mut server = Command::new("python3")
            .args(["-u", "-m", "http.server", &self.port.to_string(), "--bind", "127.0.0.1", "--directory", "www"])
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
        self.port = said.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("{said}"));
        self.server = Some(server);
    }

    fn close(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mdm.crl", self.port)
    }

    /// A device with a certificate of this CA.
    fn device(&self, id: &str) -> Device {
        let name = |kind: &str| format!("{id}.{kind}");
        let (key, request, certificate) = (name("key"), name("csr"), name("crt"));
        self.openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &key]);
        self.openssl(&["req", "-new", "-key", &key, "-subj", &format!("/CN={id}"), "-out", &request]);
        let of_ca = ["ca", "-batch", "-config", "ca.cnf", "-extensions", "device", "-notext"];
        self.openssl(&[&of_ca[..], &["-in", &request, "-out", &certificate]].concat());
        self.openssl(&["x509", "-in", &certificate, "-outform", "DER", "-out", &name("der")]);
        self.openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", &key, "-outform", "DER", "-out", &name("p8")]);
        let read = |kind: &str| std::fs::read(self.folder.join(&name(kind))).unwrap();
        Device::holding(id, vec![CertificateDer::from(read("der"))], read("p8"))
    }

    fn revoke(&self, device: &str) {
        self.openssl(&["ca", "-config", "ca.cnf", "-revoke", &format!("{device}.crt")]);
    }

    /// Makes a list that began and will end so long from now, in seconds; gives its file.
    fn list(&self, name: &str, began: i64, ends: i64) -> String {
        let at = |seconds: i64| {
            let at = Timestamp::from_unix_micros(now().unix_micros() + seconds * 1_000_000).rfc3339(UtcOffset::UTC);
            at.chars().filter(char::is_ascii_digit).take(14).collect::<String>() + "Z"
        };
        let (began, ends, pem, der) = (at(began), at(ends), format!("{name}.pem"), format!("{name}.crl"));
        let times = ["-crl_lastupdate", &began, "-crl_nextupdate", &ends];
        self.openssl(&[&["ca", "-config", "ca.cnf", "-gencrl", "-out", &pem], &times[..]].concat());
        self.openssl(&["crl", "-in", &pem, "-outform", "der", "-out", &der]);
        der
    }

    fn publish(&self, list: &str) {
        std::fs::copy(self.folder.join(list), self.folder.join("www/new")).unwrap();
        std::fs::rename(self.folder.join("www/new"), self.folder.join("www/mdm.crl")).unwrap();
    }
}

impl Drop for Pki {
    fn drop(&mut self) {
        self.close();
    }
}

/// A hospital that believes this CA, with devices of it in its ledger.
struct House {
    hospital: Hospital,
    _emr: Upstream,
}

impl House {
    fn open(pki: &Pki, keys: &[String], devices: &[&Device]) -> Self {
        let emr = Upstream::http1();
        let mut plan = Plan::with_emr(emr.address())
            .set("devices", "ca_files = [\"mdm.pem\"]")
            .set("devices", "crl_refresh = \"10s\"");
        for key in keys {
            plan = plan.set("devices", key);
        }
        let mut hospital = Hospital::build(plan);
        hospital.folder().write("mdm.pem", std::fs::read(pki.folder.join("ca.pem")).unwrap());
        for device in devices {
            let file = pki.folder.join(&format!("{}.crt", device.id)).display().to_string();
            let _ = hospital.run(&["device", "certificate", &device.id, &file, "--class", "tablet"]).ok();
        }
        hospital.start();
        Self { hospital, _emr: emr }
    }

    async fn is_let_in(&self, device: &Device) -> bool {
        knock(&self.hospital.caller(device)).await.starts_with("HTTP/1.1 401")
    }

    /// Waits until a device is let in as far as the sign-in.
    async fn lets_in(&self, device: &Device) {
        eventually_in(FETCHED, "the list is in force", async || self.is_let_in(device).await.then_some(())).await;
    }

    /// Waits until a device is refused for this reason.
    async fn refuses(&self, device: &Device, code: &str) {
        eventually_in(FETCHED, code, async || {
            if self.is_let_in(device).await {
                return None;
            }
            let records = self.hospital.records().with("ev", "tls-refused");
            records.all().last().is_some_and(|last| last["why"] == code).then_some(())
        })
        .await;
    }

    async fn metric(&self, line: &str) {
        eventually_in(FETCHED, line, async || {
            let metrics = operations(&self.hospital, "/metrics").await.expect(200).text();
            metrics.lines().any(|one| one == line).then_some(())
        })
        .await;
    }

    /// What `doctor` says of the place of the list: grade and words.
    fn doctor(&self, url: &str) -> (String, String) {
        let told = self.hospital.run(&["doctor", "--format", "json"]).lines();
        let of_place = told.iter().find(|one| one["what"] == format!("revocation list at {url}"));
        let of_place = of_place.unwrap_or_else(|| panic!("{told:?}"));
        (of_place["grade"].as_str().unwrap().to_owned(), of_place["says"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn a_list_is_fetched_where_the_configuration_says_and_nobody_goes_on_without_it() {
    let pki = Pki::open("Hospital MDM");
    let (good, stolen) = (pki.device("tablet-1"), pki.device("tablet-2"));
    let house = House::open(&pki, &[format!("crl_urls = [\"{}\"]", pki.url())], &[&good, &stolen]);
    // The server answers 404: there is no list, so nobody of this CA is believed.
    house.refuses(&good, "client-certificate-crl-missing").await;
    house.metric("sekimori_crl_places_failing 1").await;
    let (grade, says) = house.doctor(&pki.url());
    assert!(grade == "bad" && says.contains("404"), "{grade}: {says}");

    let before = pki.list("before", -3_600, 86_400);
    pki.publish(&before);
    house.lets_in(&good).await;
    house.lets_in(&stolen).await;
    house.metric("sekimori_crl_places_failing 0").await;
    assert_eq!(house.doctor(&pki.url()).0, "good");

    let doctor = Session::open(&house.hospital, "doctor", Some(&stolen), &["emr"]).await;
    let mut connection = house.hospital.caller(&stolen).http1("emr").await;
    assert_eq!(connection.send(Ask::get("emr", "/a").signed_in(&doctor)).await.unwrap().status(), 200);
    pki.revoke("tablet-2");
    pki.publish(&pki.list("after", 0, 86_400));
    house.refuses(&stolen, "client-certificate-revoked").await;
    let ask = connection.send(Ask::get("emr", "/a").signed_in(&doctor)).await;
    assert!(!ask.is_ok_and(|answer| answer.status() == 200), "the connection that was open is out, too");
    house.lets_in(&good).await;

    // Whoever answers for the server gives the list from before the theft: it is as well signed, and it is not taken.
    pki.publish(&before);
    house.metric("sekimori_crl_places_failing 1").await;
    house.refuses(&stolen, "client-certificate-revoked").await;
    house.lets_in(&good).await;
    let (grade, _) = house.doctor(&pki.url());
    assert_eq!(grade, "good", "it answers a list; which is older only the gateway says, in its log");
    assert!(house.hospital.log_text().contains("older than the one before"), "{}", house.hospital.log_text());
    // Nor another CA's of the same name.
    let namesake = Pki::open("Hospital MDM");
    let foreign = namesake.folder.join(&namesake.list("foreign", 0, 86_400));
    std::fs::copy(foreign, pki.folder.join("foreign.crl")).unwrap();
    pki.publish("foreign.crl");
    eventually_in(FETCHED, "the refusal", async || {
        let failed = house.doctor(&pki.url()).0;
        (failed == "good" && house.is_let_in(&good).await && !house.is_let_in(&stolen).await).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_place_that_a_certificate_names_is_used_and_its_list_kept_until_it_is_too_old() {
    let mut pki = Pki::open("Hospital MDM");
    let tablet = pki.device("tablet-1");
    pki.publish(&pki.list("first", -3_600, 86_400));
    let mut house = House::open(&pki, &["crl_distribution_points = \"use\"".to_owned()], &[&tablet]);
    house.refuses(&tablet, "client-certificate-crl-missing").await;
    house.lets_in(&tablet).await;

    // The server is gone: what was fetched is believed, over a restart too, and not for ever.
    let ends = now().after(MINUTE);
    pki.publish(&pki.list("short", 0, 60));
    eventually_in(FETCHED, "the list that ends soon", async || {
        let metrics = operations(&house.hospital, "/metrics").await.expect(200).text();
        let left = metrics.lines().find_map(|line| line.strip_prefix("sekimori_crl_seconds_left "));
        left.and_then(|left| left.parse::<i64>().ok()).filter(|left| *left <= 60)
    })
    .await;
    pki.close();
    house.hospital.stop();
    house.hospital.start();
    if now() < ends {
        eventually("the list that was kept", async || (house.is_let_in(&tablet).await || now() >= ends).then_some(()))
            .await;
    }
    house.refuses(&tablet, "client-certificate-crl-too-old").await;
    assert_eq!(house.doctor(&pki.url()).0, "warning");

    pki.publish(&pki.list("next", 0, 86_400));
    pki.serve();
    house.lets_in(&tablet).await;
}

//! An office with one person of each right at the console, a ward's worth of people and devices, and a log.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response};
use identity::{AskedWindow, NewPerson, Opening, SignedIn};
use policy::{
    AppId, Assurance, DeviceClass, DeviceId, Fingerprint, GrantId, Host, Methods, PostureName, PostureSourceId,
    Revision, RoleId, SignInMethod, Timestamp,
};
use store::{
    CertificateRecord, Credential, CredentialId, DeviceRecord, Difference, Event, GlassTerms, GrantReach, KeptFile,
    MaintenanceLine, MaintenanceWrite, NewGlass, NewReview, NewReviewItem, NewRevision, Person, PostureRow, Secret,
    WhichCredential,
};

use crate::CONSOLE_TABLE;
use crate::testing::{Browser, CONSOLE, EMR, Hospital, PORTAL, ward_terminal};

pub(super) const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// The office.
pub(super) struct Office {
    pub(super) hospital: Hospital,
    pub(super) administrator: Seat,
    pub(super) help_desk: Seat,
    pub(super) auditor: Seat,
    pub(super) nurse: Seat,
    /// Decides on maintenance, and has no other part in the console.
    pub(super) approver: Seat,
    /// Comes for a vendor.
    pub(super) vendor: Seat,
    /// A window that the vendor asked for, which begins in five minutes and is five minutes long.
    pub(super) grant: GrantId,
    /// Glass that the nurse broke.
    pub(super) glass: GrantId,
    /// A tablet in force.
    pub(super) tablet: DeviceId,
    /// A version that waits for another person than the one with the login `h.ito`.
    pub(super) version: u64,
    /// A review of the log whose sample is its first line.
    pub(super) review: u64,
    /// A question that the auditor keeps.
    pub(super) question: u64,
}

/// A person with a session.
pub(super) struct Seat {
    pub(super) person: Person,
    pub(super) browser: Browser,
}

impl Office {
    pub(super) async fn open() -> Self {
        let hospital = Hospital::with_console().await;
        let administrator = seat(&hospital, "k.mori", "森 健", "administrator").await;
        let help_desk = seat(&hospital, "h.ito", "伊藤 春", "help-desk").await;
        let auditor = seat(&hospital, "a.ueda", "上田 秋", "auditor").await;
        let nurse = seat(&hospital, "n.sato", "佐藤 花子", "nurse").await;
        let approver = seat(&hospital, "s.kato", "加藤 進", "approver").await;
        let vendor = seat(&hospital, "m.hoshi", "星 誠", "vendor").await;
        let grant = ask(&hospital, &vendor, MINUTE * 5, MINUTE * 10).await;
        let glass = break_glass(&hospital, &nurse).await;
        add_line(&hospital, &vendor).await;
        let tablet = DeviceId::parse("tablet-7").unwrap();
        let device = DeviceRecord {
            asset: "T-7".to_owned(),
            place: "3F".to_owned(),
            owner: "医療情報室".to_owned(),
            os: "iPadOS".to_owned(),
            os_version: "19.1".to_owned(),
            certificates: vec![CertificateRecord::own(
                Fingerprint::new([0x77; 32]),
                hospital.now(),
                hospital.now().after(HOUR * 24 * 400),
            )],
            ..DeviceRecord::new(tablet.clone(), DeviceClass::Tablet, hospital.now())
        };
        hospital.store.add_device(device, "test".to_owned()).await.unwrap();
        let version =
            hospital.store.propose_revision(proposal("cli:h.ito#1002=h.ito", hospital.now()), None).await.unwrap();
        let review = hospital.store.open_review(review(hospital.now())).await.unwrap();
        let owner = auditor.person.id.clone();
        let question = "outcome=refused".to_owned();
        let question = hospital.store.save_question(owner, "夜間".to_owned(), question, hospital.now()).await.unwrap();
        let office = Self {
            hospital,
            administrator,
            help_desk,
            auditor,
            nurse,
            approver,
            vendor,
            grant,
            glass,
            tablet,
            version,
            review,
            question,
        };
        office.add_key().await;
        office
    }

    /// A key of the nurse.
    async fn add_key(&self) {
        let key = Credential {
            id: key_id(),
            user: self.nurse.person.id.clone(),
            name: "カード".to_owned(),
            model: policy::Aaguid::new([7; 16]),
            passkey: Secret("{}".to_owned()),
            counter: 0,
            device_bound: true,
            added_at: self.hospital.now(),
            used_at: None,
            added_by: self.nurse.person.id.to_string(),
            proofing: "職員証".to_owned(),
        };
        self.hospital.store.add_credential(key, WhichCredential::Any, "test".to_owned()).await.unwrap();
    }

    /// Reports posture that is fresh for an hour.
    pub(super) async fn report_posture(&self) {
        let at = self.hospital.now();
        let row = PostureRow {
            device: self.tablet.clone(),
            name: PostureName::parse("os_patched").unwrap(),
            value: "true".to_owned(),
            source: PostureSourceId::parse("mdm").unwrap(),
            at,
            expires_at: at.after(HOUR),
        };
        self.hospital.store.set_posture(vec![row], at, "posture:mdm".to_owned()).await.unwrap();
    }

    /// Puts lines into the log as the gateway would have written them.
    pub(super) fn write_log(&self, lines: &[String]) {
        let folder = self.hospital.site.parts.config.audit.directory.join("segments");
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(folder.join(format!("{:020}.jsonl", 900_000)), text).unwrap();
    }

    /// An access as the log holds it.
    pub(super) fn access(&self, seat: &Seat, device: &DeviceId, path: &str, at: Timestamp) -> String {
        let moment = at.rfc3339(policy::UtcOffset::UTC).replace('Z', "000Z");
        let Person { id, login, name, .. } = &seat.person;
        format!(
            "{{\"v\":1,\"seq\":900001,\"ts\":\"{moment}\",\"ev\":\"open\",\"id\":\"x\",\"act\":\"read\",\"sub\":\"{id}\",\
             \"login\":\"{login}\",\"name\":\"{name}\",\"role\":[\"nurse\"],\"acr\":\"aal2\",\"sid\":\"{:016x}\",\
             \"dev\":\"{device}\",\"dcls\":\"tablet\",\"ip\":\"10.3.0.7\",\"zone\":\"inside\",\"app\":\"emr\",\
             \"host\":\"{EMR}\",\"m\":\"GET\",\"path\":\"{path}\",\"rule\":\"nurses\",\"pol\":\"x\"}}",
            7
        )
    }

    /// A path of the console with real ids in it.
    pub(super) async fn path(&self, row: &str) -> String {
        let session = self.session_of(&self.nurse).await;
        row.replace("{person}", self.nurse.person.id.as_str())
            .replace("{key}", &key_id().to_string())
            .replace("{device}", self.tablet.as_str())
            .replace("{certificate}", &Fingerprint::new([0x77; 32]).to_string())
            .replace("{session}", &session)
            .replace("{provider}", "city")
            .replace("{version}", &self.version.to_string())
            .replace("{line}", "0")
            .replace("{review}", &self.review.to_string())
            .replace("{question}", &self.question.to_string())
            .replace("{grant}", self.grant.as_str())
            .replace("{glass}", self.glass.as_str())
            .replace("{entry}", "1")
            .replace("{recording}", "00000000-0000-7000-8000-000000000000")
            .replace("{invitation}", &self.invitation().await)
    }

    /// The id of a person's open session.
    pub(super) async fn session_of(&self, seat: &Seat) -> String {
        let open = self.hospital.store.sessions().await.unwrap();
        open.iter().find(|(_, person)| person.id == seat.person.id).map_or("0".repeat(16), |(s, _)| s.id.to_string())
    }

    /// The id of an invitation of the nurse that is in force.
    pub(super) async fn invitation(&self) -> String {
        let all = self.hospital.store.invitations().await.unwrap();
        let one = all
            .iter()
            .find(|one| one.invited.user() == Some(&self.nurse.person.id) && one.is_in_force(self.hospital.now()));
        one.map_or("0".repeat(16), |one| one.id.to_string())
    }

    /// What was written down since an event.
    pub(super) async fn events_after(&self, sequence: u64) -> Vec<Event> {
        self.hospital.store.events_after(sequence, 100).await.unwrap()
    }

    /// The last event there is.
    pub(super) async fn last_event(&self) -> u64 {
        let mut last = 0;
        while let Some(event) = self.hospital.store.events_after(last, 1_000).await.unwrap().last() {
            last = event.sequence;
        }
        last
    }

    /// How the nurse is kept now.
    pub(super) async fn nurse_now(&self) -> Person {
        self.hospital.store.person(&self.nurse.person.id).await.unwrap().unwrap()
    }

    /// How the tablet is kept now.
    pub(super) async fn tablet_now(&self) -> DeviceRecord {
        self.hospital.store.device(&self.tablet).await.unwrap().unwrap()
    }
}

impl Seat {
    /// Opens a page of the console.
    pub(super) async fn get(&self, office: &Office, place: &str) -> Response<Bytes> {
        self.browser.clone().get(&office.hospital, &format!("https://{CONSOLE}{place}")).await
    }

    /// Posts a form of the console.
    pub(super) async fn post(&self, office: &Office, place: &str, form: &str) -> Response<Bytes> {
        self.browser.clone().post(&office.hospital, &format!("https://{CONSOLE}{place}"), form).await
    }

    /// Posts a form with a file.
    pub(super) async fn upload(&self, office: &Office, place: &str, fields: &[(&str, &[u8])]) -> Response<Bytes> {
        let mut body = Vec::new();
        for (name, bytes) in fields {
            body.extend_from_slice(
                format!("--b1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--b1--\r\n");
        let mut headers = self.browser.headers(CONSOLE);
        headers.insert("origin", HeaderValue::from_str(&format!("https://{CONSOLE}")).unwrap());
        headers.insert("content-type", HeaderValue::from_static("multipart/form-data; boundary=b1"));
        let url = format!("https://{CONSOLE}{place}");
        self.browser.clone().send(&office.hospital, "POST", &url, headers, Bytes::from(body)).await
    }

    /// The same person in another language.
    pub(super) fn speaking(&self, language: &'static str) -> Self {
        let browser = Browser { language, ..self.browser.clone() };
        Self { person: self.person.clone(), browser }
    }
}

/// Asks for a window for a vendor, which begins and ends so long from now.
pub(super) async fn ask(hospital: &Hospital, vendor: &Seat, begin: Duration, end: Duration) -> GrantId {
    let at = hospital.now();
    let window = AskedWindow {
        person: vendor.person.id.clone(),
        app: AppId::parse("pacs").unwrap(),
        begin: at.after(begin),
        end: at.after(end),
        purpose: HOSTILE.to_owned(),
        ticket: "T-1".to_owned(),
        plan: format!("1. 記録を見る\n2. {HOSTILE}"),
        file: Some(("作業<計画>.html".to_owned(), "text/html".to_owned(), b"<script>alert(3)</script>".to_vec())),
        reach: GrantReach::default(),
        is_urgent: false,
    };
    hospital.site.parts.grants.ask(window, vendor.person.id.as_str(), at).await.unwrap()
}

/// Glass that somebody broke for a patient, a minute ago.
async fn break_glass(hospital: &Hospital, nurse: &Seat) -> GrantId {
    let (id, at) = (GrantId::parse("glass-0a0b0c0d0e").unwrap(), hospital.now());
    let glass = NewGlass {
        id: id.clone(),
        person: nurse.person.id.clone(),
        app: "emr".parse().unwrap(),
        at,
        end: at.after(MINUTE * 60),
        reason: "emergency".to_owned(),
        words: HOSTILE.to_owned(),
        patient: Some("4711".to_owned()),
        ward: None,
        review_due_at: at.after(MINUTE * 60 * 72),
    };
    let terms = GlassTerms { vendor_roles: Vec::new(), blocks_unreviewed: false };
    hospital.store.break_glass(glass, terms).await.unwrap().unwrap();
    id
}

/// A line of the inventory about that vendor.
async fn add_line(hospital: &Hospital, vendor: &Seat) {
    let line = MaintenanceLine {
        number: 0,
        vendor: HOSTILE.to_owned(),
        contract: "C-1".to_owned(),
        target: HOSTILE.to_owned(),
        app: Some(AppId::parse("pacs").unwrap()),
        path: "関守".to_owned(),
        owner: "医療情報室".to_owned(),
        people: vec![vendor.person.id.clone()],
        note: HOSTILE.to_owned(),
        changed_at: hospital.now(),
    };
    let write = vec![MaintenanceWrite::Add(line)];
    let numbers = hospital.store.write_maintenance(write, hospital.now(), "cli:test".to_owned()).await.unwrap();
    assert_eq!(numbers, [1]);
}

/// A review of the log whose sample is its first line.
pub(super) fn review(at: Timestamp) -> NewReview {
    NewReview {
        since: at,
        until: at.after(HOUR),
        rules: "random:1:1".to_owned(),
        seed: 7,
        opened_at: at,
        opened_by: "cli:test".to_owned(),
        due_at: at.after(HOUR),
        items: vec![NewReviewItem { seq: 0, rule: "random".to_owned() }],
    }
}

/// A version that waits for another person.
pub(super) fn proposal(by: &str, at: Timestamp) -> NewRevision {
    let difference = vec![Difference { ja: "規則が加わった".to_owned(), en: "a rule was added".to_owned() }];
    NewRevision {
        revision: Revision::parse("aa01").unwrap(),
        files: vec![KeptFile { path: "/etc/sekimori.toml".to_owned(), text: "secret text".to_owned() }],
        difference,
        why: "夜勤の体制".to_owned(),
        proposed_at: at,
        proposed_by: by.to_owned(),
        waits: true,
        next_waits: true,
    }
}

pub(super) fn key_id() -> CredentialId {
    CredentialId(vec![0xc1; 16])
}

/// A form that every page takes, with whatever each asks for.
pub(super) const FORM: &str = "why=x&reason=x&proofing=x&hours=24&name=x&login=x2&unit=&id=new-1&class=fixed&asset=&owner=&\
                               place=&os=&os_version=&leaves=&to=on&step=check&app=emr&method=GET&path=%2F&zone=inside&assurance=aal2&by=provider&minutes=0&text=login%2Cname%2Croles%0A";

/// The rows of the table with one method.
pub(super) fn rows(method: &str) -> impl Iterator<Item = (&'static str, crate::ConsolePage)> {
    let method = method.to_owned();
    CONSOLE_TABLE.iter().filter(move |row| row.method == method).map(|row| {
        let crate::Page::Console(page) = row.page else { panic!("{row:?} is no page of the console") };
        (row.path, page)
    })
}

/// Adds a person and signs them in on the ward's terminal.
pub(super) async fn seat(hospital: &Hospital, login: &str, name: &str, role: &str) -> Seat {
    seat_in(hospital, login, name, role, "3病棟").await
}

/// The same with the department they work in.
pub(super) async fn seat_in(hospital: &Hospital, login: &str, name: &str, role: &str, unit: &str) -> Seat {
    let people = &hospital.site.parts.people;
    let (at, actor) = (hospital.now(), "cli:test");
    let roles = vec![RoleId::parse(role).unwrap()];
    let person = NewPerson { login: login.to_owned(), name: name.to_owned(), roles, unit: unit.to_owned() };
    let person = people.add(person, actor, at).await.unwrap();
    let signed_in = SignedIn {
        person: person.clone(),
        assurance: Assurance::Aal2,
        methods: Methods::of([SignInMethod::Provider]),
        authenticated_at: at,
        id_token: Secret("none".to_owned()),
        provider_session: None,
        refresh_token: None,
        return_to: String::new(),
    };
    let host = Host::parse(CONSOLE).unwrap();
    // A device of their own: a shared one would park whoever was there before.
    let opening = Opening::by_provider(signed_in, Some(desk_of(hospital, login).await), host);
    let (session, token) = hospital.sessions.open(opening, at).await.unwrap();
    let mut browser = Browser::at(Some(desk_of(hospital, login).await));
    let cookies = browser.cookies.entry(CONSOLE.to_owned()).or_default();
    cookies.insert("__Host-sekimori".to_owned(), token.expose().to_owned());
    let token = hospital.sessions.add_token(session.id(), &Host::parse(PORTAL).unwrap()).await.unwrap().unwrap();
    let cookies = browser.cookies.entry(PORTAL.to_owned()).or_default();
    cookies.insert("__Host-sekimori".to_owned(), token.expose().to_owned());
    Seat { person, browser }
}

/// A device at somebody's desk, in the ledger.
async fn desk_of(hospital: &Hospital, login: &str) -> Arc<policy::Device> {
    let id = DeviceId::parse(&format!("desk-{}", login.replace('@', "."))).unwrap();
    let digest: Vec<u8> = login.bytes().cycle().take(32).collect();
    let certificate = Fingerprint::new(digest.try_into().unwrap());
    let record = DeviceRecord {
        certificates: vec![CertificateRecord::own(certificate, hospital.now(), Timestamp::MAX)],
        ..DeviceRecord::new(id.clone(), DeviceClass::Fixed, hospital.now())
    };
    // The second call finds it there.
    drop(hospital.store.add_device(record, "test".to_owned()).await);
    let mut device = policy::Device::clone(&ward_terminal());
    (device.id, device.class, device.certificate) = (id, DeviceClass::Fixed, certificate);
    Arc::new(device)
}

//! What the terminal promises, asked of the real configuration reader and the real policy.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::Config;
use policy::{
    Access, AppId, Assurance, Challenge, Device, DeviceClass, DeviceId, Fingerprint, From, Host, Judge, Method, Policy,
    ProviderId, Reason, RequestId, RoleId, SessionId, Timestamp, UserId, Verdict, Who, ZoneId,
};

use super::super::people::{DEVICES, PEOPLE, Standing};
use super::*;

const NOW: Timestamp = Timestamp::from_unix_micros(1_800_000_000_000_000);

/// A folder that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sekimori-demo-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for file in [SERVER_CERTIFICATE_FILE, SERVER_KEY_FILE, CLIENT_SECRET_FILE] {
            let file = folder.join(file);
            fs::write(&file, "secret\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn config(name: &str) -> Config {
    let folder = Folder::new(name);
    match config::parse(&config_text(&Ports::default()), CONFIG_FILE, &folder.0) {
        Ok(config) => config,
        Err(problems) => panic!("{problems}"),
    }
}

/// How an answer reads in a test.
fn ask(judge: &mut Judge, role: &str, device: &str, request: &str) -> String {
    let mut access = access(role, device, request);
    let policy::Classified { action, class, .. } =
        judge.policy().classifier(&access.app).classify(&access.method, &access.path);
    access.class = class;
    if access.action != policy::Action::Connect {
        access.action = action;
    }
    match judge.judge(access, ()) {
        Verdict::Allow(authorized) => format!("yes: {}", authorized.permit().rule()),
        Verdict::Challenge(_, Challenge::SignIn) => "sign in".to_owned(),
        Verdict::Challenge(_, Challenge::StepUp(level)) => format!("step up to {}", level.as_str()),
        Verdict::Deny(refused) => format!("no: {} by {}", refused.reasons.main, refused.reasons.rule),
    }
}

/// `request` is an app, a method and a path; `device` is one of the demo's, or `-` for no certificate.
fn access(role: &str, device: &str, request: &str) -> Access {
    let [app, method, path] = request.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let enrolled = DEVICES.iter().filter(|one| one.standing == Standing::Enrolled);
    let device = enrolled.into_iter().find(|one| one.id == device).map(|one| device_of(one.id, one.class));
    let method = Method::parse(method).unwrap();
    let action = if path == "/ws" { policy::Action::Connect } else { method.action() };
    Access {
        request: RequestId::new(NOW, 1),
        at: NOW,
        app: AppId::parse(app).unwrap(),
        action,
        class: None,
        method,
        host: Host::parse(HostName::Emr.as_str()).unwrap(),
        path: policy::Path::parse(path).unwrap(),
        who: (role != "-").then(|| Arc::new(who(role, device.as_ref().map(|device| device.id.clone())))),
        device: device.map(Arc::new),
        from: From { address: [127, 0, 0, 1].into(), zone: ZoneId::parse("inside").unwrap() },
        grant: None,
    }
}

fn device_of(id: &str, class: DeviceClass) -> Device {
    Device {
        id: DeviceId::parse(id).unwrap(),
        class,
        place: Arc::from(""),
        certificate: Fingerprint::new([7; 32]),
        posture: Arc::from([]),
    }
}

fn who(role: &str, bound_to: Option<DeviceId>) -> Who {
    Who {
        user: UserId::parse("u-1").unwrap(),
        login: Arc::from("someone"),
        name: Arc::from("someone"),
        unit: "".into(),
        provider: ProviderId::parse(PROVIDER_ID).unwrap(),
        issuer: Arc::from("http://127.0.0.1:8480"),
        subject: Arc::from("demo"),
        roles: Arc::from([RoleId::parse(role).unwrap()]),
        session: SessionId::new(1),
        assurance: Assurance::Aal2,
        methods: policy::Methods::NONE,
        key_model: None,
        in_outage: false,
        roles_confirmed_at: NOW,
        authenticated_at: NOW,
        bound_to,
        ends_at: NOW.after(Duration::from_secs(3_600)),
    }
}

const READ: &str = "emr GET /fhir/Patient/00012345";
const NOTE: &str = "emr POST /charts/00012345/notes";
const DELETE: &str = "emr DELETE /fhir/Observation/hr-00012345";
const RECEIPTS: &str = "orca GET /api01rv2/patientgetv2";

#[test]
fn the_rules_decide_as_the_terminal_says() {
    let config = config("rules");
    let mut judge = Judge::new(Arc::new(Policy::load(&config.policy).unwrap()));
    let needs_device = |rule: &str| format!("no: {} by {rule}", Reason::DeviceRequired);
    let nothing = format!("no: {} by default-deny", Reason::RoleNotAllowed);
    let mut check = |role: &str, device: &str, request: &str, expected: &str| {
        assert_eq!(ask(&mut judge, role, device, request), expected, "{role} on {device}: {request}");
    };
    for request in [READ, NOTE, DELETE, RECEIPTS] {
        check("-", "ward-tablet-1", request, "sign in");
        for role in ["auditor", "administrator"] {
            check(role, "consulting-room-1", request, &nothing);
        }
    }
    check("nurse", "ward-tablet-1", DELETE, "no: forbidden by nurse-never-deletes");
    check("nurse", "-", DELETE, "no: forbidden by nurse-never-deletes");
    check("nurse", "-", READ, &needs_device("ward-reads-emr"));
    check("nurse", "stray-tablet", READ, &needs_device("ward-reads-emr"));
    check("nurse", "vendor-laptop-1", READ, "no: device-class-not-allowed by ward-reads-emr");
    check("nurse", "ward-tablet-1", "emr PUT /fhir/Patient/00012345", "no: path-not-allowed by nurse-writes-notes");
    check("nurse", "ward-tablet-1", RECEIPTS, &nothing);
    check("doctor", "-", DELETE, &needs_device("doctor-works-in-emr"));
    check("vendor", "vendor-laptop-1", READ, &nothing);

    for device in ["ward-tablet-1", "nurse-station-1", "consulting-room-1"] {
        check("nurse", device, READ, "yes: ward-reads-emr");
        check("nurse", device, NOTE, "yes: nurse-writes-notes");
        check("nurse", device, "emr GET /ws", "yes: ward-reads-emr");
        check("doctor", device, DELETE, "yes: doctor-works-in-emr");
    }
    check("vendor", "-", RECEIPTS, "yes: vendor-maintains-orca");
    check("vendor", "-", "orca POST /api01rv2/patientlst2v2", "yes: vendor-maintains-orca");
    check("nurse", "ward-tablet-1", "emr POST /fhir/Observation/_search", "yes: ward-reads-emr");
    for export in ["emr GET /fhir/Patient/00012345/$everything", "emr GET /fhir/$export"] {
        check("doctor", "ward-tablet-1", export, "yes: doctor-takes-out");
        check("nurse", "ward-tablet-1", export, "no: action-not-allowed by ward-reads-emr");
        check("doctor", "-", export, &needs_device("doctor-takes-out"));
    }
    let doctor_reads = ask(&mut judge, "doctor", "-", READ);
    assert!(doctor_reads.starts_with("no: device-required"), "{doctor_reads}");
}

#[test]
fn the_administrator_has_the_console_and_a_nurse_reads_while_the_provider_is_out() {
    let config = config("console");
    let mut judge = Judge::new(Arc::new(Policy::load(&config.policy).unwrap()));
    let console = "console GET /people";
    assert_eq!(ask(&mut judge, "administrator", "consulting-room-1", console), "yes: builtin-console");
    assert!(ask(&mut judge, "administrator", "-", console).starts_with("no: device-required"));
    assert!(ask(&mut judge, "nurse", "consulting-room-1", console).starts_with("no: role-not-allowed"));
    let mut in_outage = |request: &str| {
        let mut access = access("nurse", "ward-tablet-1", request);
        Arc::make_mut(access.who.as_mut().unwrap()).in_outage = true;
        matches!(judge.judge(access, ()), Verdict::Allow(_))
    };
    assert!(in_outage(READ) && !in_outage(NOTE));
}

#[test]
fn the_configuration_is_whole() {
    let config = config("whole");
    assert_eq!(config.origin(&config.login_host), HostName::Login.origin(&Ports::default()));
    assert_eq!(config.apps.len(), 2);
    let [provider] = config.providers.as_slice() else { panic!("one provider") };
    assert_eq!((provider.id.as_str(), provider.client_id.as_str()), (PROVIDER_ID, CLIENT_ID));
    for person in &PEOPLE {
        let role = provider.roles.iter().find(|(group, _)| group == person.group).map(|(_, role)| role.as_str());
        assert_eq!(role, Some(person.role));
    }
    assert!(provider.assurance.contains(&("mfa".to_owned(), Assurance::Aal2)));
}

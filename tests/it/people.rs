//! Invitations, temporary codes, the first administrator, and people who leave.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Ask, Frame, Hospital, Manner, Person, Plan, Upstream, WebSocket, eventually, within};
use url::Url;

use crate::stream::handshake;

const ONE_SECOND: Duration = Duration::from_secs(1);
/// What the command itself may take to start and write, which is not the gateway's delay.
const COMMAND: Duration = Duration::from_millis(500);
/// Clerks may keep something open, from any device.
const CONNECT: &str = "[[rule]]\nid = \"clerks-listen\"\neffect = \"permit\"\nroles = [\"clerk\"]\napps = \"all\"\n\
                       actions = [\"connect\"]\npaths = [\"/socket/*\"]\ndevices = \"any\"";

struct Office {
    hospital: Hospital,
    emr: Upstream,
}

impl Office {
    fn open() -> Self {
        let emr = Upstream::http1();
        let plan = Plan::with_emr(emr.address()).with_console().block(CONNECT);
        Self { hospital: Hospital::open(plan), emr }
    }

    fn anyone(&self) -> Person {
        Person::by_key(&self.hospital.stranger(), &self.hospital.key())
    }

    fn reception(&self) -> String {
        self.hospital.url("emr", "/reception/form")
    }
}

/// Waits for a line of what another process did, or the store.
async fn told(office: &Office, event: &str) {
    eventually(event, async || (!office.hospital.records().with("ev", event).is_empty()).then_some(())).await;
}

#[tokio::test]
async fn an_invitation_is_good_once() {
    let office = Office::open();
    let code = office.hospital.add_person("yamada", "山田 花子", "clerk");
    let (first, second) = (office.hospital.key(), office.hospital.key());
    office.anyone().enrol(&code, &first, &Manner::default()).await.expect(200);
    office.anyone().enrol(&code, &second, &Manner::default()).await.expect_problem(400, "code-void");
    told(&office, "invitation-used").await;
    let records = office.hospital.records();
    assert_eq!(records.with("ev", "key-added").len(), 1);
    let made = records.with("ev", "invitation-made").only().clone();
    assert_eq!(made["proofing"], "職員証", "{made}");
    assert!(made["actor"].as_str().unwrap().starts_with("cli:"), "{made}");
}

#[tokio::test]
async fn of_two_browsers_with_one_code_one_gets_the_key_in() {
    let office = Office::open();
    let code = office.hospital.add_person("yamada", "山田 花子", "clerk");
    let (mut one, mut two) = (office.anyone(), office.anyone());
    let ask = json!({ "code": code });
    let first = one.tell("/enrol/begin", &ask).await.expect(200).json();
    let second = two.tell("/enrol/begin", &ask).await.expect(200).json();
    let name = || json!({ "name": "鍵" });
    one.finish_enrolment(&first, &office.hospital.key(), &Manner::default(), name()).await.expect(200);
    let late = two.finish_enrolment(&second, &office.hospital.key(), &Manner::default(), name()).await;
    late.expect_problem(400, "code-void");
    told(&office, "key-added").await;
    assert_eq!(office.hospital.records().with("ev", "key-added").len(), 1);
}

#[tokio::test]
async fn an_invitation_ends_by_itself() {
    let office = Office::open();
    let _ = office.hospital.add_person("yamada", "山田 花子", "clerk");
    let words = ["user", "invite", "yamada", "--proofing", "職員証", "--valid", "2s", "--format", "json"];
    let code = office.hospital.run(&words).ok().json()["code"].as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let key = office.hospital.key();
    office.anyone().enrol(&code, &key, &Manner::default()).await.expect_problem(400, "code-void");
}

#[tokio::test]
async fn an_invitation_is_for_the_person_it_names() {
    let office = Office::open();
    let code = office.hospital.add_person("yamada", "山田 花子", "clerk");
    let other = office.hospital.add_person("tanaka", "田中 一郎", "pharmacist");
    let begun = office.anyone().tell("/enrol/begin", &json!({ "code": code })).await.expect(200).json();
    assert_eq!(begun["options"]["publicKey"]["user"]["name"], "yamada");
    // Who the code names does not say that they are somebody else.
    let said = json!({ "code": code, "login": "tanaka", "person": "田中 一郎" });
    office.anyone().tell("/enrol/begin", &said).await.expect_problem(400, "code-void");
    let key = office.hospital.key();
    let mut tanaka = Person::by_key(&office.hospital.stranger(), &key);
    tanaka.enrol(&other, &key, &Manner::default()).await.expect(200);
    tanaka.open(&office.reception()).await.expect(403);
    let signed_in = office.hospital.records().with("ev", "signed-in").last().clone();
    assert_eq!(signed_in["login"], "tanaka", "{signed_in}");
}

#[tokio::test]
async fn a_temporary_code_is_good_for_a_shift_and_says_why_it_was_given() {
    let office = Office::open();
    let _ = office.hospital.add_person("yamada", "山田 花子", "clerk");
    let issue = |valid: &str| {
        let words =
            ["user", "temporary", "yamada", "--reason", "鍵を自宅に忘れた", "--valid", valid, "--format", "json"];
        office.hospital.run(&words)
    };
    assert_ne!(issue("13h").code, Some(0), "no longer than a shift");
    let code = issue("8h").ok().json()["code"].as_str().unwrap().to_owned();
    let login = office.hospital.url("login", "");
    let form = Url::parse(&office.hospital.url("login", "/temporary")).unwrap();
    let mut yamada = office.anyone();
    yamada.post(&form, &login, &[("code", "ABCD-EFGH-JKMN")]).await.expect(400);
    let answer = yamada.post(&form, &login, &[("code", &code)]).await;
    assert!(matches!(answer.status, 200 | 302 | 303), "{}", answer.text());
    yamada.open(&office.reception()).await.expect(200);
    told(&office, "temporary-code-issued").await;
    let records = office.hospital.records();
    let issued = records.with("ev", "temporary-code-issued").only().clone();
    assert_eq!(issued["reason"], "鍵を自宅に忘れた", "{issued}");
    assert_eq!(records.with("ev", "temporary-code-used").len(), 1);
    let opened = records.opened("/reception/form").only().clone();
    assert_eq!((&opened["acr"], &opened["amr"]), (&"aal1".into(), &json!(["temporary"])), "{opened}");
}

#[tokio::test]
async fn who_is_changed_at_the_command_line_works_in_other_roles_at_once() {
    let office = Office::open();
    let (key, code) = (office.hospital.key(), office.hospital.add_person("yamada", "山田 花子", "clerk"));
    let mut yamada = Person::by_key(&office.hospital.stranger(), &key);
    yamada.enrol(&code, &key, &Manner::default()).await.expect(200);
    yamada.open(&office.reception()).await.expect(200);
    let words = ["user", "change", "yamada", "--role", "pharmacist", "--unit", "薬剤部"];
    let changed = office.hospital.run(&words).ok().out;
    assert!(changed.contains("roles: clerk -> pharmacist") && changed.contains("unit: - -> 薬剤部"), "{changed}");
    let begin = Instant::now();
    eventually("the other roles", async || (yamada.open(&office.reception()).await.status == 403).then_some(())).await;
    assert!(begin.elapsed() < 2 * ONE_SECOND, "{:?}", begin.elapsed());
    told(&office, "person-changed").await;
    let told = office.hospital.records().with("ev", "person-changed").only().clone();
    assert_eq!((&told["was"], &told["role"]), (&json!(["clerk"]), &json!(["pharmacist"])), "{told}");
    assert!(told["actor"].as_str().unwrap().starts_with("cli:"), "{told}");

    assert!(office.hospital.run(&words).ok().out.contains("is so already"), "nothing is told twice");
    let _ = office.hospital.add_person("tanaka", "田中 一郎", "clerk");
    for (bad, code, said) in [
        (vec!["yamada"], 64, "--role"),
        (vec!["yamada", "--role", "king"], 64, "`king` is not in"),
        (vec!["yamada", "--role", "clerk", "--no-roles"], 64, "cannot be used with"),
        (vec!["yamada", "--login", "Tanaka"], 64, "is taken"),
        (vec!["yamada", "--name", ""], 64, "a name has"),
        (vec!["nobody", "--unit", "3F"], 1, "nobody is known"),
    ] {
        let words: Vec<&str> = ["user", "change"].into_iter().chain(bad).collect();
        let run = office.hospital.run(&words);
        assert_eq!(run.code, Some(code), "{words:?}: {}", run.err);
        assert!(run.err.contains(said), "{words:?}: {}", run.err);
    }
    let _ = office.hospital.run(&["user", "change", "yamada", "--no-roles", "--login", "h.yamada"]).ok();
    let listed = office.hospital.run(&["user", "list", "--search", "h.yamada", "--format", "json"]).ok().json();
    assert_eq!((&listed["login"], &listed["roles"]), (&json!("h.yamada"), &json!([])), "{listed}");
}

#[tokio::test]
async fn a_table_with_a_mistake_names_its_place_and_code_in_both_languages() {
    let office = Office::open();
    let file = office.hospital.folder().path().join("people.csv");
    std::fs::write(&file, "login,name,roles\ngood,良子,clerk\nbad,悪子,king\n").unwrap();
    let run = office.hospital.run(&["user", "import", "people.csv"]);
    assert_eq!(run.code, Some(64), "{}", run.out);
    for said in ["people.csv:3:3: role: the role `king`", "役割「king」は設定の", "nothing was imported"] {
        assert!(run.err.contains(said), "{said}: {}", run.err);
    }
    assert!(office.hospital.run(&["user", "list", "--search", "good", "--format", "json"]).ok().out.trim().is_empty());
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_with_all_that_is_open() {
    let office = Office::open();
    let (key, code) = (office.hospital.key(), office.hospital.add_person("yamada", "山田 花子", "clerk"));
    let mut yamada = Person::by_key(&office.hospital.stranger(), &key);
    yamada.enrol(&code, &key, &Manner::default()).await.expect(200);
    yamada.open(&office.reception()).await.expect(200);
    let spare = office.hospital.invite("yamada");
    let cookie = yamada.jar().field("emr.hospital.test");
    let mut connection = office.hospital.stranger().http1("emr").await;
    let response = connection.send(handshake(Ask::get("emr", "/socket/ward").header("cookie", &cookie))).await.unwrap();
    assert_eq!(response.status(), 101);
    let stream = hyper::upgrade::on(response).await.unwrap();
    let mut socket = WebSocket::client(hyper_util::rt::TokioIo::new(stream));

    let begin = Instant::now();
    let _ = office.hospital.run(&["user", "disable", "yamada", "--reason", "退職"]).ok();
    let end = within(ONE_SECOND + COMMAND, "the end of the WebSocket", socket.next()).await;
    assert_eq!(end, Some(Frame::Close(Some(1008))));
    assert!(begin.elapsed() < ONE_SECOND + COMMAND, "{:?}", begin.elapsed());
    let reception = Url::parse(&office.reception()).unwrap();
    eventually("the session is over", async || (yamada.step_as_program(&reception).await.status == 401).then_some(()))
        .await;
    Person::by_key(&office.hospital.stranger(), &key)
        .open(&office.reception())
        .await
        .expect_problem(403, "passkey-refused");
    office.anyone().enrol(&spare, &office.hospital.key(), &Manner::default()).await.expect_problem(400, "code-void");
    told(&office, "person-disabled").await;
    let records = office.hospital.records();
    let disabled = records.with("ev", "person-disabled").only().clone();
    assert_eq!(disabled["reason"], "退職", "{disabled}");
    assert!(office.emr.seen().len() >= 2);
}

#[tokio::test]
async fn the_first_administrator_comes_by_a_code_and_there_is_no_second_first_one() {
    let office = Office::open();
    let first = ["user", "first-admin", "--format", "json"];
    let code = office.hospital.run(&first).ok().json()["code"].as_str().unwrap().to_owned();
    let key = office.hospital.key();
    let mut chief = Person::by_key(&office.hospital.stranger(), &key);
    let asked = chief.tell("/enrol/begin", &json!({ "code": code })).await.expect(200).json();
    assert_eq!(asked["ask"], "newcomer", "{asked}");
    let said = json!({ "code": code, "login": "kanri", "person": "管理 太郎" });
    let begun = chief.tell("/enrol/begin", &said).await.expect(200).json();
    chief.finish_enrolment(&begun, &key, &Manner::default(), json!({ "name": "鍵" })).await.expect(200);
    chief.open(&office.hospital.url("portal", "/")).await.expect(200);
    let opened = office.hospital.records().opened("/").with("app", "portal").only().clone();
    assert_eq!((&opened["login"], &opened["role"]), (&"kanri".into(), &json!(["administrator"])), "{opened}");
    assert_eq!(office.hospital.run(&first).code, Some(1), "there is one now");
    office.anyone().tell("/enrol/begin", &said).await.expect_problem(400, "code-void");
}

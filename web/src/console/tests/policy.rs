//! What the console tells of the policy: why an access is answered as it is, and which version came from whom.

use http::StatusCode;
use http::header::LOCATION;
use store::{Approval, Change, NewRevision, RevisionState};

use super::office::{HOSTILE, HOUR, Office, proposal, seat};
use crate::testing::text;
use crate::{ReplayTable, ReplayText, Replayed};

fn form(fields: &[(&str, &str)]) -> String {
    let given = |name: &str| fields.iter().any(|(given, _)| *given == name);
    let usual = [
        ("app", "emr"),
        ("method", "GET"),
        ("path", "/patients/4711"),
        ("zone", "inside"),
        ("assurance", "aal2"),
        ("by", "provider"),
        ("minutes", "0"),
    ];
    let usual = usual.into_iter().filter(|(name, _)| !given(name));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(usual).extend_pairs(fields).finish()
}

#[tokio::test]
async fn an_access_that_is_described_is_answered_with_its_rule_and_what_would_turn_it() {
    let office = Office::open().await;
    for (seat, language) in [(office.auditor.speaking("en"), "en"), (office.administrator.speaking("ja"), "ja")] {
        let words = |en: &'static str, ja: &'static str| if language == "en" { en } else { ja };
        let said = async |fields: &[(&str, &str)], status| {
            let answer = seat.post(&office, "/explain", &form(fields)).await;
            assert_eq!(answer.status().as_u16(), status, "{fields:?}: {}", text(&answer));
            text(&answer)
        };
        let yes = said(&[("person", "n.sato"), ("device", "tablet-7")], 200).await;
        assert!(yes.contains(words(">Allowed<", ">許可<")) && yes.contains("nurses"), "{yes}");
        assert!(yes.contains("佐藤 花子") && yes.contains("/patients/4711"), "{yes}");
        let no = said(&[("role", "auditor"), ("class", "tablet")], 200).await;
        assert!(no.contains(words(">Not allowed<", ">不可<")), "{no}");
        assert!(no.contains(words("have the role 看護師", "看護師")) || no.contains("Nurse"), "{no}");
        let nobody = said(&[], 200).await;
        assert!(nobody.contains(words("Not before signing in", "サインインするまでは不可")), "{nobody}");
        for wrong in [
            ("person", "nobody"),
            ("device", "no-such-device"),
            ("app", "no-such-app"),
            ("zone", "elsewhere"),
            ("path", "no-path"),
            ("at", "tomorrow"),
            ("minutes", "-1"),
            ("posture", "\u{1F512}"),
            ("class", "toaster"),
        ] {
            let page = said(&[wrong], 422).await;
            assert!(!page.contains('⟨'), "{wrong:?}");
        }
    }
}

#[tokio::test]
async fn what_is_typed_stays_text_and_in_the_form() {
    let office = Office::open().await;
    let answer = office.administrator.post(&office, "/explain", &form(&[("person", HOSTILE)])).await;
    let page = text(&answer);
    assert!(!page.contains("<script>alert") && page.contains("&#34;") | page.contains("&quot;"), "{page}");
    assert!(page.contains("/patients/4711"), "nothing is typed twice");
}

#[tokio::test]
async fn an_access_of_the_log_is_explained_and_the_look_is_recorded() {
    let office = Office::open().await;
    let id = "019ab2c4-5d6e-7f80-9a1b-2c3d4e5f6a7b";
    let line = office.access(&office.nurse, &office.tablet, "/patients/4711", office.hospital.now());
    office.write_log(&[line.replace("\"id\":\"x\"", &format!("\"id\":\"{id}\""))]);
    for asked in [id, "4e5f%206a7b"] {
        let answer = office.auditor.get(&office, &format!("/explain?request={asked}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
        let page = text(&answer);
        assert!(page.contains("/patients/4711") && page.contains("nurses"), "{page}");
    }
    let reads = office.hospital.lines().matches("\"why\":\"explain\"").count();
    assert_eq!(reads, 2, "{}", office.hospital.lines());
    for (asked, reads) in [("00000000", 3), ("nonsense", 3)] {
        let answer = office.auditor.get(&office, &format!("/explain?request={asked}")).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{asked}");
        assert_eq!(office.hospital.lines().matches("\"why\":\"explain\"").count(), reads, "{asked}");
    }
}

#[tokio::test]
async fn a_version_shows_who_what_why_and_what_its_replay_came_to() {
    let office = Office::open().await;
    let tables = vec![ReplayTable {
        title: "職種ごと".to_owned(),
        headings: vec!["役割".to_owned()],
        rows: vec![vec![HOSTILE.to_owned()]],
        left: 7,
    }];
    let ja = ReplayText {
        title: "方針案を過去の記録で試した結果".to_owned(),
        facts: vec![("結果が変わるもの".to_owned(), "12".to_owned())],
        remarks: vec!["注意".to_owned()],
        tables,
    };
    let replay = Replayed::new(("aa00".to_owned(), "aa02".to_owned()), (100, 12), ja.clone(), ja);
    let new = NewRevision { why: HOSTILE.to_owned(), ..proposal("cli:h.ito", office.hospital.now()) };
    let number = office.hospital.store.propose_revision(new, Some(replay.text())).await.unwrap();
    let auditor = office.auditor.speaking("ja");
    let list = text(&auditor.get(&office, "/versions").await);
    assert!(list.contains(&format!("href=\"/versions/{number}\"")) && list.contains("承認待ち"), "{list}");
    let page = text(&auditor.get(&office, &format!("/versions/{number}")).await);
    for word in ["規則が加わった", "結果が変わるもの", "ほか7行", "注意", "職種ごと", "h.ito"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    for secret in ["<script>alert", "secret text", "/approve"] {
        assert!(!page.contains(secret) && !list.contains(secret), "{secret}");
    }
    let without = text(&auditor.get(&office, &format!("/versions/{}", office.version)).await);
    assert!(without.contains("--replay"), "{without}");
    for nothing in ["/versions/999", "/versions/0", "/versions/x", "/versions/-1"] {
        assert_eq!(auditor.get(&office, nothing).await.status(), StatusCode::NOT_FOUND, "{nothing}");
    }
}

#[tokio::test]
async fn another_administrator_approves_and_it_is_told() {
    let office = Office::open().await;
    let place = format!("/versions/{}/approve", office.version);
    let asked = text(&office.administrator.get(&office, &place).await);
    assert!(asked.contains(&format!("action=\"{place}\"")), "{asked}");
    let before = office.last_event().await;
    let approved = office.administrator.post(&office, &place, "").await;
    assert_eq!(approved.status(), StatusCode::SEE_OTHER, "{}", text(&approved));
    let next = approved.headers()[LOCATION].to_str().unwrap();
    let page = text(&office.administrator.get(&office, next).await);
    assert!(page.contains(&format!("sekimori policy put {}", office.version)), "{page}");
    let events = office.events_after(before).await;
    let told: Vec<_> = events.iter().map(|event| (&event.change, event.actor.as_str())).collect();
    assert_eq!(told, [(&Change::PolicyApproved(office.version), office.administrator.person.id.as_str())]);
    let again = office.administrator.post(&office, &place, "").await;
    assert_eq!(again.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn nobody_approves_what_they_proposed_or_what_nobody_known_proposed() {
    let office = Office::open().await;
    let store = &office.hospital.store;
    let mail = seat(&office.hospital, "t.abe@hosp.example", "阿部 透", "administrator").await;
    for (by, second, expected) in [
        ("cli:k.mori#1001=k.mori", &office.administrator, false),
        ("cli:K.Mori#1001=k.mori", &office.administrator, false),
        ("cli:t.abe#1003=t.abe", &mail, false),
        ("cli:k.mori#1001=k.mori", &mail, true),
        // Somebody else's name, which anybody can set: the same person, or nobody knows who.
        ("cli:h.ito#1001=k.mori", &office.administrator, false),
        ("cli:h.ito#1001", &office.administrator, false),
        ("cli:h.ito", &office.administrator, false),
        ("cli:h.ito#1002=h.ito", &office.administrator, true),
        ("cli:root#0=root", &office.administrator, false),
        ("cli:mori#1004=mori", &office.administrator, false),
        ("file", &office.administrator, false),
        ("gateway:denials", &office.administrator, false),
    ] {
        let number = store.propose_revision(proposal(by, office.hospital.now()), None).await.unwrap();
        let place = format!("/versions/{number}/approve");
        let before = office.last_event().await;
        let offered = text(&second.get(&office, &place).await).contains(&format!("action=\"{place}\""));
        let status = second.post(&office, &place, "").await.status();
        let came = if expected { StatusCode::SEE_OTHER } else { StatusCode::UNPROCESSABLE_ENTITY };
        assert_eq!((offered, status), (expected, came), "{by}");
        assert_eq!(office.events_after(before).await.len(), usize::from(expected), "{by}");
    }
}

#[tokio::test]
async fn what_another_version_overtook_is_not_approved_here() {
    let office = Office::open().await;
    let store = &office.hospital.store;
    office.hospital.pass_seconds(60);
    let at = office.hospital.now();
    let other = NewRevision { waits: false, ..proposal("cli:h.ito", at) };
    let other = store.propose_revision(other, None).await.unwrap();
    assert!(store.note_activated(other, at.after(HOUR)).await.unwrap());
    let place = format!("/versions/{}/approve", office.version);
    let refused = office.administrator.post(&office, &place, "").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let kept = store.revision(office.version).await.unwrap().unwrap();
    let last = store.last_activated_revision().await.unwrap();
    assert_eq!(kept.state(last.as_ref()), RevisionState::WaitsBehind);
    // At the machine, where the difference to what is in force now is told, it still can be.
    let given = store.approve_revision(office.version, at.after(HOUR * 2), "cli:k.mori".to_owned()).await.unwrap();
    assert_eq!(given, Approval::Given);
}

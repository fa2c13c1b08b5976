use store::{Change, Invited, Purpose, Store};

use super::*;
use crate::passkey::tests::authenticator::Manner;
use crate::passkey::tests::{Clinic, ORIGIN, role};
use crate::testing::{START, nurse};
use crate::{CsvFault, CsvProblem, Whom};

const HOUR: Duration = Duration::from_secs(3600);

fn problems<T: fmt::Debug>(taken: Result<T, ImportProblem>) -> Vec<CsvProblem> {
    match taken.unwrap_err() {
        ImportProblem::Lines(problems) => problems,
        ImportProblem::People(problem) => panic!("{problem}"),
    }
}

fn lines<T: fmt::Debug>(taken: Result<T, ImportProblem>) -> Vec<(usize, usize)> {
    problems(taken).iter().map(|CsvProblem { line, column, .. }| (*line, *column)).collect()
}

#[tokio::test]
async fn people_are_added_with_names_and_roles_that_can_be_kept() {
    let clinic = Clinic::open();
    let person = clinic.add("n.sato").await;
    assert_eq!(clinic.people.by_login("N.SATO").await.unwrap().as_ref(), Some(&person));
    let good = NewPerson { login: "佐藤".to_owned(), name: "佐藤 花子".to_owned(), ..NewPerson::default() };
    let add = async |person: NewPerson| clinic.people.add(person, "cli:test", START).await;
    assert!(matches!(
        add(NewPerson { login: "n.Sato".to_owned(), ..good.clone() }).await,
        Err(PeopleProblem::LoginTaken(_))
    ));
    for login in ["", " ", "a b", "a,b", "a\nb", "<b>", &"x".repeat(101)] {
        assert!(
            matches!(add(NewPerson { login: login.to_owned(), ..good.clone() }).await, Err(PeopleProblem::Login)),
            "{login:?}"
        );
    }
    assert!(matches!(add(NewPerson { name: String::new(), ..good.clone() }).await, Err(PeopleProblem::Name)));
    assert!(matches!(add(NewPerson { unit: "\u{0}".to_owned(), ..good.clone() }).await, Err(PeopleProblem::Unit)));
    assert!(matches!(add(NewPerson { roles: vec![role("king")], ..good.clone() }).await, Err(PeopleProblem::Role(_))));
    let twice = add(NewPerson { roles: vec![role("nurse"), role("doctor"), role("nurse")], ..good }).await.unwrap();
    assert_eq!(twice.roles, [role("doctor"), role("nurse")]);
}

#[tokio::test]
async fn what_a_provider_says_is_changed_at_the_provider() {
    let clinic = Clinic::open();
    clinic.store.remember_person(nurse()).await.unwrap();
    let roles = PersonChange { roles: Some(vec![role("doctor")]), ..PersonChange::default() };
    let change = async |id: &UserId, change: PersonChange| clinic.people.change(id, change, "cli:test", START).await;
    assert!(matches!(change(&nurse().id, roles.clone()).await, Err(PeopleProblem::NotLocal)));
    let unit = PersonChange { unit: Some("4階".to_owned()), ..PersonChange::default() };
    change(&nurse().id, unit).await.expect("where they work is the hospital's to say");
    let local = clinic.add("sato").await;
    change(&local.id, roles).await.unwrap();
    assert_eq!(clinic.people.person(&local.id).await.unwrap().unwrap().roles, [role("doctor")]);
    let unknown = PersonChange { roles: Some(vec![role("king")]), ..PersonChange::default() };
    assert!(matches!(change(&local.id, unknown).await, Err(PeopleProblem::Role(_))));
}

#[tokio::test]
async fn leavers_lose_everything_at_once() {
    let mut clinic = Clinic::open();
    let person = clinic.enrol("sato").await;
    let code = clinic.invite(&person.id).await;
    assert!(matches!(
        clinic.people.disable(&person.id, " ", "cli:test", START).await,
        Err(PeopleProblem::ReasonMissing)
    ));
    clinic.people.disable(&person.id, "退職", "cli:test", START).await.unwrap();
    assert!(clinic.people.look_at_invitation(&code.expose(), START).await.unwrap().is_none());
    assert!(clinic.sign_in(Whom::Anyone, 0, &Manner::honest(ORIGIN)).await.is_err());
    assert!(matches!(clinic.people.disable(&person.id, "退職", "x", START).await, Err(PeopleProblem::Unknown)));
    let invited = clinic.people.invite(&person.id, HOUR, "対面", "cli:test", START).await;
    assert!(matches!(invited, Err(PeopleProblem::Unknown)), "{invited:?}");
}

#[tokio::test]
async fn accounts_that_nobody_uses_are_disabled_and_told() {
    let clinic = Clinic::open();
    let unused = clinic.add("unused").await;
    clinic.hands.turn(Duration::from_secs(91 * 86_400));
    clinic.add("new").await;
    let days = Duration::from_secs(90 * 86_400);
    let disabled = clinic.people.disable_unused(days, clinic.now()).await.unwrap();
    assert_eq!(disabled.iter().map(|person| &person.id).collect::<Vec<_>>(), [&unused.id]);
    assert!(clinic.people.disable_unused(days, clinic.now()).await.unwrap().is_empty());
    let told = clinic.store.events_after(0, 100).await.unwrap();
    let told = told.iter().find(|event| event.change == Change::PersonDisabled(unused.id.clone())).unwrap();
    assert_eq!(told.actor, "gateway:unused");
}

#[tokio::test]
async fn a_code_shows_what_it_opens_and_nothing_else_does() {
    let clinic = Clinic::open();
    let person = clinic.add("sato").await;
    let made = clinic.people.invite(&person.id, HOUR, "対面", "cli:test", START).await.unwrap();
    let shown = clinic.people.look_at_invitation(&made.code.expose().to_lowercase(), START).await.unwrap().unwrap();
    assert_eq!(
        (shown.purpose, shown.person.unwrap().id, shown.expires_at),
        (Purpose::Passkey, person.id.clone(), START.after(HOUR))
    );
    for code in ["", "x", &InvitationCode::random().expose(), "' or 1=1"] {
        assert!(clinic.people.look_at_invitation(code, START).await.unwrap().is_none());
    }
    assert!(clinic.people.look_at_invitation(&made.code.expose(), START.after(HOUR)).await.unwrap().is_none());
    assert!(clinic.people.revoke_invitation(made.id, "cli:test", START).await.unwrap());
    assert!(!clinic.people.revoke_invitation(made.id, "cli:test", START).await.unwrap());
    assert!(clinic.people.look_at_invitation(&made.code.expose(), START).await.unwrap().is_none());
    for span in [Duration::ZERO, 15 * 24 * HOUR] {
        let made = clinic.people.invite(&person.id, span, "対面", "cli:test", START).await;
        assert!(matches!(made, Err(PeopleProblem::Span { max_hours: 336 })), "{span:?}");
    }
    let unproofed = clinic.people.invite(&person.id, HOUR, "", "cli:test", START).await;
    assert!(matches!(unproofed, Err(PeopleProblem::ProofingMissing)));
    assert!(!format!("{made:?}").contains(&made.code.expose()));
}

#[tokio::test]
async fn a_temporary_code_is_good_for_a_shift_and_from_somebody_else() {
    let clinic = Clinic::open();
    let person = clinic.add("sato").await;
    let make =
        async |span, reason, supervisor| clinic.people.temporary(&person.id, span, reason, supervisor, START).await;
    assert!(matches!(make(HOUR, "", "u-boss").await, Err(PeopleProblem::ReasonMissing)));
    assert!(matches!(make(13 * HOUR, "鍵を紛失", "u-boss").await, Err(PeopleProblem::Span { max_hours: 12 })));
    assert!(matches!(make(HOUR, "鍵を紛失", person.id.as_str()).await, Err(PeopleProblem::Oneself)));
    let made = make(12 * HOUR, "鍵を紛失", "u-boss").await.unwrap();
    let sign_in = async |code: &str, at| clinic.people.sign_in_temporarily(code, at).await;
    for _ in 0..3 {
        let given = sign_in(&made.code.expose(), START).await.unwrap();
        assert_eq!((&given.person().id, given.ends_at()), (&person.id, START.after(12 * HOUR)), "terminals lock");
    }
    let invitation = clinic.invite(&person.id).await;
    for code in ["", &invitation.expose(), &InvitationCode::random().expose()] {
        assert!(matches!(sign_in(code, START).await, Err(PeopleProblem::Refused)));
    }
    assert!(matches!(sign_in(&made.code.expose(), START.after(12 * HOUR)).await, Err(PeopleProblem::Refused)));
    let kept = clinic.people.invitations().await.unwrap();
    let kept = kept.iter().find(|one| one.id == made.id).unwrap();
    assert_eq!((kept.reason.as_str(), kept.made_by.as_str()), ("鍵を紛失", "u-boss"));
    assert_eq!(kept.invited, Invited::Temporary(person.id.clone()));
    clinic.people.disable(&person.id, "退職", "u-boss", START).await.unwrap();
    assert!(matches!(sign_in(&made.code.expose(), START).await, Err(PeopleProblem::Refused)));
}

#[tokio::test]
async fn a_revoked_temporary_code_ends_what_it_opened() {
    let clinic = Clinic::open();
    let person = clinic.add("sato").await;
    let made = clinic.people.temporary(&person.id, HOUR, "鍵を紛失", "u-boss", START).await.unwrap();
    let given = clinic.people.sign_in_temporarily(&made.code.expose(), START).await.unwrap();
    let devices = Arc::new(crate::Devices::load(clinic.store.clone()).await.unwrap());
    let sessions = crate::Sessions::new(clinic.store.clone(), devices, crate::testing::spans());
    let host = crate::testing::host("login.example.jp");
    let (session, _) = sessions.open(crate::Opening::temporary(&given, None, host, START), START).await.unwrap();
    assert_eq!(session.who.methods, policy::Methods::of([policy::SignInMethod::Temporary]));
    assert_eq!((session.who.ends_at, session.who.assurance), (START.after(HOUR), policy::Assurance::Aal1));
    assert!(clinic.people.revoke_invitation(made.id, "u-boss", START).await.unwrap());
    assert!(clinic.store.sessions().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_administrator_without_a_key_keeps_nobody_out() {
    let clinic = Clinic::open();
    let keyless = NewPerson {
        login: "boss".to_owned(),
        name: "院長".to_owned(),
        roles: vec![role("administrator")],
        unit: String::new(),
    };
    clinic.people.add(keyless, "cli:test", START).await.unwrap();
    let first = clinic.people.first_administrator("cli:root", START).await.unwrap();
    let second = clinic.people.first_administrator("cli:root", START).await.unwrap();
    assert!(clinic.people.look_at_invitation(&first.code.expose(), START).await.unwrap().is_none(), "one at a time");
    assert!(clinic.people.look_at_invitation(&second.code.expose(), START).await.unwrap().is_some());
    let nobody = People::of(clinic.store.clone(), ORIGIN.to_owned(), true, BTreeSet::new(), ConsoleRoles::default());
    assert!(matches!(nobody.first_administrator("cli:root", START).await, Err(PeopleProblem::NoAdministratorRole)));
}

#[tokio::test]
async fn a_table_goes_out_and_comes_in_and_changes_nothing() {
    let clinic = Clinic::open();
    for login in ["sato", "suzuki"] {
        clinic.add(login).await;
    }
    let left = clinic.add("left").await;
    clinic.people.disable(&left.id, "退職", "cli:test", START).await.unwrap();
    let table = clinic.people.write_csv().await.unwrap();
    assert!(table.starts_with("\u{feff}login,name,roles,unit,state\r\n"));
    assert!(
        table.contains("sato,sato 様,nurse,3階東病棟,active\r\n")
            && table.contains("left,left 様,nurse,3階東病棟,disabled\r\n")
    );
    let before = clinic.store.events_after(0, 1000).await.unwrap().len();
    let taken = clinic.people.read_csv(&table, "cli:test", START).await.unwrap();
    assert_eq!(taken, Imported { unchanged: 3, ..Imported::default() });
    assert_eq!(clinic.store.events_after(0, 1000).await.unwrap().len(), before);
}

#[tokio::test]
async fn a_table_adds_changes_and_disables_in_one_step() {
    let clinic = Clinic::open();
    clinic.add("sato").await;
    clinic.add("suzuki").await;
    let other = clinic.add("untouched").await;
    let table = "ログイン名,氏名,役割,状態\nSATO,佐藤 花子,nurse doctor,有効\nsuzuki,suzuki 様,nurse,無効\ntanaka,田中,doctor,\n";
    let planned = clinic.people.plan_csv(table, START).await.unwrap();
    assert_eq!(clinic.people.by_login("tanaka").await.unwrap(), None, "a plan changes nothing");
    let taken = clinic.people.read_csv(table, "cli:test", START).await.unwrap();
    assert_eq!(planned, taken);
    let logins = |people: &[ImportedPerson]| people.iter().map(|one| one.login.clone()).collect::<Vec<_>>();
    assert_eq!(
        (logins(&taken.added), logins(&taken.changed), logins(&taken.disabled)),
        (vec!["tanaka".to_owned()], vec!["sato".to_owned()], vec!["suzuki".to_owned()])
    );
    let sato = clinic.people.by_login("sato").await.unwrap().unwrap();
    assert_eq!(
        (sato.name.as_str(), sato.roles, sato.unit.as_str()),
        ("佐藤 花子", vec![role("doctor"), role("nurse")], "3階東病棟")
    );
    assert!(clinic.people.by_login("suzuki").await.unwrap().unwrap().disabled.is_some());
    assert_eq!(clinic.people.person(&other.id).await.unwrap().unwrap(), other, "who is not named stays");
}

#[tokio::test]
async fn a_table_with_one_wrong_cell_changes_nothing_and_names_it() {
    let clinic = Clinic::open();
    let left = clinic.add("left").await;
    clinic.people.disable(&left.id, "退職", "cli:test", START).await.unwrap();
    let before = clinic.store.events_after(0, 1000).await.unwrap().len();
    for (table, expected) in [
        ("login,name,roles\ngood,良,nurse\nbad one,悪,nurse\n", vec![(3, 1)]),
        ("login,name,roles\ngood,良,nurse\nother,,nurse\n", vec![(3, 2)]),
        ("login,name,roles\ngood,良,nurse king\n", vec![(2, 3)]),
        ("login,name,roles\ngood,良,nurse\nGOOD,良,nurse\n", vec![(3, 1)]),
        ("login,name,roles,state\ngood,良,nurse,gone\n", vec![(2, 4)]),
        ("login,name,roles,state\ngood,良,nurse,active\nleft,left,nurse,active\n", vec![(3, 4)]),
        ("login,name,roles\na b,良,nurse\ngood,良,nurse\nx,\u{1},nurse\n", vec![(2, 1), (4, 2)]),
        ("login,name\ngood,良\n", vec![(1, 1)]),
        ("login,name,roles\n\"good,良,nurse\n", vec![(2, 1)]),
    ] {
        assert_eq!(lines(clinic.people.read_csv(table, "cli:test", START).await), expected, "{table}");
    }
    assert_eq!(clinic.store.events_after(0, 1000).await.unwrap().len(), before, "nothing half done");
    assert_eq!(clinic.people.by_login("good").await.unwrap(), None);
}

#[test]
fn no_table_of_people_breaks_the_reader_and_what_is_planned_is_what_is_done() {
    let heads = "login|name|roles|unit|state|ログイン名|役割";
    let cells = "sato|SATO|[a-z]{1,3}|佐藤|nurse|doctor nurse|king|active|無効|=1|\"a,b\"|\"|.{0,5}";
    let table = (
        proptest::collection::vec(heads, 1..6),
        proptest::collection::vec(proptest::collection::vec(cells, 1..6), 0..5),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = proptest::test_runner::Config { cases: 300, ..proptest::test_runner::Config::default() };
    let ran = proptest::test_runner::TestRunner::new(config).run(&table, |(head, rows)| {
        let lines: Vec<String> = std::iter::once(&head).chain(&rows).map(|cells| cells.join(",")).collect();
        let text = lines.join("\n");
        runtime.block_on(async {
            let clinic = Clinic::open();
            clinic.add("sato").await;
            let before = clinic.store.events_after(0, 1000).await.unwrap().len();
            let planned = clinic.people.plan_csv(&text, START).await;
            let after = async || clinic.store.events_after(0, 1000).await.unwrap().len();
            assert_eq!(after().await, before, "planning changes nothing");
            match (planned, clinic.people.read_csv(&text, "cli:test", START).await) {
                (Ok(planned), Ok(done)) => assert_eq!(planned, done),
                (Err(_), Err(_)) => assert_eq!(after().await, before, "all or nothing"),
                (planned, done) => panic!("{planned:?} but {done:?}: {text:?}"),
            }
        });
        Ok(())
    });
    ran.unwrap();
}

#[tokio::test]
async fn every_problem_of_a_table_has_a_code_that_a_page_can_say_in_its_language() {
    let clinic = Clinic::open();
    let left = clinic.add("left").await;
    clinic.people.disable(&left.id, "退職", "cli:test", START).await.unwrap();
    for (table, code) in [
        ("login,name,roles\nbad one,悪,nurse\n", "login"),
        ("login,name,roles\nother,,nurse\n", "name"),
        ("login,name,roles,unit\nother,良,nurse,\u{1}\n", "unit"),
        ("login,name,roles\ngood,良,nurse king\n", "role"),
        ("login,name,roles\ngood,良,KING!\n", "role"),
        ("login,name,roles\ngood,良,nurse\nGOOD,良,nurse\n", "login-twice"),
        ("login,name,roles,state\ngood,良,nurse,gone\n", "state"),
        ("login,name,roles\nleft,左,nurse\nleft2,左,nurse\n", ""),
        ("login,name,roles,state\nleft,左,nurse,active\n", "person-disabled"),
        ("login,name\ngood,良\n", "column-missing"),
        ("login,name,roles,age\ngood,良,nurse,9\n", "column-unknown"),
        ("login,name,roles,login\ngood,良,nurse,good\n", "column-twice"),
        ("login,name,roles\ngood,良\n", "cell-count"),
        ("login,name,roles\n\"good,良,nurse\n", "quote-open"),
        ("", "table-empty"),
    ] {
        let planned = clinic.people.plan_csv(table, START).await;
        if code.is_empty() {
            planned.expect("a table without states says nothing of them");
            continue;
        }
        let found = problems(planned);
        assert_eq!(found.iter().map(|problem| problem.fault.code()).collect::<Vec<_>>(), [code], "{table}");
    }
    let king = problems(clinic.people.plan_csv("login,name,roles\ngood,良,king\n", START).await).remove(0);
    assert_eq!(king.fault, CsvFault::Role { role: "king".to_owned() });
    assert!(king.fault.ja().contains("役割「king」") && king.fault.en().contains("`king`"), "{king}");
}

#[tokio::test]
async fn a_temporary_code_opens_nothing_for_whom_nobody_vouches_any_more() {
    let clinic = Clinic::open();
    let local = clinic.add("sato").await;
    clinic.store.remember_person(nurse()).await.unwrap();
    let of = |is_local: bool| {
        People::of(clinic.store.clone(), ORIGIN.to_owned(), is_local, BTreeSet::new(), ConsoleRoles::default())
    };
    let known = of(true).with_provider(&nurse().provider, &nurse().issuer);
    let mut codes = Vec::new();
    for user in [&local.id, &nurse().id] {
        let made = known.temporary(user, HOUR, "鍵を紛失", "u-boss", START).await.unwrap();
        known.sign_in_temporarily(&made.code.expose(), START).await.expect("somebody vouches for them");
        codes.push(made.code.expose());
    }
    let [of_local, of_nurse] = <[String; 2]>::try_from(codes).unwrap();
    let refused = async |people: &People, code: &str| {
        matches!(people.sign_in_temporarily(code, START).await, Err(PeopleProblem::Refused))
    };
    let off = of(false).with_provider(&nurse().provider, &nurse().issuer);
    assert!(refused(&off, &of_local).await, "the directory was switched off");
    assert!(!refused(&off, &of_nurse).await);
    assert!(refused(&of(true), &of_nurse).await, "the provider was removed");
    let moved = of(true).with_provider(&nurse().provider, "https://other.example.jp");
    assert!(refused(&moved, &of_nurse).await, "another issuer under the same name is somebody else");
    let make = async |people: &People, user: &UserId| people.temporary(user, HOUR, "鍵を紛失", "u-boss", START).await;
    assert!(matches!(make(&off, &local.id).await, Err(PeopleProblem::NoDirectory)));
    assert!(matches!(make(&of(true), &nurse().id).await, Err(PeopleProblem::NoProvider)));
    known.disable(&nurse().id, "退職", "u-boss", START).await.unwrap();
    assert!(refused(&known, &of_nurse).await, "disabled");
}

#[tokio::test]
async fn a_code_that_is_revoked_while_it_is_used_opens_nothing() {
    let clinic = Clinic::open();
    let person = clinic.add("sato").await;
    let made = clinic.people.temporary(&person.id, HOUR, "鍵を紛失", "u-boss", START).await.unwrap();
    let given = clinic.people.sign_in_temporarily(&made.code.expose(), START).await.unwrap();
    let devices = Arc::new(crate::Devices::load(clinic.store.clone()).await.unwrap());
    let sessions = crate::Sessions::new(clinic.store.clone(), devices, crate::testing::spans());
    assert!(clinic.people.revoke_invitation(made.id, "u-boss", START).await.unwrap());
    let host = crate::testing::host("login.example.jp");
    let late = sessions.open(crate::Opening::temporary(&given, None, host, START), START).await;
    assert!(matches!(late, Err(StoreProblem::NotInForce(store::Lapsed::Code))), "{late:?}");
    assert!(clinic.store.sessions().await.unwrap().is_empty());
}

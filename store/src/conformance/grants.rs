//! Vendors' windows: asked for, decided by others, ended and reported, each rule in the transaction that does it.

use std::time::Duration;

use policy::{AppId, GrantId, GrantKind, Method, PathPattern};

use super::cast::*;
use crate::*;

const HOUR: i64 = 3_600;

fn id(name: &str) -> GrantId {
    parsed(GrantId::parse(name))
}

fn app(name: &str) -> AppId {
    parsed(AppId::parse(name))
}

fn terms() -> AskTerms {
    AskTerms {
        vendor_roles: vec![role("vendor")],
        approvals_needed: 1,
        length_max: Duration::from_secs(8 * 3_600),
        ahead_max: Duration::from_secs(30 * 86_400),
        report_within: Duration::from_secs(3 * 86_400),
        blocks_when_overdue: true,
    }
}

/// A window from second 7 200 to 10 800, asked for at second 3 600 by its person.
pub(super) fn window(name: &str, person: &Person) -> NewMaintenance {
    NewMaintenance {
        id: id(name),
        person: person.id.clone(),
        app: app("emr"),
        begin: second(2 * HOUR),
        end: second(3 * HOUR),
        asked_at: second(HOUR),
        asked_by: person.id.to_string(),
        purpose: "月次点検".to_owned(),
        ticket: "T-1".to_owned(),
        plan: "ログを確認する".to_owned(),
        file: None,
        reach: GrantReach::default(),
        is_urgent: false,
    }
}

async fn with_role(store: &dyn Store, name: &str, roles: &[&str]) -> Person {
    let person = Person { roles: roles.iter().map(|name| role(name)).collect(), ..person(name) };
    good(store.remember_person(person.clone()).await);
    person
}

pub(super) async fn vendor(store: &dyn Store, name: &str) -> Person {
    with_role(store, name, &["vendor"]).await
}

pub(super) async fn chief(store: &dyn Store, name: &str) -> Ruler {
    by(&with_role(store, name, &["chief"]).await)
}

fn by(person: &Person) -> Ruler {
    Ruler { actor: person.id.to_string(), roles: vec![role("chief")] }
}

fn at_the_machine(name: &str) -> Ruler {
    Ruler { actor: format!("cli:{name}"), roles: vec![role("chief")] }
}

pub(super) async fn ask(store: &dyn Store, new: NewMaintenance) -> Result<(), GrantRefusal> {
    good(store.ask_grant(new, terms()).await)
}

async fn state(store: &dyn Store, name: &str, at: i64) -> GrantState {
    good(store.grant(&id(name)).await).expect("it is kept").state(second(at))
}

fn words(text: &str) -> String {
    text.to_owned()
}

pub(super) async fn a_window_lives_from_the_request_to_the_confirmed_report(store: &dyn Store) {
    let (vendor, chief) = (vendor(store, "v-life").await, chief(store, "c-life").await);
    let sequence = last_sequence(store).await;
    let name = id("g-life");
    let file =
        PlanFile { name: "計画.pdf".to_owned(), media_type: "application/pdf".to_owned(), bytes: 4, sha256: [7; 32] };
    let reach = GrantReach {
        methods: Method::parse("GET").into_iter().collect(),
        paths: PathPattern::parse("/admin/*").into_iter().collect(),
    };
    let new = NewMaintenance {
        file: Some((file.clone(), vec![0, 255, 1, 2])),
        reach: reach.clone(),
        is_urgent: true,
        ..window("g-life", &vendor)
    };
    assert_eq!(ask(store, new.clone()).await, Ok(()));
    let kept = good(store.grant(&name).await).expect("it is kept");
    let one = kept.maintenance().expect("it is a vendor's");
    assert_eq!((kept.kind, &kept.person, &kept.app), (GrantKind::Maintenance, &vendor.id, &app("emr")));
    assert_eq!((kept.begin, kept.end, kept.asked_at), (new.begin, new.end, new.asked_at));
    assert_eq!((one.file.as_ref(), &one.reach, one.is_urgent), (Some(&file), &reach, true));
    assert_eq!((&*one.purpose, &*one.ticket, &*one.plan), (&*new.purpose, &*new.ticket, &*new.plan));
    assert_eq!(good(store.plan_file(&name).await), Some((file, vec![0, 255, 1, 2])));
    assert_eq!(state(store, "g-life", 2 * HOUR).await, GrantState::Requested, "nobody approved it");

    assert_eq!(good(store.approve_grant(&name, chief.clone(), words("可"), second(HOUR + 1)).await), Ok(()));
    for (at, expected) in [
        (2 * HOUR - 1, GrantState::Armed),
        (2 * HOUR, GrantState::Active),
        (3 * HOUR - 1, GrantState::Active),
        (3 * HOUR, GrantState::Ended),
    ] {
        assert_eq!(state(store, "g-life", at).await, expected, "{at}");
    }
    let report = |at: i64| GrantReport {
        draft: words("下書き"),
        text: words("異常なし"),
        at: second(at),
        by: vendor.id.to_string(),
    };
    let refused = good(store.report_grant(&name, report(3 * HOUR - 1)).await);
    assert_eq!(refused, Err(GrantRefusal::NotNow(GrantState::Active)));
    assert_eq!(good(store.report_grant(&name, report(3 * HOUR)).await), Ok(()));
    let confirm = |by: Ruler, shown: i64| {
        let confirmation = GrantConfirmation {
            reported_at: Some(second(shown)),
            draft: Some(words("後の下書き")),
            words: words("確認"),
        };
        store.confirm_grant(&name, by, confirmation, second(4 * HOUR))
    };
    assert_eq!(good(store.report_grant(&name, report(3 * HOUR + 1)).await), Ok(()), "another in its place");
    assert_eq!(good(confirm(by(&vendor), 3 * HOUR + 1).await), Err(GrantRefusal::NotInRole));
    let unseen = good(confirm(chief.clone(), 3 * HOUR).await);
    assert_eq!(unseen, Err(GrantRefusal::NotNow(GrantState::Reported)), "they were shown the one before");
    assert_eq!(good(confirm(chief.clone(), 3 * HOUR + 1).await), Ok(()));
    let again = good(confirm(chief.clone(), 3 * HOUR + 1).await);
    assert_eq!(again, Err(GrantRefusal::NotNow(GrantState::Confirmed)));
    let kept = good(store.grant(&name).await).expect("it is kept");
    let one = kept.maintenance().expect("it is a vendor's");
    assert_eq!(one.report.as_ref().map(|report| (&*report.draft, &*report.text)), Some(("後の下書き", "異常なし")));
    assert_eq!(one.confirmed, Some(Ruling { at: second(4 * HOUR), by: chief.actor.clone(), words: words("確認") }));
    let told = [
        Change::GrantRequested(name.clone()),
        Change::GrantApproved(name.clone()),
        Change::GrantReported(name.clone()),
        Change::GrantReported(name.clone()),
        Change::GrantConfirmed(name.clone()),
    ];
    assert_eq!(changes_after(store, sequence).await, told, "what is refused is not told");
    assert_eq!(
        good(store.ask_grant(NewMaintenance { id: name, ..window("g-x", &vendor) }, terms()).await),
        Err(GrantRefusal::Overlaps(id("g-life")))
    );
}

pub(super) async fn a_window_that_cannot_be_is_refused(store: &dyn Store) {
    let vendor = vendor(store, "v-wrong").await;
    let nurse = with_role(store, "n-wrong", &["nurse"]).await;
    let sequence = last_sequence(store).await;
    let day = 24 * HOUR;
    type Spoil = fn(&mut NewMaintenance);
    let wrong: [(&str, Spoil, GrantRefusal); 9] = [
        ("past", |one| (one.begin, one.end) = (second(0), second(HOUR)), GrantRefusal::InThePast),
        ("begun", |one| one.begin = second(HOUR - 16 * 60), GrantRefusal::InThePast),
        ("empty", |one| one.end = one.begin, GrantRefusal::Empty),
        ("backwards", |one| one.end = second(HOUR), GrantRefusal::Empty),
        ("long", |one| one.end = second(2 * HOUR + 8 * HOUR + 1), GrantRefusal::TooLong(terms().length_max)),
        (
            "far",
            |one| (one.begin, one.end) = (second(32 * 24 * HOUR), second(32 * 24 * HOUR + 1)),
            GrantRefusal::TooFarAhead(terms().ahead_max),
        ),
        ("wordless", |one| one.purpose = words(" "), GrantRefusal::NoWords),
        ("wordy", |one| one.plan = "字".repeat(GRANT_TEXT_CHARS_MAX + 1), GrantRefusal::TooLarge),
        (
            "heavy",
            |one| {
                let file = PlanFile { name: words("f"), media_type: words(""), bytes: 0, sha256: [0; 32] };
                one.file = Some((file, vec![0; PLAN_FILE_BYTES_MAX + 1]));
            },
            GrantRefusal::TooLarge,
        ),
    ];
    for (name, spoil, expected) in wrong {
        let mut new = window(&format!("g-wrong-{name}"), &vendor);
        spoil(&mut new);
        assert_eq!(ask(store, new).await, Err(expected), "{name}");
    }
    assert_eq!(ask(store, window("g-nurse", &nurse)).await, Err(GrantRefusal::NotAVendor));
    good(store.disable_person(&nurse.id, words("退職"), second(5), words("x")).await);
    assert_eq!(ask(store, window("g-nurse", &nurse)).await, Err(GrantRefusal::PersonNotInForce));
    let told = changes_after(store, sequence).await;
    assert!(told.iter().all(|change| matches!(change, Change::PersonDisabled(_))), "{told:?}");
    let just_begun = NewMaintenance { begin: second(HOUR - 60), ..window("g-just", &vendor) };
    assert_eq!(ask(store, just_begun).await, Ok(()), "whoever fills in the form for now needs some minutes");
    let next_day = NewMaintenance { begin: second(day), end: second(day + HOUR), ..window("g-next", &vendor) };
    assert_eq!(ask(store, next_day).await, Ok(()));
}

pub(super) async fn windows_of_one_person_and_app_do_not_overlap(store: &dyn Store) {
    let (vendor, other) = (vendor(store, "v-over").await, vendor(store, "v-over-2").await);
    assert_eq!(ask(store, window("g-over-1", &vendor)).await, Ok(()));
    let shifted = |name: &str, by: i64| NewMaintenance {
        begin: second(2 * HOUR + by),
        end: second(3 * HOUR + by),
        ..window(name, &vendor)
    };
    let unfinished = async |at: i64| {
        let filter =
            GrantFilter { person: Some(vendor.id.clone()), unfinished_at: Some(second(at)), ..GrantFilter::default() };
        good(store.grants(filter, None, GRANTS_READ_MAX).await).len()
    };
    assert_eq!((unfinished(3 * HOUR - 1).await, unfinished(3 * HOUR).await), (1, 0), "what lapsed asks nothing");
    for by in [-HOUR + 1, 0, HOUR - 1] {
        assert_eq!(ask(store, shifted("g-over-2", by)).await, Err(GrantRefusal::Overlaps(id("g-over-1"))), "{by}");
    }
    assert_eq!(ask(store, shifted("g-over-3", HOUR)).await, Ok(()), "one begins as the other ends");
    assert_eq!(ask(store, NewMaintenance { app: app("pacs"), ..window("g-over-4", &vendor) }).await, Ok(()));
    assert_eq!(ask(store, window("g-over-5", &other)).await, Ok(()), "another's");
    let first = id("g-over-1");
    let withdrawn = store.withdraw_grant(&first, vendor.id.to_string(), words(""), second(HOUR));
    assert_eq!(good(withdrawn.await), Ok(()));
    assert_eq!(ask(store, shifted("g-over-6", 0)).await, Ok(()), "it was taken back");
    let (one, two) = tokio::join!(
        ask(store, NewMaintenance { app: app("lab"), ..window("g-over-7", &vendor) }),
        ask(store, NewMaintenance { app: app("lab"), ..window("g-over-8", &vendor) }),
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
}

pub(super) async fn only_others_who_have_the_role_decide(store: &dyn Store) {
    let vendor = with_role(store, "v-own", &["vendor", "chief"]).await;
    let chief = chief(store, "c-own").await;
    let gone = with_role(store, "c-gone", &["chief"]).await;
    let name = id("g-own");
    assert_eq!(ask(store, window("g-own", &vendor)).await, Ok(()));
    let approve = |by: Ruler| store.approve_grant(&name, by, words(""), second(HOUR + 1));
    let refuse = |by: Ruler| store.refuse_grant(&name, by, words("否"), second(HOUR + 1));
    assert_eq!(good(approve(by(&vendor)).await), Err(GrantRefusal::TheirOwn));
    assert_eq!(
        good(approve(at_the_machine("V-OWN")).await),
        Err(GrantRefusal::TheirOwn),
        "by the name they sign in with"
    );
    assert_eq!(good(refuse(by(&vendor)).await), Err(GrantRefusal::TheirOwn));
    let nurse = with_role(store, "n-own", &["nurse"]).await;
    assert_eq!(good(approve(by(&nurse)).await), Err(GrantRefusal::NotInRole));
    assert_eq!(good(approve(Ruler { actor: words("gateway:x"), roles: vec![] }).await), Err(GrantRefusal::NotInRole));
    let change = PersonChange { roles: Some(vec![role("nurse")]), ..PersonChange::default() };
    good(store.change_person(&gone.id, change, second(6), words("x")).await);
    assert_eq!(good(approve(by(&gone)).await), Err(GrantRefusal::NotInRole), "they had it a moment ago");
    good(store.disable_person(&gone.id, words("退職"), second(7), words("x")).await);
    assert_eq!(good(approve(by(&gone)).await), Err(GrantRefusal::NotInRole));
    assert_eq!(
        good(store.refuse_grant(&name, chief.clone(), words(" "), second(HOUR)).await),
        Err(GrantRefusal::NoWords)
    );
    assert_eq!(good(refuse(at_the_machine("root")).await), Ok(()));
    assert_eq!(good(approve(chief.clone()).await), Err(GrantRefusal::NotNow(GrantState::Refused)));
    assert_eq!(
        good(store.approve_grant(&id("g-none"), chief, words(""), second(1)).await),
        Err(GrantRefusal::NotThere)
    );
}

pub(super) async fn two_different_people_approve_where_two_must(store: &dyn Store) {
    let vendor = vendor(store, "v-two").await;
    let (one, two, three) = (chief(store, "c-one").await, chief(store, "c-two").await, chief(store, "c-three").await);
    let name = id("g-two");
    let two_must = AskTerms { approvals_needed: 2, ..terms() };
    assert_eq!(good(store.ask_grant(window("g-two", &vendor), two_must).await), Ok(()));
    let approve = |by: &Ruler| store.approve_grant(&name, by.clone(), words(""), second(HOUR + 1));
    assert_eq!(good(approve(&one).await), Ok(()));
    assert_eq!(state(store, "g-two", 2 * HOUR).await, GrantState::Requested, "one is not two");
    assert_eq!(good(approve(&one).await), Err(GrantRefusal::SamePerson));
    assert_eq!(good(approve(&at_the_machine("c-one")).await), Err(GrantRefusal::SamePerson));
    let (second_one, third) = tokio::join!(approve(&two), approve(&three));
    let given = [good(second_one), good(third)];
    assert!(given.iter().filter(|given| given.is_ok()).count() == 1, "{given:?}");
    assert_eq!(state(store, "g-two", 2 * HOUR).await, GrantState::Active);
}

pub(super) async fn whoever_is_on_duty_lets_in_and_it_is_approved_after(store: &dyn Store) {
    let vendor = vendor(store, "v-duty").await;
    let chief = chief(store, "c-duty").await;
    let duty = with_role(store, "d-duty", &["duty"]).await;
    let on_duty = Ruler { actor: duty.id.to_string(), roles: vec![role("duty")] };
    let name = id("g-duty");
    assert_eq!(ask(store, window("g-duty", &vendor)).await, Ok(()));
    let admit = |by: &Ruler| store.admit_grant(&name, by.clone(), words("停止中"), second(30 * HOUR), second(HOUR));
    assert_eq!(good(admit(&by(&vendor)).await), Err(GrantRefusal::NotInRole));
    let early = store.admit_grant(&name, on_duty.clone(), words("先に"), second(30 * HOUR), second(HOUR - 1));
    let too_far = GrantRefusal::TooFarAhead(GRANT_ADMITTED_AHEAD_MAX);
    assert_eq!(good(early.await), Err(too_far), "what can wait waits for its approval");
    assert_eq!(good(admit(&on_duty).await), Ok(()));
    assert_eq!(good(admit(&on_duty).await), Err(GrantRefusal::NotNow(GrantState::Armed)), "once");
    assert_eq!(state(store, "g-duty", 2 * HOUR).await, GrantState::Active);
    let kept = async || good(store.grant(&name).await).expect("it is kept");
    assert_eq!(kept().await.approval_due_at(), Some(second(30 * HOUR)));
    assert!(!kept().await.is_overdue(second(30 * HOUR - 1)) && kept().await.is_overdue(second(30 * HOUR)));
    let report = GrantReport { draft: words(""), text: words("済"), at: second(4 * HOUR), by: vendor.id.to_string() };
    assert_eq!(good(store.report_grant(&name, report).await), Ok(()));
    let confirm = || store.confirm_grant(&name, chief.clone(), GrantConfirmation::default(), second(5 * HOUR));
    assert_eq!(good(confirm().await), Err(GrantRefusal::NotApproved));
    let wordless = store.approve_grant(&name, chief.clone(), words(" "), second(31 * HOUR));
    assert_eq!(good(wordless.await), Err(GrantRefusal::NoWords), "why must be said at last");
    let approved = store.approve_grant(&name, chief.clone(), words("事後承認"), second(31 * HOUR));
    assert_eq!(good(approved.await), Ok(()), "late, and all the same");
    assert_eq!(kept().await.approval_due_at(), None);
    assert_eq!(good(confirm().await), Ok(()));
}

pub(super) async fn a_window_is_ended_early_by_its_person_or_the_hospital(store: &dyn Store) {
    let (vendor, chief) = (vendor(store, "v-end").await, chief(store, "c-end").await);
    let other = with_role(store, "v-end-2", &["vendor"]).await;
    for (name, from) in [("g-end-1", 2), ("g-end-2", 3), ("g-end-3", 4)] {
        let new =
            NewMaintenance { begin: second(from * HOUR), end: second((from + 1) * HOUR), ..window(name, &vendor) };
        assert_eq!(ask(store, new).await, Ok(()));
    }
    let end = |name: &'static str, by: Ruler, at: i64| async move {
        good(store.end_grant(&id(name), by, words("済"), second(at)).await)
    };
    assert_eq!(end("g-end-1", chief.clone(), HOUR).await, Err(GrantRefusal::NotNow(GrantState::Requested)));
    for name in ["g-end-1", "g-end-2"] {
        assert_eq!(good(store.approve_grant(&id(name), chief.clone(), words(""), second(HOUR)).await), Ok(()));
    }
    assert_eq!(end("g-end-1", by(&other), 2 * HOUR + 60).await, Err(GrantRefusal::NotInRole));
    assert_eq!(end("g-end-1", by(&vendor), 2 * HOUR + 60).await, Ok(()));
    assert_eq!(end("g-end-1", by(&vendor), 2 * HOUR + 61).await, Err(GrantRefusal::NotNow(GrantState::Ended)));
    assert_eq!(state(store, "g-end-1", 2 * HOUR + 59).await, GrantState::Active);
    assert_eq!(end("g-end-2", chief, 2 * HOUR).await, Ok(()));
    assert_eq!(state(store, "g-end-2", 3 * HOUR + 1).await, GrantState::Withdrawn, "it never began");
    assert_eq!(state(store, "g-end-3", 5 * HOUR).await, GrantState::Lapsed, "nobody answered");
    let in_time =
        GrantFilter { person: Some(vendor.id.clone()), not_over_at: Some(second(2 * HOUR)), ..GrantFilter::default() };
    let kept = good(store.grants(in_time.clone(), None, 10).await);
    assert_eq!(kept.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["g-end-1"]);
    let later = GrantFilter { not_over_at: Some(second(2 * HOUR + 60)), ..in_time };
    assert_eq!(good(store.grants(later, None, 10).await), vec![]);
    let all = GrantFilter { person: Some(vendor.id), ..GrantFilter::default() };
    let names = |page: Vec<GrantRecord>| page.into_iter().map(|one| one.id.to_string()).collect::<Vec<_>>();
    assert_eq!(names(good(store.grants(all.clone(), None, 2).await)), ["g-end-3", "g-end-2"], "newest first");
    assert_eq!(names(good(store.grants(all, Some(id("g-end-2")), 2).await)), ["g-end-1"]);
}

pub(super) async fn an_overdue_report_stands_in_the_way_of_the_vendors_next_window(store: &dyn Store) {
    let (vendor, colleague) = (vendor(store, "v-late").await, vendor(store, "v-late-2").await);
    let chief = chief(store, "c-late").await;
    for person in [&vendor, &colleague] {
        assert!(good(store.set_vendor(&person.id, Some(words("遅延システムズ")), second(1), words("x")).await));
    }
    assert_eq!(ask(store, window("g-late", &vendor)).await, Ok(()));
    assert_eq!(good(store.approve_grant(&id("g-late"), chief, words(""), second(HOUR)).await), Ok(()));
    let due = 3 * HOUR + 3 * 86_400;
    let next = |name: &str, person: &Person, at: i64| NewMaintenance {
        asked_at: second(at),
        begin: second(at),
        end: second(at + 60),
        ..window(name, person)
    };
    assert_eq!(ask(store, next("g-late-1", &vendor, due - 1)).await, Ok(()));
    for person in [&vendor, &colleague] {
        let new = NewMaintenance { app: app("pacs"), ..next("g-late-2", person, due) };
        assert_eq!(ask(store, new).await, Err(GrantRefusal::Overdue(id("g-late"))));
    }
    let lenient = AskTerms { blocks_when_overdue: false, ..terms() };
    let new = NewMaintenance { app: app("pacs"), ..next("g-late-3", &vendor, due) };
    assert_eq!(good(store.ask_grant(new, lenient).await), Ok(()));
}

pub(super) async fn requests_that_wait_are_bounded(store: &dyn Store) {
    let vendor = vendor(store, "v-many").await;
    let nth = |number: i64| NewMaintenance {
        begin: second((2 + number) * HOUR),
        end: second((3 + number) * HOUR),
        ..window(&format!("g-many-{number}"), &vendor)
    };
    for number in 0..20 {
        assert_eq!(ask(store, nth(number)).await, Ok(()));
    }
    assert_eq!(ask(store, nth(20)).await, Err(GrantRefusal::TooMany));
}

pub(super) async fn the_inventory_is_written_all_or_none(store: &dyn Store) {
    let vendor = vendor(store, "v-book").await;
    let sequence = last_sequence(store).await;
    let line = |target: &str| MaintenanceLine {
        number: 0,
        vendor: words("台帳システムズ"),
        contract: words("C-1"),
        target: words(target),
        app: Some(app("emr")),
        path: words("sekimori"),
        owner: words("情報システム室"),
        people: vec![vendor.id.clone()],
        note: String::new(),
        changed_at: second(9),
    };
    let write = |writes: Vec<MaintenanceWrite>| store.write_maintenance(writes, second(9), words("cli:root"));
    let added = good(write(vec![MaintenanceWrite::Add(line("部門A")), MaintenanceWrite::Add(line("部門B"))]).await);
    let (first, last) = (added[0], added[1]);
    let ours = || async {
        let all = good(store.maintenance_lines().await);
        all.into_iter().filter(|one| one.vendor == "台帳システムズ").collect::<Vec<_>>()
    };
    assert_eq!(
        ours().await,
        vec![MaintenanceLine { number: first, ..line("部門A") }, MaintenanceLine { number: last, ..line("部門B") }]
    );
    let lost = write(vec![MaintenanceWrite::Remove(first), MaintenanceWrite::Remove(first)]).await;
    assert_not_in_force(lost, Lapsed::Line);
    assert_eq!(ours().await.len(), 2, "all or none");
    let changed = MaintenanceLine { number: last, app: None, ..line("部門C") };
    good(write(vec![MaintenanceWrite::Remove(first), MaintenanceWrite::Replace(changed.clone())]).await);
    assert_eq!(ours().await, vec![changed.clone()]);
    let before = good(store.maintenance_lines().await);
    let still = |lines: &[MaintenanceLine]| MaintenanceWrite::StillIs(lines.to_vec());
    let late = write(vec![still(&before[1..]), MaintenanceWrite::Add(line("部門D"))]).await;
    assert_not_in_force(late, Lapsed::Line);
    assert_eq!(good(store.maintenance_lines().await), before, "it was read by somebody who is late");
    let again = good(write(vec![still(&before), MaintenanceWrite::Replace(changed.clone())]).await);
    assert_eq!(again, [last]);
    let told = [first, last, first, last, last].map(Change::InventoryChanged);
    assert_eq!(changes_after(store, sequence).await, told);

    assert!(good(store.set_vendor(&vendor.id, Some(words("台帳システムズ")), second(9), words("x")).await));
    assert!(good(store.vendors().await).contains(&(vendor.id.clone(), words("台帳システムズ"))));
    assert!(good(store.set_vendor(&vendor.id, None, second(9), words("x")).await));
    assert!(good(store.vendors().await).iter().all(|(person, _)| *person != vendor.id));
    assert!(!good(store.set_vendor(&user("u-nobody"), None, second(9), words("x")).await));
}

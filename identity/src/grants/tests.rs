use std::time::Duration;

use config::{BreakGlass, Maintenance};
use policy::{Day, Device, DeviceClass, Holidays, Hours, Reason, Reasons, Unit, UtcOffset, Who};
use store::{Change, GlassVerdict, GrantRefusal, GrantState, Person, PersonChange};

use super::*;
use crate::testing::{Counting, Hands, START, Ward, minutes, nurse};
use crate::{Sessions, Watch};

fn role(name: &str) -> RoleId {
    RoleId::parse(name).unwrap()
}

fn app(name: &str) -> AppId {
    AppId::parse(name).unwrap()
}

fn rules() -> Rules {
    Rules {
        maintenance: Maintenance {
            vendor_roles: vec![role("vendor")],
            approvers: vec![role("chief")],
            emergency_approvers: vec![role("duty")],
            ..Maintenance::default()
        },
        glass: BreakGlass { reviewers: vec![role("safety")], ..BreakGlass::default() },
        apps: vec![app("emr"), app("pacs")],
        offset: UtcOffset::JAPAN,
        holidays: Holidays::default(),
    }
}

/// A hospital with one vendor's person, one approver, one on duty, one nurse and one reviewer.
struct Desk {
    ward: Ward,
    grants: Arc<Grants>,
}

impl Desk {
    async fn open() -> Self {
        Self::held_to(rules()).await
    }

    async fn held_to(rules: Rules) -> Self {
        let ward = Ward::open().await;
        for name in ["vendor", "chief", "duty", "nurse", "safety"] {
            let known = Person {
                id: user(name),
                subject: name.to_owned(),
                login: name.to_owned(),
                roles: vec![role(name)],
                ..nurse()
            };
            ward.store.remember_person(known).await.unwrap();
        }
        let grants = Arc::new(Grants::held_to(rules, ward.store.clone()));
        Self { ward, grants }
    }

    fn store(&self) -> &Counting {
        &self.ward.store
    }

    /// From an hour after the start, for an hour.
    fn window(&self) -> AskedWindow {
        AskedWindow {
            person: user("vendor"),
            app: app("emr"),
            begin: START.after(minutes(60)),
            end: START.after(minutes(120)),
            purpose: "点検".to_owned(),
            ticket: String::new(),
            plan: String::new(),
            file: None,
            reach: GrantReach::default(),
            is_urgent: false,
        }
    }

    async fn approved(&self, window: AskedWindow) -> GrantId {
        let id = self.grants.ask(window, user("vendor").as_str(), START).await.unwrap();
        self.grants.approve(&id, user("chief").as_str(), "可", START).await.unwrap();
        self.grants.reload(START, async || Ok(true)).await.unwrap();
        id
    }

    fn found(&self, person: &str, method: &str, path: &str, patients: &[&str], after: u64) -> Option<Grant> {
        let patients: Vec<Box<str>> = patients.iter().map(|one| Box::from(*one)).collect();
        self.grants.find(&Asked {
            person: &user(person),
            app: &app("emr"),
            method: &Method::parse(method).unwrap(),
            path: &Path::parse(path).unwrap(),
            patients: &patients,
            ward: &NamedWard::Nothing,
            place_of: &|_| None,
            at: START.after(Duration::from_secs(after)),
        })
    }

    fn is_in_force(&self, after: u64) -> bool {
        self.found("vendor", "GET", "/", &[], after).is_some()
    }

    async fn give_roles(&self, person: &str, roles: &[&str]) {
        let roles = Some(roles.iter().map(|name| role(name)).collect());
        let change = PersonChange { roles, ..PersonChange::default() };
        assert!(self.store().change_person(&user(person), change, START, "cli:root".to_owned()).await.unwrap());
    }

    /// Follows the store's events from now on.
    async fn watch(&self) -> Watch {
        let last = self.store().events_after(0, 1_000).await.unwrap().last().map_or(0, |event| event.sequence);
        let sessions: Arc<Sessions> = self.ward.sessions.clone();
        let watch =
            Watch::new(self.ward.store.clone(), sessions, self.ward.devices.clone(), Hands::new().clock(), last);
        watch.with_grants(self.grants.clone())
    }
}

fn user(name: &str) -> UserId {
    UserId::parse(&format!("u-{name}")).unwrap()
}

async fn who(name: &str, roles: &[&str]) -> Who {
    let (session, _token) = Ward::open().await.sessions.open(crate::testing::opening(None), START).await.unwrap();
    let mut who = Who::clone(&session.who);
    who.user = user(name);
    who.roles = roles.iter().map(|name| role(name)).collect();
    who
}

#[tokio::test]
async fn a_window_is_in_force_from_its_first_moment_up_to_its_end_and_for_nobody_else() {
    let desk = Desk::open().await;
    let reach = GrantReach {
        methods: Method::parse("GET").into_iter().collect(),
        paths: policy::PathPattern::parse("/admin/*").into_iter().collect(),
    };
    let id = desk.approved(AskedWindow { reach, ..desk.window() }).await;
    for (after, expected) in [(0, false), (3_599, false), (3_600, true), (7_199, true), (7_200, false)] {
        assert_eq!(desk.is_in_force(after), expected, "{after}");
    }
    for (method, path, reaches) in [("GET", "/admin/x", true), ("POST", "/admin/x", false), ("GET", "/other", false)] {
        let found = desk.found("vendor", method, path, &[], 3_600).unwrap();
        assert_eq!((&found.id, found.kind, found.reaches), (&id, GrantKind::Maintenance, reaches), "{method} {path}");
        assert_eq!(found.end, START.after(minutes(120)));
    }
    assert_eq!(desk.found("nurse", "GET", "/admin/x", &[], 3_600), None);
    assert_eq!(desk.grants.of(&user("vendor"), START.after(minutes(61))).len(), 1);
}

#[tokio::test]
async fn nothing_comes_into_force_before_it_is_read_again() {
    let desk = Desk::open().await;
    let id = desk.grants.ask(desk.window(), user("vendor").as_str(), START).await.unwrap();
    desk.grants.reload(START, async || Ok(true)).await.unwrap();
    assert!(!desk.is_in_force(3_600), "nobody approved it");
    desk.grants.approve(&id, user("chief").as_str(), "", START).await.unwrap();
    assert!(!desk.is_in_force(3_600), "it is not recorded yet");
    assert!(!desk.grants.wait_for(&id, Duration::from_millis(10)).await);
    assert!(!desk.grants.reload(START, async || Ok(false)).await.unwrap());
    let unknown = desk.grants.reload(START, async || Err(StoreProblem::Full)).await;
    assert!(unknown.is_err() && !desk.is_in_force(3_600), "whether it is recorded is not known");
    let (came, read) =
        tokio::join!(desk.grants.wait_for(&id, minutes(1)), desk.grants.reload(START, async || Ok(true)));
    assert!(came && read.is_ok() && desk.is_in_force(3_600));
}

#[tokio::test(start_paused = true)]
async fn what_is_ended_leaves_at_once_here_and_elsewhere() {
    let desk = Desk::open().await;
    let id = desk.approved(desk.window()).await;
    let neighbour = Grants::held_to(rules(), desk.ward.store.clone());
    let mut watch = desk.watch().await;
    let at = START.after(minutes(61));
    let by_a_stranger = neighbour.end(&id, user("nurse").as_str(), "", &[], at).await;
    assert!(matches!(by_a_stranger, Err(GrantProblem::Refused(GrantRefusal::NotInRole))), "{by_a_stranger:?}");
    neighbour.end(&id, user("nurse").as_str(), "済", &[role("nurse")], at).await.unwrap();
    assert!(desk.is_in_force(3_661), "nothing was told yet");
    let events = watch.next().await.unwrap();
    assert_eq!(events.into_iter().map(|event| event.change).collect::<Vec<_>>(), [Change::GrantEnded(id.clone())]);
    assert!(!desk.is_in_force(3_661));
    desk.grants.reload(at, async || Ok(true)).await.unwrap();
    assert!(!desk.is_in_force(3_661));
}

#[tokio::test(start_paused = true)]
async fn a_window_stops_when_whoever_approved_it_may_approve_no_more() {
    let desk = Desk::open().await;
    desk.approved(desk.window()).await;
    let mut watch = desk.watch().await;
    desk.give_roles("chief", &["nurse"]).await;
    watch.next().await.unwrap();
    assert!(!desk.is_in_force(3_600));
    desk.give_roles("chief", &["chief"]).await;
    watch.next().await.unwrap();
    assert!(!desk.is_in_force(3_600), "it comes back only once that is recorded");
    desk.grants.reload(START, async || Ok(true)).await.unwrap();
    assert!(desk.is_in_force(3_600));
    desk.store().disable_person(&user("chief"), "退職".to_owned(), START, "cli:root".to_owned()).await.unwrap();
    watch.next().await.unwrap();
    assert!(!desk.is_in_force(3_600));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_again_leaves_too() {
    let desk = Desk::open().await;
    desk.approved(desk.window()).await;
    desk.store().fail(true);
    let doubted = [user("nurse")].into_iter().collect();
    assert!(desk.grants.narrow(&doubted, START).await.is_err());
    assert!(desk.is_in_force(3_600), "nobody doubts whoever gave it");
    let doubted = [user("chief")].into_iter().collect();
    assert!(desk.grants.narrow(&doubted, START).await.is_err());
    assert!(!desk.is_in_force(3_600));
}

#[tokio::test]
async fn another_configuration_takes_back_what_it_would_not_give() {
    let desk = Desk::open().await;
    desk.approved(desk.window()).await;
    let mut stricter = rules();
    stricter.maintenance.approvers = vec![role("safety")];
    desk.grants.rules.store(Arc::new(stricter));
    desk.grants.narrow(&HashSet::default(), START).await.unwrap();
    assert!(!desk.is_in_force(3_600));
}

#[tokio::test]
async fn whoever_is_on_duty_lets_in_at_any_hour_and_approvers_only_at_theirs() {
    let mut by_day = rules();
    // The start is eight in the morning in Japan.
    let hours = Hours { days: Day::ALL.to_vec(), from_minute: 9 * 60, to_minute: 17 * 60 };
    by_day.maintenance.hours = Some(hours);
    let desk = Desk::held_to(by_day).await;
    let id = desk.grants.ask(desk.window(), user("vendor").as_str(), START).await.unwrap();
    let early = desk.grants.approve(&id, user("chief").as_str(), "", START).await;
    assert!(matches!(early, Err(GrantProblem::Refused(GrantRefusal::OutsideHours))), "{early:?}");
    let not_on_duty = desk.grants.admit(&id, user("chief").as_str(), "", START).await;
    assert!(matches!(not_on_duty, Err(GrantProblem::Refused(GrantRefusal::NotInRole))), "{not_on_duty:?}");
    desk.grants.admit(&id, user("duty").as_str(), "停止中", START).await.unwrap();
    desk.grants.reload(START, async || Ok(true)).await.unwrap();
    assert!(desk.is_in_force(3_600));
    let kept = desk.store().grant(&id).await.unwrap().unwrap();
    assert_eq!(kept.approval_due_at(), Some(START.after(minutes(24 * 60))));
    desk.give_roles("duty", &["nurse"]).await;
    desk.grants.narrow(&HashSet::default(), START).await.unwrap();
    assert!(!desk.is_in_force(3_600));
    let late = START.after(minutes(90));
    desk.grants.approve(&id, user("chief").as_str(), "事後", late).await.unwrap();
    desk.grants.reload(late, async || Ok(true)).await.unwrap();
    assert!(desk.is_in_force(5_401), "now it rests on the approval");
}

#[tokio::test]
async fn glass_is_for_one_patient_where_that_is_known_and_never_for_vendors() {
    let desk = Desk::open().await;
    let break_it = |who: Who, device: Option<Device>, patient: Option<&str>, reason: &str| {
        let broken = BrokenGlass {
            app: app("emr"),
            reason: reason.to_owned(),
            words: "急変".to_owned(),
            patient: patient.map(ToOwned::to_owned),
            ward: None,
        };
        let grants = desk.grants.clone();
        async move { grants.break_glass(&who, device.as_ref(), broken, START).await }
    };
    let (nurse, vendor) = (who("nurse", &["nurse"]).await, who("vendor", &["vendor"]).await);
    let vendors = Device { class: DeviceClass::Vendor, ..Device::clone(&crate::testing::terminal()) };
    for (who, device, expected) in
        [(vendor, None, GrantRefusal::Vendor), (nurse.clone(), Some(vendors), GrantRefusal::Vendor)]
    {
        let refused = break_it(who, device, None, "emergency").await;
        assert!(matches!(&refused, Err(GrantProblem::Refused(why)) if *why == expected), "{refused:?}");
    }
    let refused = break_it(nurse.clone(), None, None, "bored").await;
    assert!(matches!(refused, Err(GrantProblem::Refused(GrantRefusal::NoSuchReason))), "{refused:?}");

    let id = break_it(nurse, None, Some("123"), "emergency").await.unwrap();
    desk.grants.reload(START, async || Ok(true)).await.unwrap();
    let found = |patients: &[&str], after| desk.found("nurse", "GET", "/", patients, after).map(|grant| grant.kind);
    assert_eq!(found(&["123"], 0), Some(GrantKind::Glass));
    assert_eq!(found(&[], 0), Some(GrantKind::Glass), "a request that names nobody");
    assert_eq!((found(&["456"], 0), found(&["123", "456"], 0)), (None, None));
    assert_eq!((found(&["123"], 3_599), found(&["123"], 3_600)), (Some(GrantKind::Glass), None), "sixty minutes");
    desk.grants.review(&id, user("safety").as_str(), GlassVerdict::Justified, "", START).await.unwrap();
    assert_eq!(found(&["123"], 60), Some(GrantKind::Glass), "a review ends nothing");
    let kept = desk.store().grant(&id).await.unwrap().unwrap();
    assert_eq!(kept.state(START.after(minutes(61))), GrantState::Confirmed);
}

#[tokio::test]
async fn glass_for_a_ward_opens_that_ward_and_nobody_who_is_not_known_to_be_there() {
    let desk = Desk::open().await;
    let unit = |name: &str| Unit::parse(name).unwrap();
    let broken = BrokenGlass {
        app: app("emr"),
        reason: "emergency".to_owned(),
        words: "急変".to_owned(),
        patient: None,
        ward: Some(unit("本院/3F")),
    };
    let nurse = who("nurse", &["nurse"]).await;
    desk.grants.break_glass(&nurse, None, broken, START).await.unwrap();
    desk.grants.reload(START, async || Ok(true)).await.unwrap();
    let place_of = |patient: &str| match patient {
        "31" | "32" => Some(unit("本院/3F/東")),
        "41" => Some(unit("本院/4F")),
        _ => None,
    };
    let opens = |patients: &[&str], ward: NamedWard| {
        let patients: Vec<Box<str>> = patients.iter().map(|one| Box::from(*one)).collect();
        let asked = Asked {
            person: &user("nurse"),
            app: &app("emr"),
            method: &Method::parse("GET").unwrap(),
            path: &Path::parse("/").unwrap(),
            patients: &patients,
            ward: &ward,
            place_of: &place_of,
            at: START,
        };
        desk.grants.find(&asked).is_some()
    };
    let in_ward = |name: &str| NamedWard::One(unit(name));
    assert!(opens(&[], NamedWard::Nothing), "names nobody");
    assert!(opens(&[], in_ward("本院/3F")) && opens(&[], in_ward("本院/3F/東")));
    assert!(!opens(&[], in_ward("本院/4F")) && !opens(&[], in_ward("本院")) && !opens(&[], NamedWard::Unclear));
    assert!(opens(&["31"], NamedWard::Nothing) && opens(&["31", "32"], NamedWard::Nothing));
    assert!(!opens(&["41"], NamedWard::Nothing) && !opens(&["31", "41"], NamedWard::Nothing));
    assert!(!opens(&["99"], NamedWard::Nothing), "where they are is not known");
    assert!(opens(&["99"], in_ward("本院/3F")), "the app answers for who is in the ward");
    assert!(!opens(&["41"], in_ward("本院/3F")), "known to be elsewhere, whatever the address says");
}

#[tokio::test]
async fn glass_is_offered_where_nothing_else_is_missing_and_somebody_reviews_it() {
    let desk = Desk::open().await;
    let reasons = |main, others: &[Reason]| Reasons { main, rule: "r".parse().unwrap(), others: others.to_vec() };
    let (nurse, vendor) = (who("nurse", &["nurse"]).await, who("vendor", &["nurse", "vendor"]).await);
    let may = |who: &Who, main, others: &[Reason]| desk.grants.may_break(who, None, &reasons(main, others));
    assert!(
        may(&nurse, Reason::BreakGlassRequired, &[])
            && may(&nurse, Reason::BreakGlassRequired, &[Reason::StepUpRequired])
    );
    assert!(
        !may(&nurse, Reason::BreakGlassRequired, &[Reason::ZoneNotAllowed])
            && !may(&nurse, Reason::RoleNotAllowed, &[])
    );
    assert!(!may(&vendor, Reason::BreakGlassRequired, &[]));
    let mut nobody_reviews = rules();
    nobody_reviews.glass.reviewers.clear();
    desk.grants.rules.store(Arc::new(nobody_reviews));
    assert!(!may(&nurse, Reason::BreakGlassRequired, &[]));
}

#[tokio::test]
async fn where_no_vendors_are_named_nobody_asks_and_only_for_apps_that_are_there() {
    let desk = Desk::open().await;
    let ask = async |window: AskedWindow| match desk.grants.ask(window, user("vendor").as_str(), START).await {
        Err(GrantProblem::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(ask(AskedWindow { app: app("gone"), ..desk.window() }).await, GrantRefusal::NoSuchApp);
    let mut without = rules();
    without.maintenance.vendor_roles.clear();
    desk.grants.rules.store(Arc::new(without));
    assert_eq!(ask(desk.window()).await, GrantRefusal::NotOffered);
}

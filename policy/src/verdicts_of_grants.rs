//! What exceptions are worth: a window lets in whom no rule lets in every day, for what it reaches and until it is over.

use std::sync::Arc;
use std::time::Duration;

use crate::fixtures::{access_with, rule_with, source};
use crate::{
    Access, Assurance, Decision, DeviceClass, Devices, Durability, Grant, Judge, Policy, Reason, Rule, Verdict,
};

fn judge(rules: Vec<Rule>, cedar: &str) -> Judge {
    Judge::new(Arc::new(Policy::load(&source(rules, cedar)).unwrap()))
}

fn with(grant: Option<Grant>) -> Access {
    access_with(|access| access.grant = grant)
}

fn named(id: &str) -> Grant {
    Grant::named(id.parse().unwrap())
}

fn told(judge: &mut Judge, grant: Option<Grant>) -> (Decision, Option<Reason>) {
    let judged = judge.ask(&with(grant));
    (judged.decision, judged.reason)
}

#[test]
fn a_row_for_windows_takes_one_that_reaches_and_nothing_else() {
    let mut judge = judge(vec![rule_with("w", |rule| rule.grant = true)], "");
    let now = with(None).at;
    let over = Grant { end: now, ..named("g-1") };
    // Twice, so that what is remembered answers too.
    for _ in 0..2 {
        assert_eq!(told(&mut judge, None), (Decision::Deny, Some(Reason::GrantRequired)));
        assert_eq!(told(&mut judge, Some(named("g-1"))), (Decision::Allow, None));
        let elsewhere = Grant { reaches: false, ..named("g-1") };
        assert_eq!(told(&mut judge, Some(elsewhere)), (Decision::Deny, Some(Reason::GrantReach)));
        assert_eq!(told(&mut judge, Some(named("glass-1"))), (Decision::Deny, Some(Reason::GrantRequired)));
        assert_eq!(told(&mut judge, Some(over.clone())), (Decision::Deny, Some(Reason::GrantRequired)));
    }
}

#[test]
fn what_rests_on_an_exception_goes_on_no_longer_than_it_and_is_on_the_disk_first() {
    let mut judge = judge(vec![rule_with("w", |rule| rule.grant = true)], "");
    let end = with(None).at.after(Duration::from_secs(90));
    for id in ["g-1", "g-2"] {
        let grant = Grant { end, ..named(id) };
        let Verdict::Allow(authorized) = judge.judge(with(Some(grant)), ()) else { panic!("{id}") };
        assert_eq!((authorized.permit().until(), authorized.permit().durability()), (end, Durability::Synced));
    }
}

#[test]
fn the_glass_is_offered_where_the_nearest_row_lacks_nothing_else() {
    let glass = |change: fn(&mut Rule)| {
        rule_with("glass", |rule| {
            rule.break_glass = true;
            change(rule);
        })
    };
    let by_tablet = rule_with("tablets", |rule| rule.devices = Devices::Classes(vec![DeviceClass::Tablet]));
    let offered = |rows: Vec<Rule>| {
        let Verdict::Deny(refused) = judge(rows, "").judge(with(None), ()) else { panic!("not denied") };
        refused.reasons.may_break_glass()
    };
    assert!(offered(vec![glass(|_| {})]));
    assert!(offered(vec![by_tablet.clone(), glass(|_| {})]), "before a row that lacks one other thing");
    assert!(
        offered(vec![by_tablet, glass(|rule| rule.assurance = Some(Assurance::Aal3))]),
        "what is proven comes after"
    );
    assert!(!offered(vec![glass(|rule| rule.zones = vec!["office".parse().unwrap()])]));
    let mut judge = judge(vec![glass(|_| {})], "");
    assert_eq!(told(&mut judge, Some(named("glass-1"))), (Decision::Allow, None));
    assert_eq!(told(&mut judge, Some(named("g-1"))), (Decision::Deny, Some(Reason::BreakGlassRequired)));
}

#[test]
fn cedar_reads_each_kind_in_a_word_of_its_own() {
    let cedar =
        r#"@id("c") permit (principal, action, resource) when { context.break_glass != "" && context.grant == "" };"#;
    let mut judge = judge(vec![], cedar);
    assert_eq!(told(&mut judge, Some(named("glass-1"))).0, Decision::Allow);
    assert_ne!(told(&mut judge, Some(named("g-1"))).0, Decision::Allow);
    assert_ne!(told(&mut judge, None).0, Decision::Allow);
}

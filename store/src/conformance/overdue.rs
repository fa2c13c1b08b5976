//! What people did not do in time is told, of each once.

use std::collections::BTreeSet;

use policy::GrantId;

use super::cast::*;
use super::{glass, grants};
use crate::*;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// What was told of exceptions as overdue after an event.
async fn told_after(store: &dyn Store, sequence: u64) -> Vec<(GrantId, GrantDuty)> {
    let events = good(store.events_after(sequence, usize::MAX).await);
    let overdue = |event: Event| {
        let Change::GrantOverdue { grant, duty } = event.change else { return None };
        Some((grant, duty))
    };
    assert!(events.iter().all(|event| event.actor == "gateway:clock"), "nobody did anything");
    events.into_iter().filter_map(overdue).collect()
}

/// Every exception of the store of which something is overdue at a moment.
async fn overdue_at(store: &dyn Store, at: i64) -> BTreeSet<GrantId> {
    let mut kept: Vec<GrantRecord> = Vec::new();
    loop {
        let after = kept.last().map(|last| last.id.clone());
        let page = good(store.grants(GrantFilter::default(), after, GRANTS_READ_MAX).await);
        if page.is_empty() {
            break;
        }
        kept.extend(page);
    }
    kept.into_iter().filter(|one| one.is_overdue(second(at))).map(|one| one.id).collect()
}

pub(super) async fn what_becomes_overdue_is_told_once(store: &dyn Store) {
    let vendor = grants::vendor(store, "v-overdue").await;
    let late = grants::chief(store, "c-overdue").await;
    let nurse = glass::with_role(store, "n-overdue", &["nurse"]).await;
    let [admitted, withdrawn, broken] =
        ["g-overdue", "g-overdue-withdrawn", "glass-overdue"].map(|name| parsed(GrantId::parse(name)));
    assert_eq!(grants::ask(store, grants::window("g-overdue", &vendor)).await, Ok(()));
    let admit = store.admit_grant(&admitted, late, "停止中".to_owned(), second(5 * HOUR), second(HOUR));
    assert_eq!(good(admit.await), Ok(()));
    let other = NewMaintenance {
        begin: second(6 * HOUR),
        end: second(7 * HOUR),
        ..grants::window("g-overdue-withdrawn", &vendor)
    };
    assert_eq!(grants::ask(store, other).await, Ok(()));
    let back = store.withdraw_grant(&withdrawn, vendor.id.to_string(), String::new(), second(2 * HOUR));
    assert_eq!(good(back.await), Ok(()));
    assert_eq!(good(store.break_glass(glass::broken("glass-overdue", &nurse), glass::terms()).await), Ok(()));

    let sequence = last_sequence(store).await;
    let mut told = Vec::new();
    // Its review is due at second 10 000, its approval after five hours, its report three days after the third hour.
    for at in [0, 9_999, 10_000, 5 * HOUR - 1, 5 * HOUR, 3 * DAY, 3 * DAY + 3 * HOUR - 1, 3 * DAY + 3 * HOUR, 40 * DAY]
    {
        let new = good(store.note_overdue_grants(second(at)).await);
        assert_eq!(good(store.note_overdue_grants(second(at)).await), 0, "nothing is told twice");
        let before = told.len();
        told = told_after(store, sequence).await;
        assert_eq!(told.len() - before, usize::try_from(new).unwrap_or(usize::MAX), "{at}");
        let ids: BTreeSet<GrantId> = told.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(ids, overdue_at(store, at).await, "{at}");
    }
    let of = |grant: &GrantId| told.iter().filter(|(id, _)| id == grant).map(|(_, duty)| *duty).collect::<Vec<_>>();
    assert_eq!(of(&admitted), [GrantDuty::Approval, GrantDuty::Report]);
    assert_eq!(of(&broken), [GrantDuty::Review]);
    assert_eq!(of(&withdrawn), []);
}

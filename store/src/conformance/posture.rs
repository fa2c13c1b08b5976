//! Posture: the last word counts, stale or not.

use policy::{DeviceId, PostureName, PostureSourceId};

use super::cast::*;
use crate::*;

fn row(device: &DeviceRecord, name: &str, value: &str, at: i64) -> PostureRow {
    PostureRow {
        device: device.id.clone(),
        name: parsed(PostureName::parse(name)),
        value: value.to_owned(),
        source: parsed(PostureSourceId::parse("mdm")),
        at: second(at),
        expires_at: second(at + 100),
    }
}

async fn kept(store: &dyn Store, device: &DeviceRecord) -> Vec<PostureRow> {
    good(store.posture().await).into_iter().filter(|row| row.device == device.id).collect()
}

pub(super) async fn the_last_word_on_a_device_counts(store: &dyn Store) {
    let (tablet, lost) = (device("d-posture", 80), device("d-posture-lost", 81));
    for one in [&tablet, &lost] {
        good(store.add_device(one.clone(), "u-admin".to_owned()).await);
    }
    let set = |rows: Vec<PostureRow>, at: i64| store.set_posture(rows, second(at), "gateway:mdm".to_owned());
    let stranger = DeviceRecord { id: parsed(DeviceId::parse("d-nobody")), ..tablet.clone() };
    let sequence = last_sequence(store).await;
    let good_ones = vec![row(&tablet, "os_patched", "true", 10), row(&tablet, "edr", "running", 10)];
    let told = good_ones.iter().cloned().chain([row(&stranger, "edr", "running", 10), row(&stranger, "av", "on", 10)]);
    assert_eq!(good(set(told.collect(), 20).await), vec![stranger.id], "who is not in the ledger is named once");
    let by_name = vec![good_ones[1].clone(), good_ones[0].clone()];
    assert_eq!(kept(store, &tablet).await, by_name);
    assert_eq!(changes_after(store, sequence).await, vec![Change::PostureChanged], "once for all of them");
    // The same again, and something older: no news.
    assert_eq!(good(set(good_ones, 21).await), vec![]);
    assert_eq!(good(set(vec![row(&tablet, "edr", "stopped", 9)], 21).await), vec![]);
    assert_eq!(kept(store, &tablet).await, by_name, "a replay of yesterday changes nothing");
    assert_eq!(changes_after(store, sequence).await.len(), 1);
    // A source whose clock is ahead does not have the last word for ever.
    good(set(vec![row(&tablet, "edr", "stopped", 90_000)], 22).await);
    good(set(vec![row(&tablet, "edr", "running", 23)], 23).await);
    assert_eq!(kept(store, &tablet).await.first(), Some(&row(&tablet, "edr", "running", 23)));
    // What is stale is kept; what is revoked is not shown.
    good(store.prune(second(1_000)).await);
    assert_eq!(kept(store, &tablet).await.len(), 2);
    good(set(vec![row(&lost, "edr", "running", 24)], 24).await);
    assert!(good(store.revoke_device(&lost.id, second(25), "u-admin".to_owned()).await));
    assert_eq!(kept(store, &lost).await, vec![]);
}

pub(super) async fn attributes_of_a_device_are_bounded(store: &dyn Store) {
    let tablet = device("d-posture-full", 82);
    good(store.add_device(tablet.clone(), "u-admin".to_owned()).await);
    let many = |count: usize| (0..count).map(|number| row(&tablet, &format!("a{number}"), "true", 10)).collect();
    let sequence = last_sequence(store).await;
    let over = store.set_posture(many(POSTURE_NAMES_MAX + 1), second(20), "gateway:mdm".to_owned()).await;
    assert!(matches!(over, Err(StoreProblem::Full)), "{over:?}");
    assert_eq!(kept(store, &tablet).await, vec![], "all or nothing");
    assert_eq!(last_sequence(store).await, sequence);
    good(store.set_posture(many(POSTURE_NAMES_MAX), second(20), "gateway:mdm".to_owned()).await);
    assert_eq!(kept(store, &tablet).await.len(), POSTURE_NAMES_MAX);
}

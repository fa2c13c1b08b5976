//! Certificates, revocations, posture and last sight.

use policy::{DeviceClass, DeviceId, PostureName, PostureSourceId};
use store::{CertificateRecord, DeviceChange};

use super::*;
use crate::testing::{START, Ward, minutes, terminal, terminal_record};

const DAYS: Duration = Duration::from_secs(86_400);

fn print(number: u8) -> Fingerprint {
    Fingerprint::new([number; 32])
}

#[tokio::test]
async fn a_certificate_stands_for_its_device_while_both_are_in_force() {
    let ward = Ward::open().await;
    let certificate = terminal().certificate;
    assert_eq!(ward.devices.find(&certificate, START), DeviceState::Known(terminal()));
    assert_eq!(ward.devices.find(&print(7), START), DeviceState::Unknown);
    let ended = terminal_record().certificates[0].ends_at;
    assert_eq!(ward.devices.find(&certificate, ended), DeviceState::Expired(terminal().id.clone()));
    assert_eq!(ward.devices.certificate_ends_at(&certificate), Some(ended));
    assert_eq!(ward.devices.class_of(&terminal().id), Some(DeviceClass::WardShared));
}

#[tokio::test]
async fn a_revocation_holds_even_while_the_store_is_silent() {
    let ward = Ward::open().await;
    ward.store.fail(true);
    ward.devices.note_revoked(&terminal().id).await;
    assert!(ward.devices.reload().await.is_err());
    let state = ward.devices.find(&terminal().certificate, START);
    assert_eq!(state, DeviceState::Revoked(terminal().id.clone()));
}

#[tokio::test]
async fn every_certificate_of_a_device_ends_by_itself_and_all_with_the_device() {
    let ward = Ward::open().await;
    let id = terminal().id.clone();
    let second = CertificateRecord::own(print(4), START, START.after(30 * DAYS));
    ward.store.add_certificate(&id, second, None, "cli:root".to_owned()).await.unwrap();
    ward.devices.reload().await.unwrap();
    let known = |number: u8, at| matches!(ward.devices.find(&print(number), at), DeviceState::Known(_));
    assert!(known(3, START) && known(4, START));
    assert!(known(3, START.after(31 * DAYS)) && !known(4, START.after(31 * DAYS)));
    assert!(ward.store.revoke_certificate(&id, &print(3), START, "cli:root".to_owned()).await.unwrap());
    ward.devices.reload().await.unwrap();
    assert_eq!(ward.devices.find(&print(3), START), DeviceState::Revoked(id.clone()));
    assert!(known(4, START), "the other one stays in force");
    assert!(ward.store.revoke_device(&id, START, "cli:root".to_owned()).await.unwrap());
    ward.devices.reload().await.unwrap();
    assert_eq!(ward.devices.find(&print(4), START), DeviceState::Revoked(id));
}

#[tokio::test]
async fn a_device_that_leaves_service_is_accepted_no_longer() {
    let ward = Ward::open().await;
    let id = terminal().id.clone();
    let change = DeviceChange { expires_at: Some(Some(START.after(DAYS))), ..DeviceChange::default() };
    assert!(ward.store.change_device(&id, change, START, "cli:root".to_owned()).await.unwrap());
    ward.devices.reload().await.unwrap();
    assert!(matches!(ward.devices.find(&print(3), START), DeviceState::Known(_)));
    assert_eq!(ward.devices.find(&print(3), START.after(DAYS)), DeviceState::Expired(id));
}

#[tokio::test]
async fn posture_goes_with_the_device_stale_or_not() {
    let ward = Ward::open().await;
    let row = |name: &str, value: &str, span: Duration| PostureRow {
        device: terminal().id.clone(),
        name: PostureName::parse(name).unwrap(),
        value: value.to_owned(),
        source: PostureSourceId::parse("edr").unwrap(),
        at: START,
        expires_at: START.after(span),
    };
    let rows = vec![row("os_patched", "true", DAYS), row("edr", "running", minutes(1))];
    ward.store.set_posture(rows, START, "posture:edr".to_owned()).await.unwrap();
    ward.devices.reload().await.unwrap();
    let DeviceState::Known(device) = ward.devices.find(&print(3), START.after(minutes(5))) else { panic!("known") };
    let mut facts: Vec<_> = device.posture.iter().map(|fact| (fact.name.to_string(), fact.fresh_until)).collect();
    facts.sort();
    let expected = [("edr".to_owned(), START.after(minutes(1))), ("os_patched".to_owned(), START.after(DAYS))];
    assert_eq!(facts, expected, "whether it is stale is the policy's question");
}

#[tokio::test]
async fn the_last_sight_is_written_down_once_and_outlives_a_reload() {
    let ward = Ward::open().await;
    let id = terminal().id.clone();
    ward.devices.note_seen(&id, START.after(minutes(5)));
    ward.devices.note_seen(&DeviceId::parse("nobody").unwrap(), START);
    ward.devices.reload().await.unwrap();
    ward.store.fail(true);
    assert!(ward.devices.write_down().await.is_err());
    ward.store.fail(false);
    ward.devices.write_down().await.unwrap();
    let seen = || async { ward.store.device(&id).await.unwrap().unwrap().seen_at };
    assert_eq!(seen().await, Some(START.after(minutes(5))));
    ward.store.fail(true);
    ward.devices.write_down().await.expect("there is nothing to write");
    ward.store.fail(false);
    ward.devices.note_seen(&id, START.after(minutes(3)));
    ward.devices.note_seen(&id, START.after(minutes(5) + Duration::from_secs(59)));
    ward.devices.write_down().await.unwrap();
    assert_eq!(seen().await, Some(START.after(minutes(5))), "never backwards, and not by seconds");
}

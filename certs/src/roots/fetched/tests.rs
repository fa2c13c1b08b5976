use std::sync::Arc;

use config::ClientCertificates::Required;
use config::TlsProfile::High;
use policy::Timestamp;
use rcgen::ExtendedKeyUsagePurpose::ClientAuth;

use super::*;
use crate::testing::{DAY, Hospital, NOW, OtherCa, handshake};
use crate::{DeviceRoots, IssuedDevice, Refusal};

const PLACE: &str = "http://pki.example/mdm.crl";

fn url(text: &str) -> CrlUrl {
    CrlUrl::parse(text).unwrap()
}

/// The gateway with these CAs, whose lists are fetched.
fn fetching(hospital: &Hospital, cas: &[&str], urls: &[&str], points: DistributionPoints) -> DeviceTrust {
    let mut trust = hospital.trust_in(cas, &[]);
    trust.crl_fetch.urls = urls.iter().map(|text| url(text)).collect();
    trust.crl_fetch.points = points;
    trust.crl_fetch.folder = hospital.folder.0.join("crls");
    trust
}

fn load(hospital: &Hospital, trust: &DeviceTrust) -> Arc<DeviceRoots> {
    DeviceRoots::load(&hospital.device_ca, trust, NOW).unwrap()
}

fn take(hospital: &Hospital, roots: &DeviceRoots, place: &str, list: &str) -> Result<Timestamp, String> {
    roots.take_list(&hospital.device_ca, &url(place), list.as_bytes(), NOW).map_err(|problem| problem.to_string())
}

fn refusal(roots: &DeviceRoots, device: &IssuedDevice) -> Option<Refusal> {
    refusal_at(roots, device, NOW)
}

fn refusal_at(roots: &DeviceRoots, device: &IssuedDevice, at: Timestamp) -> Option<Refusal> {
    use rustls::pki_types::pem::PemObject;
    let der = CertificateDer::from_pem_slice(device.certificate_pem.as_bytes()).unwrap();
    roots.check(&[der], at).err()
}

#[test]
fn nobody_is_believed_before_the_list_was_fetched_and_its_word_counts_from_then_on() {
    let (hospital, mdm) = (Hospital::new(), OtherCa::new("MDM"));
    let trust = fetching(&hospital, &[&mdm.pem], &[PLACE], DistributionPoints::Ignore);
    let roots = load(&hospital, &trust);
    let (good, stolen) = (mdm.issue(1, ClientAuth), mdm.issue(13, ClientAuth));
    assert_eq!(refusal(&roots, &good), Some(Refusal::CrlMissing), "no list at all is no yes");
    assert_eq!(refusal(&roots, &hospital.device()), None, "the gateway's own CA has the ledger");
    assert_eq!(take(&hospital, &roots, PLACE, &mdm.list(&[13], 1, 30)), Ok(NOW.after(6 * DAY)));
    assert_eq!((refusal(&roots, &good), refusal(&roots, &stolen)), (None, Some(Refusal::Revoked)));
    assert_eq!(refusal_at(&roots, &good, NOW.after(6 * DAY)), Some(Refusal::CrlTooOld), "nothing came since");
    let state = roots.crls();
    assert_eq!((state.len(), state[0].source.as_str()), (1, PLACE));

    // What was fetched is there at the next start, while nothing can be fetched.
    let again = load(&hospital, &trust);
    assert_eq!((refusal(&again, &good), refusal(&again, &stolen)), (None, Some(Refusal::Revoked)));
}

#[test]
fn what_is_not_the_ca_s_newest_list_changes_nothing() {
    let hospital = Hospital::new();
    let (mdm, namesake, other) = (OtherCa::new("MDM"), OtherCa::new("MDM"), OtherCa::new("other"));
    let trust = fetching(&hospital, &[&mdm.pem], &[PLACE], DistributionPoints::Ignore);
    let roots = load(&hospital, &trust);
    let stolen = mdm.issue(13, ClientAuth);
    take(&hospital, &roots, PLACE, &mdm.list(&[13], 1, 30)).unwrap();
    let generation = roots.generation();
    for (answer, words) in [
        (namesake.list(&[], 0, 30), "is not signed by `CN=MDM`"),
        (other.list(&[], 0, 30), "which is no CA of `ca_files`"),
        (mdm.list(&[], 2, 30), "older than the one before"),
        ("<html>moved</html>".to_owned(), "no readable revocation list"),
        (String::new(), "no readable revocation list"),
    ] {
        let said = take(&hospital, &roots, PLACE, &answer).unwrap_err();
        assert!(said.starts_with(PLACE) && said.contains(words), "{said}");
        assert_eq!(refusal(&roots, &stolen), Some(Refusal::Revoked), "{words}");
    }
    assert_eq!(refusal(&load(&hospital, &trust), &stolen), Some(Refusal::Revoked), "nor at the next start");
    take(&hospital, &roots, PLACE, &mdm.list(&[13], 1, 30)).unwrap();
    let same = roots.generation();
    take(&hospital, &roots, PLACE, &mdm.list(&[], 0, 30)).unwrap();
    assert_eq!(refusal(&roots, &stolen), None, "the CA took it back");
    assert!(same > generation, "a list signed anew is another list");
}

#[test]
fn an_older_list_does_not_come_back_by_way_of_another_cas_answer() {
    let hospital = Hospital::new();
    let (mdm, other) = (OtherCa::new("MDM"), OtherCa::new("other"));
    let trust = fetching(&hospital, &[&mdm.pem, &other.pem], &[PLACE], DistributionPoints::Ignore);
    let roots = load(&hospital, &trust);
    let stolen = mdm.issue(13, ClientAuth);
    let before_the_theft = mdm.list(&[], 2, 30);
    take(&hospital, &roots, PLACE, &mdm.list(&[13], 1, 30)).unwrap();
    let of_other = other.list(&[], 1, 30);
    take(&hospital, &roots, PLACE, &of_other).unwrap();
    assert_eq!(refusal(&roots, &stolen), Some(Refusal::Revoked), "its list was not in the answer, and stays");
    assert_eq!(refusal(&roots, &other.issue(1, ClientAuth)), None);
    let generation = roots.generation();
    take(&hospital, &roots, PLACE, &of_other).unwrap();
    assert_eq!(roots.generation(), generation, "no news");
    for answer in [before_the_theft.clone(), before_the_theft.clone() + &of_other] {
        let said = take(&hospital, &roots, PLACE, &answer).unwrap_err();
        assert!(said.contains("older than the one before"), "{said}");
        assert_eq!(refusal(&roots, &stolen), Some(Refusal::Revoked));
    }
    let again = load(&hospital, &trust);
    assert_eq!(refusal(&again, &stolen), Some(Refusal::Revoked), "nor at the next start");

    // Nor when the other CA is trusted no more.
    let alone = fetching(&hospital, &[&mdm.pem], &[PLACE], DistributionPoints::Ignore);
    again.reload(&hospital.device_ca, &alone, NOW).unwrap();
    assert_eq!(refusal(&again, &stolen), Some(Refusal::Revoked));
    take(&hospital, &again, PLACE, &before_the_theft).unwrap_err();
    take(&hospital, &again, PLACE, &mdm.list(&[], 0, 30)).unwrap();
    assert_eq!(refusal(&again, &stolen), None, "the CA took it back");
}

#[test]
fn a_list_that_ended_is_still_newer_than_the_ones_before() {
    let hospital = Hospital::new();
    let (mdm, other) = (OtherCa::new("MDM"), OtherCa::new("other"));
    let trust = fetching(&hospital, &[&mdm.pem, &other.pem], &[PLACE], DistributionPoints::Ignore);
    let roots = load(&hospital, &trust);
    take(&hospital, &roots, PLACE, &mdm.list(&[13], 3, 1)).unwrap();
    take(&hospital, &roots, PLACE, &other.list(&[], 1, 30)).unwrap();
    let said = take(&hospital, &roots, PLACE, &mdm.list(&[], 4, 30)).unwrap_err();
    assert!(said.contains("older than the one before"), "{said}");
    take(&hospital, &roots, PLACE, &mdm.list(&[], 1, 30)).unwrap();
    assert_eq!(refusal(&roots, &mdm.issue(1, ClientAuth)), None);
}

#[test]
fn lists_of_both_keys_of_a_ca_are_compared_each_with_its_own() {
    let hospital = Hospital::new();
    let (first, second) = (OtherCa::new("AD CS"), OtherCa::new("AD CS"));
    let trust = fetching(&hospital, &[&first.pem, &second.pem], &[PLACE], DistributionPoints::Ignore);
    let roots = load(&hospital, &trust);
    let (of_first, of_second) = (first.issue(13, ClientAuth), second.issue(13, ClientAuth));
    let both =
        |one: (&[u64], i64), other: (&[u64], i64)| first.list(one.0, one.1, 30) + &second.list(other.0, other.1, 30);
    // The list of the key before was made at another time than that of the new one, whichever stands first.
    take(&hospital, &roots, PLACE, &both((&[], 4), (&[], 1))).unwrap();
    assert_eq!((refusal(&roots, &of_first), refusal(&roots, &of_second)), (None, None));
    take(&hospital, &roots, PLACE, &both((&[13], 3), (&[], 1))).unwrap();
    assert_eq!((refusal(&roots, &of_first), refusal(&roots, &of_second)), (Some(Refusal::Revoked), None));
    take(&hospital, &roots, PLACE, &second.list(&[13], 0, 30)).unwrap();
    let revoked = Some(Refusal::Revoked);
    assert_eq!((refusal(&roots, &of_first), refusal(&roots, &of_second)), (revoked, revoked));
    take(&hospital, &roots, PLACE, &both((&[], 4), (&[], 0))).unwrap_err();
    assert_eq!(refusal(&roots, &of_first), revoked);
}

#[test]
fn the_same_answer_again_is_no_news() {
    let (hospital, mdm) = (Hospital::new(), OtherCa::new("MDM"));
    let roots = load(&hospital, &fetching(&hospital, &[&mdm.pem], &[PLACE], DistributionPoints::Ignore));
    let list = mdm.list(&[], 1, 30);
    let until = take(&hospital, &roots, PLACE, &list);
    let generation = roots.generation();
    assert_eq!(take(&hospital, &roots, PLACE, &list), until);
    assert_eq!(roots.generation(), generation, "sessions are resumed");
}

#[test]
fn a_kept_list_that_was_damaged_is_as_none_and_is_fetched_again() {
    let (hospital, mdm) = (Hospital::new(), OtherCa::new("MDM"));
    let trust = fetching(&hospital, &[&mdm.pem], &[PLACE], DistributionPoints::Ignore);
    let list = mdm.list(&[], 1, 30);
    take(&hospital, &load(&hospital, &trust), PLACE, &list).unwrap();
    let file = file_of(&trust.crl_fetch.folder, &url(PLACE));
    std::fs::write(&file, "half a li").unwrap();
    let roots = load(&hospital, &trust);
    let device = mdm.issue(1, ClientAuth);
    assert_eq!(refusal(&roots, &device), Some(Refusal::CrlMissing));
    take(&hospital, &roots, PLACE, &list).unwrap();
    assert_eq!(refusal(&roots, &device), None);
}

#[test]
fn a_list_that_cannot_be_kept_is_not_taken() {
    let (hospital, mdm) = (Hospital::new(), OtherCa::new("MDM"));
    let mut trust = fetching(&hospital, &[&mdm.pem], &[PLACE], DistributionPoints::Ignore);
    trust.crl_fetch.folder = hospital.folder.write("no-folder", "a file");
    let roots = load(&hospital, &trust);
    let said = take(&hospital, &roots, PLACE, &mdm.list(&[], 1, 30)).unwrap_err();
    assert!(said.contains("no-folder"), "{said}");
    assert_eq!(refusal(&roots, &mdm.issue(1, ClientAuth)), Some(Refusal::CrlMissing));
}

#[test]
fn places_are_learned_from_certificates_that_a_trusted_ca_signed_and_from_no_others() {
    let hospital = Hospital::new();
    let (mdm, namesake) = (OtherCa::new("MDM"), OtherCa::new("MDM"));
    let trust = fetching(&hospital, &[&mdm.pem], &[], DistributionPoints::Use);
    let roots = load(&hospital, &trust);
    let server = hospital.listener_with(Required, High, Arc::clone(&roots));
    let meet = |device: &IssuedDevice| {
        handshake(&hospital.stubborn_browser_of(device), &server, "emr.hosp.example").map_err(|(_, error)| error)
    };
    assert!(roots.crl_urls().is_empty());
    let foreign = meet(&namesake.issue_naming(1, &["http://evil.example/x"])).unwrap_err();
    assert!(Refusal::of(&foreign).is_some());
    assert!(roots.crl_urls().is_empty(), "a stranger sends the gateway nowhere");

    let device = mdm.issue_naming(2, &["ldap://dc.example/cn=mdm", PLACE]);
    assert_eq!(Refusal::of(&meet(&device).unwrap_err()), Some(Refusal::CrlMissing));
    assert_eq!(roots.crl_urls(), [url(PLACE)]);
    take(&hospital, &roots, PLACE, &mdm.list(&[], 1, 30)).unwrap();
    assert!(meet(&device).is_ok());

    let again = load(&hospital, &trust);
    assert_eq!((again.crl_urls(), refusal(&again, &device)), (vec![url(PLACE)], None), "it is kept");
    let ignoring = fetching(&hospital, &[&mdm.pem], &["http://pki.example/b.crl"], DistributionPoints::Ignore);
    again.reload(&hospital.device_ca, &ignoring, NOW).unwrap();
    assert_eq!(again.crl_urls(), [url("http://pki.example/b.crl")]);
    assert_eq!(refusal(&again, &device), Some(Refusal::CrlMissing), "what is not asked is not believed");
}

#[test]
fn no_more_places_are_learned_than_are_fetched_in_time() {
    let (hospital, mdm) = (Hospital::new(), OtherCa::new("MDM"));
    let roots = load(&hospital, &fetching(&hospital, &[&mdm.pem], &[], DistributionPoints::Use));
    for number in 0..POINTS_MAX as u64 + 5 {
        let device = mdm.issue_naming(number + 1, &[&format!("http://pki.example/{number}")]);
        use rustls::pki_types::pem::PemObject;
        roots.learn(&CertificateDer::from_pem_slice(device.certificate_pem.as_bytes()).unwrap(), &[]);
    }
    assert_eq!(roots.crl_urls().len(), POINTS_MAX);
}

#[test]
fn a_ca_names_the_list_of_the_ca_above_it() {
    let hospital = Hospital::new();
    let root = OtherCa::new("root");
    let issuing = root.below_naming("issuing", &[PLACE]);
    let trust = fetching(&hospital, &[&root.pem, &issuing.pem], &[], DistributionPoints::Use);
    assert_eq!(load(&hospital, &trust).crl_urls(), [url(PLACE)]);
    let alone = fetching(&hospital, &[&issuing.pem], &[], DistributionPoints::Use);
    assert!(load(&hospital, &alone).crl_urls().is_empty(), "whose list is of no use is not fetched");
}

#[test]
fn of_two_cas_of_one_name_each_needs_its_own_list() {
    let hospital = Hospital::new();
    let (first, second) = (OtherCa::new("AD CS"), OtherCa::new("AD CS"));
    let roots = hospital.trusting(&[&first.pem, &second.pem], &[&first.list(&[], 1, 30)]);
    assert_eq!(refusal(&roots, &first.issue(1, ClientAuth)), None);
    assert_eq!(refusal(&roots, &second.issue(1, ClientAuth)), Some(Refusal::CrlMissing));
}

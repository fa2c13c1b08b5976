//! Receivers of the access log.

use std::time::Duration;

use super::golden::said_about;
use super::{Folder, short_and};
use crate::{FeedBegin, FeedEvents, FeedFormat};

/// A receiver with everything that must be said, and more.
fn feed(more: &str) -> String {
    format!(
        "[[audit.feed]]\nid = \"siem\"\naddress = \"siem.sakura.example\"\nca_file = \"tls/chain.pem\"\n\
         client_certificate = \"tls/chain.pem\"\nclient_key = \"tls/key.pem\"\nformat = \"json\"\n{more}"
    )
}

#[test]
fn a_receiver_is_told_everything_over_mutual_tls_unless_the_hospital_says_otherwise() {
    let folder = Folder::new();
    assert!(folder.parse(&short_and("")).unwrap().feeds.is_empty());
    let config = folder.parse(&short_and(&feed(""))).unwrap();
    let read = &config.feeds[0];
    assert_eq!((read.id.as_str(), read.host.as_str(), read.port), ("siem", "siem.sakura.example", 6514));
    assert!(read.tls.client_certificate.is_some() && read.tls.ca_file.is_some() && read.tls.server_name.is_none());
    assert_eq!((read.format, read.events.len()), (FeedFormat::Json, FeedEvents::ALL.len()));
    assert_eq!((read.message_bytes_max, read.settle), (32 * 1024, Duration::from_secs(10)));
    assert_eq!((read.begin, read.alarm_after), (FeedBegin::Oldest, Duration::from_secs(900)));
    assert!(config.files.iter().any(|file| file.ends_with("tls/chain.pem")), "its files are watched");
}

#[test]
fn addresses_are_names_or_numbers_with_or_without_a_port() {
    let folder = Folder::new();
    for (written, host, port) in [
        ("siem:601", "siem", 601),
        ("10.0.0.9", "10.0.0.9", 6514),
        ("10.0.0.9:7000", "10.0.0.9", 7000),
        ("fd00::9", "fd00::9", 6514),
        ("[fd00::9]:7000", "fd00::9", 7000),
    ] {
        let text = feed("events = [\"refusals\", \"gateway\"]\nformat = \"dicom-xml\"")
            .replace("siem.sakura.example", written)
            .replacen("format = \"json\"\n", "", 1);
        let config = folder.parse(&short_and(&text)).unwrap();
        let read = &config.feeds[0];
        assert_eq!((read.host.as_str(), read.port), (host, port), "{written}");
        assert_eq!(read.format, FeedFormat::DicomXml);
        assert_eq!(read.events.iter().copied().collect::<Vec<_>>(), [FeedEvents::Refusals, FeedEvents::Gateway]);
    }
}

#[test]
fn a_receiver_may_want_audit_events_in_fhir() {
    let folder = Folder::new();
    let text = feed("").replace("\"json\"", "\"fhir\"");
    assert_eq!(folder.parse(&short_and(&text)).unwrap().feeds[0].format, FeedFormat::Fhir);
}

#[test]
fn each_mistake_in_a_receiver_is_told_in_words_one_can_act_on() {
    let remedy = "write host and port, such as `siem.hospital.example.jp:6514`";
    for (from, to, said) in [
        ("example\"", "example:0\"", format!("audit.feed[siem].address: `0` is not a port; {remedy}")),
        ("example\"", "example:syslog\"", format!("audit.feed[siem].address: `syslog` is not a port; {remedy}")),
        (
            "siem.sakura.example",
            "127.0.0.1:443",
            "audit.feed[siem].address: `127.0.0.1:443` is the gateway itself; name the server behind the gateway".into(),
        ),
        (
            "format = \"json\"",
            "format = \"xml\"",
            "audit.feed[siem].format: `xml` is not one of `json`, `dicom-xml`, `fhir`; write one of these".into(),
        ),
        (
            "client_key = \"tls/key.pem\"\n",
            "",
            "audit.feed[siem].client_key: is missing; add `client_key = \"tls/feed.key\"`".into(),
        ),
        (
            "ca_file = \"tls/chain.pem\"\n",
            "",
            "audit.feed[siem].ca_file: is missing; add `ca_file = \"tls/siem-ca.pem\"`".into(),
        ),
        (
            "format = \"json\"\n",
            "format = \"json\"\nevents = [\"signins\"]\n",
            "audit.feed[siem].events: `signins` is not one of `accesses`, `refusals`, `sign-ins`, `changes`, `gateway`; write `sign-ins`"
                .into(),
        ),
        (
            "format = \"json\"\n",
            "format = \"json\"\nmessage_max = \"1KiB\"\n",
            "audit.feed[siem].message_max: `1KiB` is out of bounds; write a size from 2KiB to 1MiB".into(),
        ),
        (
            "format = \"json\"\n",
            "format = \"json\"\nsettle = \"0s\"\n",
            "audit.feed[siem].settle: `0s` is out of bounds; write a span from 1s to 10m".into(),
        ),
    ] {
        assert_eq!(said_about(&short_and(&feed("").replace(from, to))), said);
    }
    let folder = Folder::new();
    let said = folder.said(&short_and(&(feed("") + &feed(""))));
    assert!(said.len() == 1 && said[0].contains("give each feed its own id"), "{said:?}");
    let many: String = (0..9).map(|number| feed("").replace("\"siem\"", &format!("\"siem-{number}\""))).collect();
    let said = folder.said(&short_and(&many));
    assert!(said.len() == 1 && said[0].contains("has more than 8 feeds"), "{said:?}");
}

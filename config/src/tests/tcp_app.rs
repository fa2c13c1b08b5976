//! TCP apps: one port each, and none of the keys of web apps.

use policy::Durability;

use super::{Folder, SHORT, short_and};
use crate::{AppKind, OnLogFailure, Scheme, TcpProtocol};

const TCP: &str = "[[app]]\nid = \"pacs-shell\"\nkind = \"tcp\"\nhost = \"pacs-shell.sakura.example\"\n\
                   upstream = \"10.0.0.9:22\"\nprotocol = \"ssh\"\n";

/// The short configuration with this app, changed.
fn said(from: &str, to: &str) -> Vec<String> {
    assert!(TCP.contains(from), "{from}");
    Folder::new().said(&short_and(&TCP.replace(from, to)))
}

#[test]
fn a_tcp_app_is_one_port_and_everything_of_it_is_on_disk_first() {
    let config = Folder::new().parse(&short_and(TCP)).unwrap();
    let app = config.apps.last().unwrap();
    assert_eq!((app.kind, app.tcp()), (AppKind::Tcp(TcpProtocol::Ssh), Some(TcpProtocol::Ssh)));
    let upstream = app.upstreams.first().unwrap();
    assert_eq!((upstream.scheme, upstream.host.as_str(), upstream.port), (Scheme::Tcp, "10.0.0.9", 22));
    assert_eq!(
        (app.reads, app.writes, app.on_log_failure),
        (Durability::Synced, Durability::Synced, OnLogFailure::Refuse)
    );
    assert_eq!(config.apps.first().unwrap().kind, AppKind::Web);
}

#[test]
fn its_port_may_be_named_by_host_or_address() {
    for (written, host, port) in [
        ("db.inside:5432", "db.inside", 5432),
        ("[fd00::1]:104", "fd00::1", 104),
        ("[::ffff:10.0.0.9]:1", "10.0.0.9", 1),
    ] {
        let config = Folder::new().parse(&short_and(&TCP.replace("10.0.0.9:22", written))).unwrap();
        let upstream = config.apps.last().unwrap().upstreams.first().unwrap();
        assert_eq!((upstream.host.as_str(), upstream.port), (host, port), "{written}");
    }
}

#[test]
fn what_is_no_port_is_told() {
    let remedy = "write host and port, such as `10.0.0.9:22`";
    for (written, reason) in [
        ("10.0.0.9", "`10.0.0.9` is not host and port"),
        ("https://10.0.0.9:22", "`https://10.0.0.9:22` is not host and port"),
        ("10.0.0.9:0", "there is no port 0"),
        ("10.0.0.9:65536", "`10.0.0.9:65536` is not host and port"),
        ("db inside:22", "`db inside:22` is not host and port"),
    ] {
        let said = said("10.0.0.9:22", written);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].ends_with(&format!("app[pacs-shell].upstream: {reason}; {remedy}")), "{said:?}");
    }
}

#[test]
fn keys_of_web_apps_are_not_known_and_words_are_checked() {
    for key in ["upstreams = []", "prefix = \"/a\"", "assertion = true", "shield = {}", "health_path = \"/h\""] {
        let said = said("protocol = \"ssh\"", key);
        assert!(said.len() == 1 && said[0].contains("is not a key we know"), "{key}: {said:?}");
    }
    let said = said("\"ssh\"", "\"telnet\"");
    assert!(said.len() == 1 && said[0].contains("`telnet` is not one of"), "{said:?}");
    let said = self::said("kind = \"tcp\"", "kind = \"udp\"");
    assert!(said.iter().any(|line| line.contains("`udp` is not one of")), "{said:?}");
}

#[test]
fn its_host_is_its_own() {
    let emr = SHORT.lines().find_map(|line| line.strip_prefix("host = ")).unwrap();
    let said = said("\"pacs-shell.sakura.example\"", emr);
    assert!(said.len() == 1 && said[0].ends_with("give the TCP app a host of its own"), "{said:?}");
    let web = "[[app]]\nid = \"web\"\nhost = \"pacs-shell.sakura.example\"\nprefix = \"/web\"\n\
               upstreams = [\"http://10.0.0.5:80\"]\n";
    let said = Folder::new().said(&short_and(&format!("{TCP}{web}")));
    assert!(said.len() == 1 && said[0].ends_with("give the TCP app a host of its own"), "{said:?}");
}

#[test]
fn it_stands_nowhere_where_no_upstream_may_stand() {
    let text = SHORT.replace("gateway = { ", "gateway = { forbidden_upstreams = [\"10.0.0.0/24\"], ");
    let said = Folder::new().said(&format!("{text}{TCP}"));
    let forbidden = "app[pacs-shell].upstream: `10.0.0.9` lies in `10.0.0.0/24`";
    assert!(said.iter().any(|line| line.contains(forbidden)), "{said:?}");
}

//! `[nodes]`: what is read, and what is said where it is wrong.

use std::time::Duration;

use super::{Folder, short_and};

const TWO: &str = "[nodes]\nnames = [\"gw01\", \"gw02\"]\nname_file = \"node\"";

fn folder(own: &str) -> Folder {
    let folder = Folder::new();
    folder.file("node", own, 0o644);
    folder
}

#[test]
fn one_machine_needs_to_say_nothing() {
    let config = Folder::new().parse(&short_and("")).unwrap();
    assert_eq!(config.nodes, None);
    assert_eq!(config.audit.origin, "login.sakura.example/gw01");
}

#[test]
fn one_configuration_is_the_same_on_every_node_and_each_has_its_own_log() {
    let (one, two) = (folder("gw01\n"), folder("gw02\n"));
    let (one, two) = (one.parse(&short_and(TWO)).unwrap(), two.parse(&short_and(TWO)).unwrap());
    assert_eq!(one.revision, two.revision);
    assert_eq!(one.audit.origin, "login.sakura.example/gw01");
    assert_eq!(two.audit.origin, "login.sakura.example/gw02");
    let nodes = two.nodes.unwrap();
    assert_eq!((nodes.own.as_str(), nodes.silent_after), ("gw02", Duration::from_secs(15)));
    assert_eq!(nodes.peers().map(|name| name.as_str()).collect::<Vec<_>>(), ["gw01"]);
    assert!(two.texts.iter().all(|text| !text.text.contains("gw02\n") || text.text.contains("[nodes]")));
    assert!(two.files.iter().any(|file| file.ends_with("node")), "it is watched");
}

#[test]
fn a_version_that_was_kept_on_one_node_is_another_nodes_own_when_it_is_read_there() {
    let (one, two) = (folder("gw01"), folder("gw02"));
    let kept = one.parse(&short_and(TWO)).unwrap();
    let texts = kept.texts.iter().skip(1).map(|text| (text.path.clone(), text.text.clone())).collect();
    let read = crate::parse_with(&kept.texts[0].text, "sekimori.toml", &two.0, &texts).unwrap();
    assert_eq!(read.nodes.unwrap().own.as_str(), "gw02");
}

#[test]
fn a_name_of_a_log_says_where_the_nodes_stands() {
    let text = format!("{}\n[audit]\norigin = \"log.sakura.example/{{node}}\"", short_and(TWO));
    assert_eq!(folder("gw02").parse(&text).unwrap().audit.origin, "log.sakura.example/gw02");
    let text = short_and("[audit]\norigin = \"log.sakura.example/{node}\"");
    assert_eq!(Folder::new().parse(&text).unwrap().audit.origin, "log.sakura.example/gw01");
    let said = folder("gw02").said(&format!("{}\n[audit]\norigin = \"log.sakura.example/a\"", short_and(TWO)));
    assert!(said.len() == 1 && said[0].contains("audit.origin: would be the name of every node's log"), "{said:?}");
}

#[test]
fn a_lock_is_not_shorter_than_nodes_take_to_hear_of_a_use() {
    let lock = "[sessions.ward-shared]\nlock = \"20s\"";
    let said = folder("gw01").said(&format!("{}\n{TWO}", short_and(lock)));
    assert!(said.len() == 1 && said[0].contains("less than a minute"), "{said:?}");
    assert!(Folder::new().parse(&short_and(lock)).is_ok());
}

/// The way between the nodes, with one text of it replaced.
fn channel(from: &str, to: &str) -> String {
    let text = "[nodes.channel]\naddresses = { gw01 = \"10.20.0.11:8443\", gw02 = \"gw02.sakura.example:8444\" }\n\
                ca_file = \"tls/chain.pem\"\ncertificate = \"tls/chain.pem\"\nkey = \"tls/key.pem\"\n";
    assert!(text.contains(from), "{from}");
    short_and(&format!("{TWO}\n{}", text.replace(from, to)))
}

#[test]
fn nodes_ask_each_other_only_where_the_hospital_says_how() {
    assert_eq!(folder("gw01").parse(&short_and(TWO)).unwrap().nodes.unwrap().channel, None);
    let read = folder("gw01").parse(&channel("", "")).unwrap();
    let way = read.nodes.unwrap().channel.unwrap();
    assert_eq!(way.listen.to_string(), "10.20.0.11:8443", "its own address");
    let others: Vec<_> = way.addresses.iter().map(|(name, (host, port))| format!("{name} {host}:{port}")).collect();
    assert_eq!(others, ["gw02 gw02.sakura.example:8444"]);
    assert!(read.files.iter().any(|file| file.ends_with("tls/key.pem")));
    let listen = channel("ca_file", "listen = \"[::]:8444\"\nca_file");
    let read = folder("gw02").parse(&listen).unwrap();
    assert_eq!(read.nodes.unwrap().channel.unwrap().listen.to_string(), "[::]:8444");
    assert_eq!(read.revision, folder("gw01").parse(&listen).unwrap().revision);
}

#[test]
fn each_mistake_in_the_way_between_nodes_is_told() {
    let cases = [
        ("gw02", "", "", "nodes.channel: does not say where this machine listens; add `listen"),
        ("gw01", "gw01 = ", "gw03 = ", "nodes.channel.addresses.gw03: `gw03` is not in `names`"),
        ("gw01", ", gw02 = \"gw02.sakura.example:8444\"", "", "nodes.channel.addresses: lacks `gw02`"),
        ("gw01", ":8443", "", "`10.20.0.11` is not a host and its port; write host and port"),
        ("gw01", ":8444", ":0", "`gw02.sakura.example:0` is not a host and its port"),
        ("gw01", "ca_file = \"tls/chain.pem\"\n", "", "nodes.channel.ca_file: is missing"),
        ("gw01", "\nkey = \"tls/key.pem\"", "", "nodes.channel.key: is missing"),
        ("gw01", "\"tls/key.pem\"", "\"tls/chain.pem\"", "is open to other users of this machine"),
        ("gw01", "ca_file", "ca_files", "nodes.channel.ca_files: is not a key we know; write `ca_file`"),
    ];
    for (own, from, to, expected) in cases {
        let said = folder(own).said(&channel(from, to));
        assert!(said.len() == 1 && said[0].contains(expected), "{expected}: {said:?}");
    }
    let forbidden = "portal_host = \"portal.sakura.example\", forbidden_upstreams = [\"10.20.0.0/16\"]";
    let text = channel("", "").replace("portal_host = \"portal.sakura.example\"", forbidden);
    let said = folder("gw02").said(&text);
    assert!(said.iter().any(|one| one.contains("where `forbidden_upstreams` allows no upstream")), "{said:?}");
}

#[test]
fn what_is_wrong_is_said() {
    let said = |own: &str, text: &str| folder(own).said(&short_and(text));
    let cases = [
        ("gw03", TWO, "`node` says that this machine is `gw03`, which is not in `names`"),
        ("GW 1", TWO, "`node`: `GW 1` is not a node's name"),
        ("gw01", "[nodes]\nnames = [\"gw01\", \"gw02\"]", "nodes.name_file: is missing"),
        ("gw01", "[nodes]\nnames = [\"gw01\"]\nname_file = \"node\"", "names 1 nodes; it takes 2 to 16"),
        ("gw01", "[nodes]\nnames = [\"gw01\", \"gw01\"]\nname_file = \"node\"", "names `gw01` twice"),
        ("gw01", "[nodes]\nnames = [\"gw01\", \"-\"]\nname_file = \"node\"", "`-` is not a node's name"),
        ("gw01", "[nodes]\nnames = [\"gw01\", \"gw02\"]\nname_file = \"none\"", "`none` does not exist"),
        ("gw01", "[nodes.channel]\nlisten = \"0.0.0.0:8443\"", "nodes.names: is missing"),
        ("gw01", &format!("{TWO}\nsilent_after = \"1s\""), "nodes.silent_after: `1s` is out of bounds"),
    ];
    for (own, text, expected) in cases {
        let said = said(own, text);
        assert!(said.len() == 1 && said[0].contains(expected), "{expected}: {said:?}");
    }
}

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
        ("gw01", &format!("{TWO}\nsilent_after = \"1s\""), "nodes.silent_after: `1s` is out of bounds"),
    ];
    for (own, text, expected) in cases {
        let said = said(own, text);
        assert!(said.len() == 1 && said[0].contains(expected), "{expected}: {said:?}");
    }
}

//! Where people, devices and sessions are kept.

use std::time::Duration;

use super::{Folder, short_and};
use crate::{Database, DatabasePlace, StoreKind};

const DATABASE: &str =
    "[store]\nkind = \"postgres\"\naddress = \"db.sakura.example\"\npassword_file = \"secrets/db\"\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("secrets/db", "open sesame\n", 0o600);
    folder.file("secrets/open", "open sesame\n", 0o644);
    folder
}

fn database(text: &str) -> Database {
    let config = folder().parse(&short_and(text)).unwrap();
    let StoreKind::Postgres(database) = config.store.kind else { panic!("{:?}", config.store) };
    *database
}

#[test]
fn the_store_is_a_file_and_people_go_on_for_a_shift_unless_the_hospital_says_otherwise() {
    let store = folder().parse(&short_and("")).unwrap().store;
    assert!(matches!(store.kind, StoreKind::Sqlite));
    assert_eq!(store.away_max, Duration::from_secs(12 * 3_600));
    let store = folder().parse(&short_and("[store]\naway_max = \"30m\"\n")).unwrap().store;
    assert_eq!(store.away_max, Duration::from_secs(1_800));
}

#[test]
fn a_database_is_reached_by_verified_tls_unless_it_is_on_this_machine() {
    let kept = database(DATABASE);
    assert_eq!((kept.name.as_str(), kept.user.as_str(), kept.connections), ("sekimori", "sekimori", 4));
    assert_eq!(kept.password.as_ref().unwrap().expose(), "open sesame");
    let DatabasePlace::Host { host, port, tls: Some(tls) } = kept.place else { panic!("{:?}", kept.place) };
    assert_eq!((host.as_str(), port, tls.ca_file), ("db.sakura.example", 5_432, None));
    for (written, is_under_tls) in
        [("127.0.0.1", false), ("[::1]:6432", false), ("localhost:5433", false), ("10.0.0.9:5432", true), ("db", true)]
    {
        let DatabasePlace::Host { tls, .. } = database(&DATABASE.replace("db.sakura.example", written)).place else {
            panic!("{written}");
        };
        assert_eq!(tls.is_some(), is_under_tls, "{written}");
    }
    let with_ca = DATABASE.replace("db.sakura.example", "127.0.0.1") + "ca_file = \"tls/chain.pem\"\n";
    assert!(matches!(database(&with_ca).place, DatabasePlace::Host { tls: Some(_), .. }));
    let socket = "[store]\nkind = \"postgres\"\naddress = \"/run/postgresql/.s.PGSQL.5432\"\n";
    assert_eq!(database(socket).place, DatabasePlace::Socket("/run/postgresql/.s.PGSQL.5432".into()));
}

#[test]
fn each_mistake_in_the_store_is_told_in_words_one_can_act_on() {
    let open = "store.password_file: `PATH` is open to other users of this machine (mode 644); ";
    for (from, to, said) in [
        ("\"postgres\"", "\"postgre\"", "store.kind: `postgre` is not one of `sqlite`, `postgres`; write `postgres`"),
        (
            "address = \"db.sakura.example\"\n",
            "",
            "store.address: is missing; add `address = \"db.hospital.example.jp:5432\"`",
        ),
        (
            "password_file = \"secrets/db\"\n",
            "",
            "store: has no password; add `password_file`, or name a socket of this machine",
        ),
        ("secrets/db", "secrets/open", open),
        (
            "db.sakura.example",
            "db:pg",
            "store.address: `pg` is not a port; write host and port, such as `db.hospital.example.jp:5432`, or the path of \
             a socket, such as `/run/postgresql/.s.PGSQL.5432`",
        ),
        (
            "address = \"db.sakura.example\"",
            "address = \"/run/postgresql/.s.PGSQL.5432\"\nca_file = \"tls/chain.pem\"",
            "store: names a certificate, but a socket of this machine has none; leave `ca_file` and `server_name` out",
        ),
        ("kind = ", "connections = 2\nkind = ", "store.connections: `2` is out of bounds; write a number from 3 to 32"),
        ("kind = ", "away_max = \"5s\"\nkind = ", "store.away_max: `5s` is out of bounds; write a span from 1m to 3d"),
        (
            "kind = \"postgres\"\naddress = \"db.sakura.example\"\npassword_file = \"secrets/db\"",
            "adress = \"x\"",
            "store.adress: is not a key we know; remove it; the keys here are away_max, kind",
        ),
    ] {
        assert!(DATABASE.contains(from), "{from}");
        let problems = folder().said(&short_and(&DATABASE.replacen(from, to, 1)));
        let [problem] = &problems[..] else { panic!("{problems:#?}") };
        let problem = problem.splitn(3, ':').nth(2).unwrap().trim();
        match said.split_once("PATH") {
            Some((before, _)) => {
                assert!(problem.starts_with(before) && problem.contains("mode 644"), "{problem}\n{said}")
            }
            None => assert_eq!(problem, said),
        }
    }
}

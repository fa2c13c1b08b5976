//! A file of an earlier version is brought up whole or not at all, whatever happens in the middle.

use policy::{Assurance, DeviceClass, DeviceId, Fingerprint, Methods, SessionId, SignInMethod, Timestamp, UserId};
use rusqlite::Batch;
use rusqlite::fallible_iterator::FallibleIterator as _;

use super::*;
use crate::{CertificateRecord, DeviceRecord, SessionsOf};

const VERSION_1: [&str; 2] = [include_str!("../schema-1.sql"), include_str!("version-1.sql")];
const VERSION_2: &str = include_str!("../schema-2.sql");

/// The day's work of a gateway of version 1, as a file.
fn file_of_version_1(path: &Path) -> Connection {
    let old = Connection::open(path).unwrap();
    set_up(&old).unwrap();
    for part in VERSION_1 {
        old.execute_batch(part).unwrap();
    }
    old
}

fn version(connection: &Connection) -> i64 {
    connection.query_row("select version from schema_version", [], |row| row.get(0)).unwrap()
}

/// Every row of every table, so that two files can be compared.
fn everything(connection: &Connection) -> Vec<String> {
    let mut tables = connection.prepare("select name from sqlite_schema where type = 'table' order by name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut rows = Vec::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("select * from {table}")).unwrap();
        let columns = statement.column_count();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let row: Vec<_> = (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
            rows.push(format!("{table}: {}", row.join(", ")));
        }
    }
    rows
}

async fn assert_keeps_the_day(store: &Sqlite) {
    let micros = Timestamp::from_unix_micros;
    let sato = store.person(&UserId::parse("u-0001").unwrap()).await.unwrap().unwrap();
    assert_eq!((sato.subject.as_str(), sato.login.as_str(), sato.name.as_str()), ("S-1", "n.sato", "佐藤 なおみ"));
    assert_eq!(sato.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(), ["doctor", "nurse"]);
    let seen_at = micros(1_795_215_600_000_000);
    assert_eq!((sato.seen_at, sato.added_at, sato.confirmed_at), (seen_at, seen_at, seen_at));
    assert_eq!((sato.unit.as_str(), sato.disabled.as_ref()), ("", None));
    assert_eq!(store.person_by_login(&sato.provider, "t.ito").await.unwrap().unwrap().subject, "S-2");

    let ends_at = micros(1_826_751_600_000_000);
    let certificate = |byte, issued_at| CertificateRecord::own(Fingerprint::new([byte; 32]), issued_at, ends_at);
    let (added, added_later) = (micros(1_795_000_000_000_000), micros(1_795_000_000_000_001));
    let revoked_at = Some(micros(1_795_100_000_000_000));
    let ward = DeviceRecord {
        asset: "A-0003".to_owned(),
        owner: "情報システム室".to_owned(),
        place: "3階東病棟".to_owned(),
        certificates: vec![certificate(3, added)],
        ..DeviceRecord::new(DeviceId::parse("ward-3").unwrap(), DeviceClass::WardShared, added)
    };
    let lost = DeviceRecord {
        revoked_at,
        certificates: vec![CertificateRecord { revoked_at, ..certificate(9, added_later) }],
        ..DeviceRecord::new(DeviceId::parse("tablet-9").unwrap(), DeviceClass::Tablet, added_later)
    };
    assert_eq!(store.devices().await.unwrap(), vec![lost, ward.clone()], "who was revoked stays revoked");
    assert_eq!(store.device_by_certificate(&Fingerprint::new([3; 32])).await.unwrap(), Some(ward));

    let found = store.session_by_token(token(1)).await.unwrap().expect("people stay signed in");
    assert_eq!((found.session.id, found.host.as_str()), (SessionId::new(0xa1), "login.example.jp"));
    assert_eq!(found.session.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(), ["nurse"]);
    assert_eq!(found.session.methods, Methods::of([SignInMethod::Provider]));
    assert_eq!((found.session.roles_confirmed_at, found.session.checked_at), (seen_at, seen_at));
    assert_eq!((found.session.assurance, found.session.parked_at), (Assurance::Aal1, None));
    assert_eq!(found.session.provider_session.as_deref(), Some("sid-1"));
    assert_eq!(store.session_by_token(token(2)).await.unwrap().unwrap().host.as_str(), "emr.example.jp");
    let found = store.session_by_token(token(3)).await.unwrap().unwrap();
    assert_eq!(found.session.methods, Methods::of([SignInMethod::Provider, SignInMethod::ProviderMfa]));
    assert_eq!(store.sessions_of(SessionsOf::User(sato.id)).await.unwrap().len(), 1);

    let events = store.events_after(0, 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(store.note("recorded").await.unwrap().as_deref(), Some("4"));
    let at = micros(1_795_248_000_000_000);
    assert_eq!(store.take_ceremony(token(4), "oidc", at).await.unwrap().as_deref(), Some("{\"nonce\":1}"));
}

#[tokio::test]
async fn a_file_of_version_1_keeps_everything_and_every_promise() {
    let folder = Folder::new();
    drop(file_of_version_1(&folder.file()));
    let store = Sqlite::open(folder.file()).unwrap();
    assert_keeps_the_day(&store).await;
    drop(store);
    let raw = Connection::open(folder.file()).unwrap();
    assert_eq!(version(&raw), 7);
    let broken: Option<String> = raw.query_row("pragma integrity_check", [], |row| row.get(0)).ok();
    assert_eq!(broken.as_deref(), Some("ok"));
    assert!(!raw.prepare("pragma foreign_key_check").unwrap().exists([]).unwrap());
    let fresh = Connection::open_in_memory().unwrap();
    schema::migrate(&fresh).unwrap();
    assert_eq!(tables(&raw), tables(&fresh), "a file that grew up is like one that was born so");
    drop(raw);
    conformance::all(Arc::new(Sqlite::open(folder.file()).unwrap())).await;
}

fn tables(connection: &Connection) -> Vec<(String, Option<String>)> {
    let mut tables = connection.prepare("select name, sql from sqlite_schema order by name").unwrap();
    let named = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    // Whoever opens the table of versions first writes it a little differently.
    named.map(Result::unwrap).filter(|(name, _)| name != "schema_version").collect()
}

#[tokio::test]
async fn a_gateway_killed_at_any_statement_of_the_migration_loses_nothing() {
    let folder = Folder::new();
    let dying = file_of_version_1(&folder.file());
    // Hardly any memory: what is not committed goes to the disk at once, as it would with a large file.
    dying.pragma_update(None, "cache_size", 1).unwrap();
    dying.pragma_update(None, "cache_spill", 1).unwrap();
    dying.execute_batch("begin immediate").unwrap();
    let mut statements = Batch::new(&dying, VERSION_2);
    let log_bytes = || fs::metadata(folder.0.join("store.db-wal")).unwrap().len();
    let (mut done, committed) = (0, log_bytes());
    while let Some(mut statement) = statements.next().unwrap() {
        statement.raw_execute().unwrap();
        done += 1;
        let found = Folder::new();
        for side in ["", "-wal"] {
            let name = format!("store.db{side}");
            fs::copy(folder.0.join(&name), found.0.join(&name)).unwrap();
        }
        let store = Sqlite::open(found.file()).unwrap();
        assert_keeps_the_day(&store).await;
    }
    assert!(done > 30, "{done} statements were cut after");
    assert!(log_bytes() > committed, "something unfinished was on the disk");
}

#[tokio::test]
async fn a_migration_that_fails_in_the_middle_leaves_the_file_as_it_was() {
    let folder = Folder::new();
    let old = file_of_version_1(&folder.file());
    // Someone put a table of their own where a later statement needs the name.
    old.execute_batch("create table remembered (mine text); insert into remembered values ('mine')").unwrap();
    let before = everything(&old);
    let refused = Sqlite::open(folder.file()).unwrap_err();
    assert!(refused.to_string().contains("store.db"), "{refused}");
    assert_eq!(version(&old), 1);
    assert_eq!(everything(&old), before, "the earlier program can go on with it");
    old.execute_batch("drop table remembered").unwrap();
    drop(old);
    assert_keeps_the_day(&Sqlite::open(folder.file()).unwrap()).await;
}

#[tokio::test]
async fn a_disk_that_fills_up_in_the_middle_leaves_the_file_as_it_was() {
    let folder = Folder::new();
    let old = file_of_version_1(&folder.file());
    let before = everything(&old);
    let pages: i64 = old.query_row("pragma page_count", [], |row| row.get(0)).unwrap();
    let mut failures = 0;
    for room in 0.. {
        let limit = pages + room;
        old.pragma_update_and_check(None, "max_page_count", limit, |row| row.get::<_, i64>(0)).unwrap();
        if schema::migrate(&old).is_ok() {
            break;
        }
        failures += 1;
        assert_eq!(everything(&old), before, "with room for {room} pages");
    }
    assert!(failures > 5, "{failures} ways to run out of room");
    drop(old);
    assert_keeps_the_day(&Sqlite::open(folder.file()).unwrap()).await;
}

#[tokio::test]
async fn several_gateways_that_find_an_old_file_bring_it_up_once() {
    let folder = Folder::new();
    drop(file_of_version_1(&folder.file()));
    let stores = std::thread::scope(|threads| {
        let opening: Vec<_> = (0..4).map(|_| threads.spawn(|| Sqlite::open(folder.file()))).collect();
        opening.into_iter().map(|one| one.join().unwrap().unwrap()).collect::<Vec<_>>()
    });
    assert_keeps_the_day(&stores[0]).await;
    for store in &stores[1..] {
        assert_eq!(store.events_after(0, 10).await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn a_file_of_version_2_tells_who_ever_had_a_key() {
    let folder = Folder::new();
    let old = file_of_version_1(&folder.file());
    old.execute_batch(VERSION_2).unwrap();
    old.execute_batch(
        "update schema_version set version = 2;
         insert into events (at, actor, change, subject) values
             (7, 'x', 'credential-added', 'u-0001 0a0b'), (8, 'x', 'credential-removed', 'u-0001 0a0b'),
             (9, 'x', 'credential-added', 'u-0001 0c0d'), (9, 'x', 'person-changed', 'u-0002');",
    )
    .unwrap();
    drop(old);
    let store = Sqlite::open(folder.file()).unwrap();
    assert!(store.had_credential(&UserId::parse("u-0001").unwrap()).await.unwrap(), "removed before the migration");
    assert!(!store.had_credential(&UserId::parse("u-0002").unwrap()).await.unwrap());
    let raw = Connection::open(folder.file()).unwrap();
    let first: i64 =
        raw.query_row("select first_key_at from people where id = 'u-0001'", [], |row| row.get(0)).unwrap();
    assert_eq!((first, version(&raw)), (7, 7));
    let told = store.events_after(7, 1).await.unwrap().remove(0).change;
    let user = UserId::parse("u-0002").unwrap();
    assert_eq!(told, crate::Change::PersonChanged { user, roles: None }, "an event without roles reads");
}

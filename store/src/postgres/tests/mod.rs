//! What only this back end can get wrong: connections that are lost, nodes that race, servers that come back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use policy::Timestamp;
use server::{Server, login};

use super::*;
use crate::conformance::cast::{host, invitation, person, session, token};
use crate::sql::Row;
use crate::statements::notes;
use crate::tables::{LEFT, TABLES};
use crate::{
    Alone, Ceremony, Change, Invited, MoveProblem, NewSession, Others, Sqlite, Store, conformance, move_all, sums,
};

mod server;

const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until there is an answer.
async fn in_time<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_database_keeps_every_promise() {
    let server = Server::start();
    conformance::all(Arc::new(server.open().unwrap())).await;
}

#[tokio::test]
async fn two_nodes_that_race_keep_every_promise_once() {
    let server = Server::start();
    conformance::raced([&server.open().unwrap(), &server.open().unwrap()]).await;
}

#[tokio::test]
async fn no_table_is_forgotten_when_a_store_is_moved() {
    let server = Server::start();
    let store = server.open().unwrap();
    let kept = store
        .read(|c| {
            let sql = "select t.table_name, exists (select 1 from information_schema.columns i
                           where i.table_name = t.table_name and i.is_identity = 'YES')
                       from information_schema.tables t where t.table_schema = 'public' order by 1";
            let read = |row: &Row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?));
            c.prepare_cached(sql)?.rows(())?.iter().map(read).collect::<Result<Vec<_>, _>>()
        })
        .await;
    let mut kept = kept.unwrap();
    kept.retain(|(name, _)| !LEFT.contains(&name.as_str()));
    let mut listed: Vec<(String, bool)> = TABLES.iter().map(|one| (one.name.to_owned(), one.is_numbered)).collect();
    listed.sort();
    kept.sort();
    assert_eq!(kept, listed);
}

#[tokio::test]
async fn a_connection_that_was_cut_is_made_again_and_nothing_that_was_told_meanwhile_is_missed() {
    let server = Server::start();
    let (here, there) = (server.open().unwrap(), server.open().unwrap());
    let mut bell = Store::bell(&here).unwrap();
    in_time("the bell hangs", async || (*bell.borrow_and_update() > 0).then_some(())).await;
    for round in 0..5 {
        let new = person(&format!("u-cut-{round}"));
        in_time("the other node", async || there.add_person(new.clone(), "x".to_owned()).await.ok()).await;
        tokio::time::timeout(PATIENCE, bell.changed()).await.expect("it rings").unwrap();
        in_time("what was told", async || {
            let events = here.events_after(round, 10).await.ok()?;
            (events.last()?.change == Change::PersonAdded(new.id.clone())).then_some(())
        })
        .await;
        server.cut_all();
    }
}

#[tokio::test]
async fn a_database_that_stops_and_starts_is_away_for_so_long_and_no_longer() {
    let mut server = Server::start();
    let store = server.open().unwrap();
    store.set_note("before", "kept".to_owned()).await.unwrap();
    server.stop();
    let begin = Instant::now();
    for _ in 0..20 {
        let (read, written) = (store.note("before").await, store.set_note("meanwhile", "lost".to_owned()).await);
        assert!(matches!(read, Err(StoreProblem::Unavailable(_))), "{read:?}");
        assert!(matches!(written, Err(StoreProblem::Unavailable(_))), "{written:?}");
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "nobody waits for what is known to be away");
    server.go_on();
    let back = async || store.set_note("after", "kept".to_owned()).await.ok();
    in_time("it writes again", back).await;
    let read = in_time("it reads again", async || store.note("before").await.ok()).await;
    assert_eq!(read.as_deref(), Some("kept"));
    assert_eq!(store.note("meanwhile").await.unwrap(), None, "what was refused was not done");
}

#[tokio::test]
async fn a_change_that_was_cut_in_the_middle_has_not_happened() {
    let server = Server::start();
    let store = server.open().unwrap();
    let cut = store.write(|c| {
        notes::set_note(c, "half", "done")?;
        let own = "select pg_terminate_backend(pg_backend_pid())";
        assert!(c.prepare_cached(own)?.rows(()).is_err());
        // What comes after it must not be written by itself.
        notes::set_note(c, "other-half", "done")
    });
    assert!(matches!(cut.await, Err(StoreProblem::Unavailable(_))));
    for half in ["half", "other-half"] {
        assert_eq!(store.note(half).await.unwrap(), None);
    }
    store.set_note("whole", "done".to_owned()).await.unwrap();
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_told_as_what_became_of_it() {
    let server = Server::start();
    let wire = server.way();
    let cut_at_commit = Arc::clone(&wire.cut_at_commit);
    let store = Postgres::open(wire, login()).unwrap();
    for round in 0..5 {
        cut_at_commit.store(true, Ordering::SeqCst);
        let key = format!("lost-{round}");
        let told = store.set_note(&key, "done".to_owned()).await;
        assert!(!cut_at_commit.load(Ordering::SeqCst), "it was cut");
        assert!(told.is_ok(), "{told:?}");
        assert_eq!(store.note(&key).await.unwrap().as_deref(), Some("done"));
    }
}

#[tokio::test]
async fn a_store_of_a_later_version_is_left_alone_unless_it_says_that_this_program_may_go_on() {
    let server = Server::start();
    drop(server.open().unwrap());
    let known = server.psql("select version from schema_version").1;
    assert!(server.psql("update schema_version set version = 99, oldest = 99").0);
    let refused = server.open().unwrap_err();
    assert!(matches!(&refused, StoreProblem::Corrupt(text) if text.contains("99")), "{refused}");
    assert!(server.psql(&format!("update schema_version set oldest = {known}")).0);
    let beside = server.open().unwrap();
    beside.set_note("beside", "kept".to_owned()).await.unwrap();
    assert_eq!(server.psql("select version from schema_version").1, "99");
}

#[tokio::test]
async fn a_column_that_a_later_program_adds_disturbs_nobody() {
    let server = Server::start();
    let store = server.open().unwrap();
    for round in 0..40 {
        if round == 20 {
            let later = "begin; alter table people add column later text; alter table events add column later text;
                         update schema_version set version = version + 1; commit";
            assert!(server.psql(later).0);
        }
        let new = person(&format!("u-later-{round}"));
        store.add_person(new.clone(), "x".to_owned()).await.unwrap();
        assert!(store.person(&new.id).await.unwrap().is_some());
        let told = store.events_after(round, 10).await.unwrap();
        assert_eq!(told.last().unwrap().change, Change::PersonAdded(new.id.clone()));
    }
}

#[tokio::test]
async fn whoever_waits_in_vain_for_the_others_to_write_is_refused_and_writes_later() {
    let server = Server::start();
    let (store, other) = (server.open().unwrap(), server.open().unwrap());
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let slow = other.write(move |_| {
        wait.recv().unwrap_err();
        Ok(())
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let refused = store.set_note("meanwhile", "lost".to_owned()).await;
    assert!(matches!(refused, Err(StoreProblem::Unavailable(_))), "{refused:?}");
    drop(go);
    drop(slow.await);
    store.set_note("after", "kept".to_owned()).await.unwrap();
    assert_eq!(store.note("meanwhile").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_store_is_refused_by_its_reason() {
    let mut server = Server::start();
    let wrong = |change: fn(PostgresLogin) -> PostgresLogin| Postgres::open(server.way(), change(login())).unwrap_err();
    let refused = wrong(|login| PostgresLogin { database: "nowhere".to_owned(), ..login });
    assert!(refused.to_string().contains("nowhere"), "{refused}");
    let refused = wrong(|login| PostgresLogin { user: "nobody".to_owned(), ..login });
    assert!(refused.to_string().contains("nobody"), "{refused}");
    assert!(server.psql("create database latin encoding 'LATIN1' template template0").0);
    let refused = wrong(|login| PostgresLogin { database: "latin".to_owned(), ..login });
    assert!(refused.to_string().contains("LATIN1"), "{refused}");
    server.stop();
    assert!(matches!(server.open(), Err(StoreProblem::Unavailable(_))));
}

/// What the suite leaves empty.
async fn fill(store: &Sqlite) {
    let nurse = person("u-moved");
    store.remember_person(nurse.clone()).await.unwrap();
    let open = NewSession::new(session(9_900, &nurse, None), token(9_900), host("login.example"), Others::Keep);
    store.open_session(open, "x".to_owned()).await.unwrap();
    store.invite(invitation(9_900, Invited::FirstAdministrator)).await.unwrap();
    let ceremony = Ceremony { kind: "moved", state: "状態".to_owned(), expires_at: Timestamp::MAX };
    store.start_ceremony(token(9_900), ceremony).await.unwrap();
    assert!(store.remember_once("moved", token(9_900), Timestamp::MAX).await.unwrap());
}

#[tokio::test]
async fn a_store_is_moved_there_and_back_and_compares_equal() {
    let server = Server::start();
    let file = |name: &str| server.folder().join(name);
    let at = Timestamp::from_unix_micros(1_800_000_000_000_000);
    let first = Arc::new(Sqlite::open(file("first.db")).unwrap());
    conformance::all(first.clone()).await;
    fill(&first).await;
    drop(first);

    let from = Alone::Sqlite(Sqlite::open_alone(file("first.db")).unwrap());
    let before = sums(&from).await.unwrap();
    let empty: Vec<&str> = before.iter().filter(|sum| sum.rows == 0).map(|sum| sum.table).collect();
    assert_eq!(empty, ["policy_replays"], "there is something to carry");
    let database = Alone::Postgres(server.open_alone().unwrap());
    assert_eq!(move_all(&from, &database, "there", at).await.unwrap(), before);
    drop(from);
    let left = Sqlite::open(file("first.db")).unwrap_err();
    assert!(left.to_string().contains("there"), "{left}");

    let back = Alone::Sqlite(Sqlite::open_alone(file("second.db")).unwrap());
    assert_eq!(move_all(&database, &back, "back", at).await.unwrap(), before);
    drop((database, back));
    let left = server.open().unwrap_err();
    assert!(left.to_string().contains("back"), "{left}");
    let second = Sqlite::open(file("second.db")).unwrap();
    let last = second.events_after(0, usize::MAX).await.unwrap().last().unwrap().sequence;
    second.add_person(person("u-after-the-move"), "x".to_owned()).await.unwrap();
    assert_eq!(second.events_after(last, 10).await.unwrap()[0].sequence, last + 1, "numbers go on");
}

#[tokio::test]
async fn a_store_that_is_in_use_or_holds_something_takes_no_part_in_a_move() {
    let server = Server::start();
    let at = Timestamp::from_unix_micros(1_800_000_000_000_000);
    let running = server.open().unwrap();
    assert!(server.open_alone().unwrap_err().to_string().contains("stop every gateway"));
    running.set_note("cursor", "1".to_owned()).await.unwrap();
    drop(running);
    let file = server.folder().join("file.db");
    let gateway = Sqlite::open(&file).unwrap();
    assert!(Sqlite::open_alone(&file).unwrap_err().to_string().contains("stop the gateway"));
    drop(gateway);
    let from = Alone::Sqlite(Sqlite::open_alone(&file).unwrap());
    assert!(Sqlite::open(&file).unwrap_err().to_string().contains("being moved"));
    let into = Alone::Postgres(in_time("nobody else is there", async || server.open_alone().ok()).await);
    let refused = move_all(&from, &into, "there", at).await.unwrap_err();
    assert!(matches!(refused, MoveProblem::NotEmpty { table: "notes" }), "{refused}");
    drop((from, into));
    drop(Sqlite::open(&file).expect("it goes on being the store"));
}

#[tokio::test]
async fn a_node_that_was_cut_off_while_the_store_was_moved_writes_no_more_into_the_old_one() {
    let server = Server::start();
    let node = server.open().unwrap();
    node.set_note("before", "kept".to_owned()).await.unwrap();
    // What a move leaves, made while the node has no connection.
    assert!(server.psql("insert into notes (key, value) values ('store:moved', 'the other machine')").0);
    server.cut_all();
    in_time("a write is refused", async || {
        let refused = node.set_note("after", "lost".to_owned()).await.err()?;
        refused.to_string().contains("moved to the other machine").then_some(())
    })
    .await;
    in_time("a question is refused", async || {
        let refused = node.note("before").await.err()?;
        refused.to_string().contains("moved to the other machine").then_some(())
    })
    .await;
    assert_eq!(server.psql("select count(*) from notes where key = 'after'").1, "0");
}

//! What only this back end can get wrong: files, processes, bounds, damage.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use policy::Timestamp;

use super::*;
use crate::{Ceremony, Change, Store, TokenHash, conformance};

mod damage;
mod migration;
mod torn;

/// A folder of its own for one test, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sekimori-store-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn ceremony() -> Ceremony {
    Ceremony { kind: "oidc", state: "state".to_owned(), expires_at: Timestamp::MAX }
}

fn token(number: u8) -> TokenHash {
    TokenHash([number; 32])
}

#[tokio::test]
async fn a_file_keeps_every_promise() {
    let folder = Folder::new();
    conformance::all(Arc::new(Sqlite::open(folder.file()).unwrap())).await;
}

#[tokio::test]
async fn two_processes_that_race_keep_every_promise_once() {
    let folder = Folder::new();
    conformance::raced([&Sqlite::open(folder.file()).unwrap(), &Sqlite::open(folder.file()).unwrap()]).await;
}

#[tokio::test]
async fn memory_keeps_every_promise() {
    conformance::all(Arc::new(Sqlite::in_memory().unwrap())).await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening_and_for_other_processes() {
    let folder = Folder::new();
    let one = Sqlite::open(folder.file()).unwrap();
    let other = Sqlite::open(folder.file()).unwrap();
    one.set_note("cursor", "7".to_owned()).await.unwrap();
    assert_eq!(other.note("cursor").await.unwrap(), Some("7".to_owned()));
    other.set_note("cursor", "8".to_owned()).await.unwrap();
    drop((one, other));
    let again = Sqlite::open(folder.file()).unwrap();
    assert_eq!(again.note("cursor").await.unwrap(), Some("8".to_owned()));
}

#[tokio::test]
async fn two_processes_that_write_at_once_lose_nothing() {
    let folder = Folder::new();
    let stores = [Sqlite::open(folder.file()).unwrap(), Sqlite::open(folder.file()).unwrap()];
    let mut writes = Vec::new();
    for number in 0..200 {
        let key = format!("note-{number}");
        let store = &stores[number % 2];
        // Asking queues at once; waiting comes later, so that both writers are busy together.
        let queued = store.write(move |c| crate::statements::notes::set_note(c, &key, "kept"));
        writes.push(queued);
    }
    for write in writes {
        write.await.unwrap();
    }
    let number: i64 = stores[0]
        .read(|c| Ok(c.sqlite().query_row("select count(*) from notes", [], |row| row.get(0))?))
        .await
        .unwrap();
    assert_eq!(number, 200);
}

#[tokio::test]
async fn one_failed_change_does_not_take_its_group_along() {
    let store = Sqlite::in_memory().unwrap();
    let before = store.write(|c| crate::statements::notes::set_note(c, "before", "kept"));
    let failed = store.write(|c| {
        crate::statements::notes::set_note(c, "half", "undone")?;
        Err::<(), _>(StoreProblem::Exists("it".to_owned()))
    });
    let after = store.write(|c| crate::statements::notes::set_note(c, "after", "kept"));
    before.await.unwrap();
    assert!(matches!(failed.await, Err(StoreProblem::Exists(_))));
    after.await.unwrap();
    assert_eq!(store.note("before").await.unwrap().as_deref(), Some("kept"));
    assert_eq!(store.note("half").await.unwrap(), None, "a refused change leaves nothing");
    assert_eq!(store.note("after").await.unwrap().as_deref(), Some("kept"));
}

#[tokio::test]
async fn a_change_whose_asker_went_away_is_done_all_the_same() {
    let store = Sqlite::in_memory().unwrap();
    drop(store.set_note("cursor", "1".to_owned()));
    assert_eq!(store.note("cursor").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn readers_cannot_write() {
    let folder = Folder::new();
    let store = Sqlite::open(folder.file()).unwrap();
    assert!(store.read(|c| crate::statements::notes::set_note(c, "cursor", "1")).await.is_err());
}

#[tokio::test]
async fn the_bound_on_ceremonies_holds_and_taking_or_pruning_makes_room() {
    let store = Sqlite { bounds: Bounds { ceremonies: 2, ..Bounds::default() }, ..Sqlite::in_memory().unwrap() };
    store.start_ceremony(token(1), ceremony()).await.unwrap();
    let short = Ceremony { expires_at: Timestamp::from_unix_micros(5), ..ceremony() };
    store.start_ceremony(token(2), short).await.unwrap();
    assert!(matches!(store.start_ceremony(token(3), ceremony()).await, Err(StoreProblem::Full)));
    let at = Timestamp::from_unix_micros(5);
    assert!(store.take_ceremony(token(1), "oidc", at).await.unwrap().is_some());
    store.start_ceremony(token(3), ceremony()).await.unwrap();
    assert!(matches!(store.start_ceremony(token(4), ceremony()).await, Err(StoreProblem::Full)));
    store.prune(at).await.unwrap();
    store.start_ceremony(token(4), ceremony()).await.unwrap();
}

#[tokio::test]
async fn a_full_queue_refuses_instead_of_growing() {
    let store = Sqlite::in_memory().unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (started, running) = std::sync::mpsc::channel::<()>();
    let slow = store.write(move |_| {
        started.send(()).unwrap();
        wait.recv().unwrap_err();
        Ok(())
    });
    running.recv().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..crate::lane::WAITING_MAX {
        waiting.push(store.write(|_| Ok(())));
    }
    let mut refused = store.write(|_| Ok(()));
    let answer = refused.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(answer, std::task::Poll::Ready(Err(StoreProblem::Unavailable(_)))));
    drop(go);
    slow.await.unwrap();
    for answer in waiting {
        answer.await.unwrap();
    }
}

#[test]
fn the_file_is_for_the_gateway_alone() {
    let folder = Folder::new();
    let mode = || fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777;
    drop(Sqlite::open(folder.file()).unwrap());
    assert_eq!(mode(), 0o600);
    fs::set_permissions(folder.file(), Permissions::from_mode(0o644)).unwrap();
    let store = Sqlite::open(folder.file()).unwrap();
    assert_eq!(mode(), 0o600, "a file that was opened to others is closed again");
    let log = folder.0.join("store.db-wal");
    assert_eq!(fs::metadata(log).unwrap().permissions().mode() & 0o777, 0o600);
    drop(store);
}

#[test]
fn what_is_no_store_is_refused_by_name() {
    let folder = Folder::new();
    let refused = Sqlite::open(folder.0.join("no-such-folder/store.db")).unwrap_err();
    assert!(refused.to_string().contains("no-such-folder/store.db"), "{refused}");
    assert!(matches!(Sqlite::open(&folder.0), Err(StoreProblem::Unavailable(_))), "a folder");
    fs::write(folder.file(), "電子カルテ ".repeat(2_000)).unwrap();
    let refused = Sqlite::open(folder.file()).unwrap_err();
    assert!(matches!(refused, StoreProblem::Corrupt(_)), "{refused}");
    assert!(refused.to_string().contains("store.db"), "{refused}");
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let folder = Folder::new();
    drop(Sqlite::open(folder.file()).unwrap());
    let raw = Connection::open(folder.file()).unwrap();
    raw.execute("update schema_version set version = 99", []).unwrap();
    let refused = Sqlite::open(folder.file()).unwrap_err();
    assert!(matches!(&refused, StoreProblem::Corrupt(text) if text.contains("99")), "{refused}");
    let version: i64 = raw.query_row("select version from schema_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_full_disk_is_an_answer_and_the_store_goes_on_afterwards() {
    let store = Sqlite::in_memory().unwrap();
    let limit = |pages: i64| {
        store.write(move |c| {
            c.sqlite().pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))?;
            Ok(())
        })
    };
    limit(1).await.unwrap();
    let big = "x".repeat(1_000_000);
    let refused = store.set_note("big", big.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreProblem::Unavailable(_)), "{refused}");
    limit(1_000_000).await.unwrap();
    store.set_note("big", big).await.unwrap();
}

#[tokio::test]
async fn a_store_held_by_another_process_is_unavailable_not_lost() {
    let folder = Folder::new();
    let store = Sqlite::open(folder.file()).unwrap();
    store
        .write(|c| {
            c.sqlite().busy_timeout(Duration::from_millis(1))?;
            Ok(())
        })
        .await
        .unwrap();
    let holder = Connection::open(folder.file()).unwrap();
    holder.execute_batch("begin immediate").unwrap();
    let refused = store.set_note("cursor", "1".to_owned()).await.unwrap_err();
    assert!(matches!(refused, StoreProblem::Unavailable(_)), "{refused}");
    assert_eq!(store.note("cursor").await.unwrap(), None, "reading goes on meanwhile");
    holder.execute_batch("rollback").unwrap();
    store.set_note("cursor", "2".to_owned()).await.unwrap();
    assert_eq!(store.note("cursor").await.unwrap().as_deref(), Some("2"));
}

#[tokio::test]
async fn events_never_reuse_a_number() {
    let store = Sqlite::in_memory().unwrap();
    let tell = || {
        store.write(|c| {
            c.sqlite()
                .execute("insert into events (at, actor, change, subject) values (1, 'a', 'device-added', 'd')", [])?;
            Ok(())
        })
    };
    tell().await.unwrap();
    store
        .write(|c| {
            c.sqlite().execute("delete from events", [])?;
            Ok(())
        })
        .await
        .unwrap();
    tell().await.unwrap();
    let events = store.events_after(0, 10).await.unwrap();
    assert_eq!(events[0].sequence, 2);
    assert!(matches!(events[0].change, Change::DeviceAdded(_)));
}

#[tokio::test]
async fn what_is_remembered_is_bounded_and_refused_rather_than_forgotten() {
    let store = Sqlite { bounds: Bounds { remembered: 2, ..Bounds::default() }, ..Sqlite::in_memory().unwrap() };
    let remember = |number, until| store.remember_once("logout", token(number), Timestamp::from_unix_micros(until));
    assert!(remember(1, 5).await.unwrap());
    assert!(remember(2, 9).await.unwrap());
    assert!(matches!(remember(3, 9).await, Err(StoreProblem::Full)));
    store.prune(Timestamp::from_unix_micros(5)).await.unwrap();
    assert!(remember(3, 9).await.unwrap());
    assert!(matches!(remember(4, 9).await, Err(StoreProblem::Full)));
}

#[tokio::test]
async fn whoever_is_ended_takes_no_room_of_what_must_not_come_twice() {
    use crate::SessionsOf;
    let bounds = Bounds { remembered: 2, ..Bounds::default() };
    let store = Sqlite { bounds, ..Sqlite::in_memory().unwrap() };
    let end = |second: i64| {
        let user = policy::UserId::parse(&format!("u-ended-{second}")).unwrap();
        store.end_sessions(SessionsOf::User(user), Timestamp::from_unix_micros(second * 1_000_000), "x".to_owned())
    };
    for second in 1..10 {
        end(second).await.unwrap();
    }
    let far = Timestamp::from_unix_micros(i64::MAX / 2);
    // Kinds on both sides of it in the alphabet.
    assert!(store.remember_once("logout", token(1), far).await.unwrap());
    assert!(store.remember_once("yet-another", token(1), far).await.unwrap(), "the second thing of two");
    assert!(matches!(store.remember_once("logout", token(2), far).await, Err(StoreProblem::Full)));
    end(10).await.expect("an end is never refused for want of room");
    assert!(matches!(store.remember_once("logout", token(2), far).await, Err(StoreProblem::Full)));
}

#[tokio::test]
async fn whoever_is_ended_again_and_again_is_kept_once_and_for_an_hour() {
    use crate::SessionsOf;
    let store = Sqlite::in_memory().unwrap();
    let number = || {
        store.write(|c| Ok(c.sqlite().query_row("select count(*) from remembered", [], |row| row.get::<_, i64>(0))?))
    };
    for second in 1..10 {
        let user = policy::UserId::parse("u-ended").unwrap();
        let at = Timestamp::from_unix_micros(second * 1_000_000);
        store.end_sessions(SessionsOf::User(user), at, "x".to_owned()).await.unwrap();
    }
    assert_eq!(number().await.unwrap(), 1);
    store.prune(Timestamp::from_unix_micros(3_610_000_000)).await.unwrap();
    assert_eq!(number().await.unwrap(), 0);
}

#[tokio::test]
async fn invitations_in_force_are_bounded() {
    use crate::Invited::{FirstAdministrator, Passkey};
    use crate::conformance::cast::{invitation, person};
    let store = Sqlite { bounds: Bounds { invitations: 1, ..Bounds::default() }, ..Sqlite::in_memory().unwrap() };
    let nurse = person("u-invited");
    store.remember_person(nurse.clone()).await.unwrap();
    let first = invitation(1, FirstAdministrator);
    store.invite(first.clone()).await.unwrap();
    assert!(matches!(store.invite(invitation(2, Passkey(nurse.id.clone()))).await, Err(StoreProblem::Full)));
    let replacing = invitation(3, FirstAdministrator);
    store.invite(replacing.clone()).await.unwrap();
    assert!(store.revoke_invitation(replacing.id, replacing.made_at, "x".to_owned()).await.unwrap());
    store.invite(invitation(2, Passkey(nurse.id))).await.unwrap();
}

#[tokio::test]
async fn two_processes_leave_one_session_on_a_shared_terminal() {
    use crate::conformance::cast::{device, host, person, session};
    use crate::{NewSession, Others, SessionsOf};
    let folder = Folder::new();
    let stores = [Sqlite::open(folder.file()).unwrap(), Sqlite::open(folder.file()).unwrap()];
    let terminal = device("d-shared", 1);
    stores[0].add_device(terminal.clone(), "x".to_owned()).await.unwrap();
    let people = [person("u-shared-0"), person("u-shared-1")];
    for one in &people {
        stores[0].remember_person(one.clone()).await.unwrap();
    }
    for round in 0..20_u8 {
        let open = |which: usize, number: u8| {
            let session = session(number.into(), &people[which], Some(&terminal.id));
            let opening = NewSession::new(session, token(number), host("login.example"), Others::Park);
            stores[which].open_session(opening, "x".to_owned())
        };
        let numbers = [1 + round * 2, 2 + round * 2];
        let (one, two) = tokio::join!(open(0, numbers[0]), open(1, numbers[1]));
        one.unwrap();
        two.unwrap();
        let here = stores[round as usize % 2].sessions_of(SessionsOf::Device(terminal.id.clone())).await.unwrap();
        let active: Vec<_> = here.iter().filter(|(session, _)| session.parked_at.is_none()).collect();
        assert_eq!(active.len(), 1);
        let mut open_tokens = 0;
        for number in numbers {
            open_tokens += usize::from(stores[0].session_by_token(token(number)).await.unwrap().is_some());
        }
        assert_eq!(open_tokens, 1);
    }
}

//! The way to the database: dialled and logged in, with everything set that the store rests on.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::{Connector, PostgresLogin, problem};
use crate::StoreProblem;
use crate::moving::{MARKS, marked};
use crate::relational::Company;

/// How long connecting and logging in may take.
const REACH_MAX: Duration = Duration::from_secs(5);
/// How long nobody tries to connect after it failed: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The earliest server: what became of a transaction can be asked of this one on.
const VERSION_MIN: i64 = 130_000;
/// The lock that whoever works with the store shares.
pub(super) const AT_WORK_LOCK: i64 = 0x7365_6b69_6d6f_7201;

/// What every connection begins with. A transaction that its gateway has left must not keep others from writing, nor a
/// lock wait for longer than people do; an answered revocation must survive a power cut.
const SETTINGS: &str = "set client_min_messages = warning; set standard_conforming_strings = on;
    set default_transaction_isolation = 'read committed'; set timezone = 'UTC';
    set statement_timeout = '8s'; set lock_timeout = '5s'; set idle_in_transaction_session_timeout = '8s';
    select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'";

/// The way to the database.
#[derive(Debug)]
pub(super) struct Way {
    connector: Arc<dyn Connector>,
    login: PostgresLogin,
    company: Company,
    /// Until when nobody tries again, and how long that is.
    pause: Mutex<Option<(Instant, Duration)>>,
}

impl Way {
    pub(super) fn new(connector: Arc<dyn Connector>, login: PostgresLogin, company: Company) -> Self {
        Self { connector, login, company, pause: Mutex::default() }
    }

    /// Connects and logs in. `rung` is called for each notification.
    pub(super) async fn reach(&self, rung: impl FnMut() + Send + 'static) -> Result<Client, StoreProblem> {
        let late = |_| StoreProblem::Unavailable(format!("the database did not answer within {REACH_MAX:?}"));
        let reached = timeout(REACH_MAX, self.reach_inside(rung)).await.unwrap_or_else(|error| Err(late(error)));
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        *pause = match (&reached, *pause) {
            // The others need not wait any longer either.
            (Ok(_), _) => None,
            (Err(_), before) => {
                let span = before.map_or(PAUSE.0, |(_, span)| (span * 2).min(PAUSE.1));
                Some((Instant::now() + span, span))
            }
        };
        reached
    }

    /// Whether it failed so shortly ago that nobody tries again yet.
    pub(super) fn is_paused(&self) -> bool {
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.is_some_and(|(until, _)| Instant::now() < until)
    }

    async fn reach_inside(&self, mut rung: impl FnMut() + Send + 'static) -> Result<Client, StoreProblem> {
        let stream = self.connector.connect().await?;
        let mut config = tokio_postgres::Config::new();
        config.user(&self.login.user).dbname(&self.login.database).application_name("sekimori");
        // Where TLS is needed, the stream is under it already.
        config.ssl_mode(SslMode::Disable);
        if let Some(password) = &self.login.password {
            config.password(password.expose());
        }
        let (client, mut connection) = config.connect_raw(stream, NoTls).await.map_err(problem)?;
        // Ends when the client is dropped, or the connection lost.
        tokio::spawn(async move {
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                match message {
                    Ok(AsyncMessage::Notification(_)) => rung(),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "the connection to the database ended");
                        return;
                    }
                }
            }
        });
        client.batch_execute(SETTINGS).await.map_err(problem)?;
        self.look_at(&client).await?;
        Ok(client)
    }

    /// Whether the store can rest on this server.
    async fn look_at(&self, client: &Client) -> Result<(), StoreProblem> {
        let lock = match self.company {
            Company::Others => "pg_try_advisory_lock_shared",
            Company::Nobody => "pg_try_advisory_lock",
        };
        let about = client
            .query_one(
                &format!(
                    "select current_setting('server_version_num')::bigint, current_setting('server_encoding'),
                         pg_is_in_recovery(), {lock}($1)"
                ),
                &[&AT_WORK_LOCK],
            )
            .await
            .map_err(problem)?;
        let read = |_| StoreProblem::Corrupt("the database does not say what it is".to_owned());
        let version: i64 = about.try_get(0).map_err(read)?;
        let encoding: String = about.try_get(1).map_err(read)?;
        let (is_standby, is_locked): (bool, bool) = (about.try_get(2).map_err(read)?, about.try_get(3).map_err(read)?);
        let refuse = |reason: String| Err(StoreProblem::Unavailable(reason));
        if version < VERSION_MIN {
            return refuse(format!("the database is PostgreSQL {}; 13 or later is needed", version / 10_000));
        }
        if encoding != "UTF8" {
            return refuse(format!("the database is encoded in {encoding}; make one with `encoding 'UTF8'`"));
        }
        if is_standby {
            return refuse("the database is a standby, which takes no changes; name the primary".to_owned());
        }
        match (is_locked, self.company) {
            (true, Company::Others) => still_in_use(client).await,
            (true, Company::Nobody) => Ok(()),
            (false, Company::Others) => refuse("the store is being moved elsewhere".to_owned()),
            (false, Company::Nobody) => refuse("another program works with it; stop every gateway first".to_owned()),
        }
    }
}

/// That the store was not moved elsewhere while this connection was cut: whoever had it open would go on writing into what
/// nobody reads any more.
async fn still_in_use(client: &Client) -> Result<(), StoreProblem> {
    let unread = |_| StoreProblem::Corrupt("the database does not say whether the store is in use".to_owned());
    let there = client.query_one("select to_regclass('notes') is not null", &[]).await.map_err(problem)?;
    if !there.try_get::<_, bool>(0).map_err(unread)? {
        // No store was ever made in it.
        return Ok(());
    }
    for mark in MARKS {
        let found = client.query_opt("select value from notes where key = $1", &[&mark]).await.map_err(problem)?;
        if let Some(row) = found {
            return Err(marked(mark, &row.try_get::<_, String>(0).map_err(unread)?));
        }
    }
    Ok(())
}

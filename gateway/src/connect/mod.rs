//! `sekimori connect`: a port of this machine that leads to a TCP app behind the gateway. Each connection to it is a
//! tunnel of its own, all of them over one connection to the gateway; a line that is cut is followed by another.

mod local;
mod permission;
mod road;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use policy::AppId;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, LocalSet};
use web::{ConnectWords, Language};

use crate::cli::say;
use crate::failure::Failure;
use crate::upstream::dial::TlsTo;
use permission::Permission;
use road::{Road, Trouble};

/// How many local connections may be open at once.
const LOCAL_MAX: usize = 64;
/// How long open tunnels may take to say goodbye when the program is ended.
const GOODBYE: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Debug)]
pub struct Plan {
    /// The app.
    pub app: AppId,
    /// Scheme, host and port of the app, as browsers write them.
    pub origin: String,
    /// Host and port in it.
    pub host: (String, u16),
    /// Where the gateway is reached, if not there.
    pub address: Option<SocketAddr>,
    /// The port to open.
    pub listen: SocketAddr,
    /// TLS with the device's certificate.
    pub tls: TlsTo,
    /// The language of what is said.
    pub language: Language,
}

/// Runs until it is ended from outside.
///
/// # Errors
/// [`Failure`].
pub async fn run(plan: Plan) -> Result<(), Failure> {
    LocalSet::new().run_until(connect(plan)).await
}

async fn connect(plan: Plan) -> Result<(), Failure> {
    let words = Rc::new(ConnectWords::new(plan.language));
    if !plan.listen.ip().is_loopback() {
        return Err(Failure::input(words.say("loopback", &[])));
    }
    let listener = TcpListener::bind(plan.listen)
        .await
        .map_err(|error| Failure::unavailable(format!("`{}`: {error}", plan.listen)))?;
    let address = listener.local_addr().map_err(|error| Failure::fault(error.to_string()))?;
    let road = Rc::new(Road::new(plan.tls, plan.origin, plan.host, plan.address, plan.language));
    let permission = Rc::new(Permission::new(Rc::clone(&road), plan.app.clone(), Rc::clone(&words)));
    let (end, ended) = watch::channel(false);
    tokio::select! {
        asked = permission.ask(None) => asked.map_err(|trouble| failure(&words, trouble))?,
        _ = tokio::signal::ctrl_c() => return Ok(()),
    }
    say(&words.say("listening", &[("app", plan.app.as_str()), ("address", &address.to_string())]));
    let room = Arc::new(Semaphore::new(LOCAL_MAX));
    let mut open = JoinSet::new();
    let mut number = 0_u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = open.join_next() => continue,
            _ = tokio::signal::ctrl_c() => break,
        };
        let Ok((stream, _)) = accepted else {
            // Too many open files, as a rule: others end meanwhile.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(slot) = Arc::clone(&room).try_acquire_owned() else {
            say(&words.say("too-many", &[]));
            continue;
        };
        number += 1;
        let local = local::Local {
            number,
            road: Rc::clone(&road),
            permission: Rc::clone(&permission),
            words: Rc::clone(&words),
            ended: ended.clone(),
        };
        open.spawn_local(async move {
            local.carry(stream).await;
            drop(slot);
        });
    }
    // Nobody listens where nothing is open.
    let _told = end.send(true);
    let all = async { while open.join_next().await.is_some() {} };
    let _in_time = tokio::time::timeout(GOODBYE, all).await;
    Ok(())
}

fn failure(words: &ConnectWords, trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Unreachable(why) => Failure::unavailable(words.say("unreachable", &[("why", &why)])),
        Trouble::SignIn => Failure::no(words.say("not-allowed", &[])),
        Trouble::Refused(code) => Failure::no(words.why(&code)),
    }
}

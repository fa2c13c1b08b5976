//! `sekimori session`: who is signed in, and ending a session. A running gateway follows within a second.

use policy::SessionId;
use serde_json::json;

use crate::cli::{ConfigArg, Format, actor, block_on, open_store, out, table};
use crate::clock;
use crate::failure::Failure;

/// What can be done with sessions.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Lists open sessions, parked ones too.
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Ends a session, and what is open in it.
    Revoke {
        /// Its id: sixteen digits, from `session list` or from the log.
        id: String,
        #[command(flatten)]
        config: ConfigArg,
    },
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { config, format } => list(config, *format),
        Command::Revoke { id, config } => revoke(id, config),
    }
}

fn list(config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let config = config.read()?;
    let store = open_store(&config)?;
    let sessions =
        block_on(async { store.sessions().await.map_err(|problem| Failure::unavailable(problem.to_string())) })?;
    match format {
        Format::Json => {
            for (session, person) in &sessions {
                out::say(
                    &json!({
                        "id": session.id.to_string(),
                        "login": person.login,
                        "name": person.name,
                        "roles": session.roles.iter().map(policy::RoleId::as_str).collect::<Vec<_>>(),
                        "provider": person.provider.as_str(),
                        "device": session.device.as_ref().map(policy::DeviceId::as_str),
                        "assurance": session.assurance.as_str(),
                        "methods": session.methods.iter().map(policy::SignInMethod::as_str).collect::<Vec<_>>(),
                        "in_outage": session.in_outage,
                        "parked_at": session.parked_at.map(|at| at.to_string()),
                        "roles_confirmed_at": session.roles_confirmed_at.to_string(),
                        "opened_at": session.opened_at.to_string(),
                        "seen_at": session.seen_at.to_string(),
                        "ends_at": session.ends_at.to_string(),
                    })
                    .to_string(),
                );
            }
        }
        Format::Text => {
            let row = |(session, person): &(store::SessionRecord, store::Person)| {
                vec![
                    session.id.to_string(),
                    person.login.clone(),
                    session.roles.iter().map(policy::RoleId::as_str).collect::<Vec<_>>().join(","),
                    session.device.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                    session.methods.to_string(),
                    state(session).to_owned(),
                    session.seen_at.rfc3339(config.offset),
                ]
            };
            let rows: Vec<_> = sessions.iter().map(row).collect();
            out::say(&table(&["SESSION", "LOGIN", "ROLES", "DEVICE", "BY", "STATE", "LAST SEEN"], &rows));
        }
    }
    Ok(())
}

fn state(session: &store::SessionRecord) -> &'static str {
    match (session.parked_at.is_some(), session.in_outage) {
        (true, _) => "parked",
        (false, true) => "open, in outage",
        (false, false) => "open",
    }
}

fn revoke(id: &str, config: &ConfigArg) -> Result<(), Failure> {
    let id = SessionId::parse(id).ok_or_else(|| {
        Failure::input(format!("`{id}` is not a session id: sixteen digits 0-9 a-f, see `sekimori session list`"))
    })?;
    let store = open_store(&config.read()?)?;
    let ended = block_on(async {
        store.end_session(id, clock::now(), actor()).await.map_err(|problem| Failure::unavailable(problem.to_string()))
    })?;
    if !ended {
        return Err(Failure::no(format!("session {id} is not open")));
    }
    out::say(&format!("session {id} ended"));
    Ok(())
}

//! `sekimori user`: people, their invitations and temporary codes. A running gateway follows within a second.
//!
//! No command shows or sets a password: there is none. What opens something is a one-time code, shown once.

mod change;
mod code;
mod look;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::Config;
use identity::{People, PeopleProblem};
use policy::{ProviderId, UserId};
use store::{PeopleFilter, Person, Store};

use crate::cli::{ConfigArg, Format, open_store, span};
use crate::failure::Failure;

pub use code::first_administrator_text;
pub use look::all as all_people;

/// What can be done with people.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Lists people.
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Adds a person to the local directory.
    Add {
        /// The name they will be known by, such as `h.kango`.
        login: String,
        /// Their name as people read it.
        #[arg(long)]
        name: String,
        /// A role of theirs; may be given more than once.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        /// Where they work.
        #[arg(long, default_value = "")]
        unit: String,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Makes an invitation: a link and one-time code with which the person enrols a key (passkey).
    Invite {
        #[command(flatten)]
        who: Who,
        /// How you made sure that this is the person, such as `職員証` or `staff card`.
        #[arg(long)]
        proofing: String,
        /// How long it is good.
        #[arg(long, value_parser = span::parse, default_value = "24h")]
        valid: Duration,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Changes a person; what is not given stays. Open sessions take other roles over at once.
    Change {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Disables a person: sessions and open streams end, invitations are void, keys open nothing.
    Disable {
        #[command(flatten)]
        who: Who,
        /// Why, such as `退職`.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Lets a disabled person in again, with the keys they had.
    Enable {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Adds, changes and disables people of the local directory as a CSV file says: all of it, or nothing.
    Import {
        /// The file, UTF-8, with the headings that `user export` writes.
        file: PathBuf,
        /// Says what would be done, and does nothing.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Writes the people of the local directory as CSV to standard output.
    Export {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Prints a one-time code for the first administrator, as long as there is none.
    FirstAdmin {
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Issues a temporary code to a person whose key is lost or broken: good for a shift, recorded with the reason.
    Temporary {
        #[command(flatten)]
        who: Who,
        /// Why, such as `鍵を自宅に忘れた`.
        #[arg(long)]
        reason: String,
        /// How long it is good: twelve hours at most.
        #[arg(long, value_parser = span::parse, default_value = "8h")]
        valid: Duration,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// What to change of a person. Of a provider's people only the unit: the rest is changed at the provider.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = true)]
pub struct What {
    /// Another name to be known by.
    #[arg(long)]
    login: Option<String>,
    /// Another name as people read it.
    #[arg(long)]
    name: Option<String>,
    /// A role of theirs, in place of all they have; may be given more than once.
    #[arg(long = "role", value_name = "ROLE", conflicts_with = "no_roles")]
    roles: Vec<String>,
    /// Takes all their roles away.
    #[arg(long)]
    no_roles: bool,
    /// Where they work; may be empty.
    #[arg(long)]
    unit: Option<String>,
}

/// Which people to list.
#[derive(clap::Args, Debug)]
pub struct Which {
    /// Found in sign-in name, name or unit.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Has this role.
    #[arg(long)]
    role: Option<String>,
    /// Comes from this provider; `local` for the local directory.
    #[arg(long)]
    provider: Option<String>,
    /// Disabled people only.
    #[arg(long)]
    disabled: bool,
    /// Has not signed in for so many days.
    #[arg(long, value_name = "DAYS")]
    unused: Option<u32>,
}

/// Whom a command is about.
#[derive(clap::Args, Debug)]
pub struct Who {
    /// The name they sign in with, or their id (`u-…`).
    person: String,
    /// Their provider, where two have people of that name; `local` for the local directory.
    #[arg(long)]
    provider: Option<String>,
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { which, config, format } => look::list(which, config, *format),
        Command::Export { config } => look::export(config),
        Command::Add { login, name, roles, unit, config } => change::add(login, name, roles, unit, config),
        Command::Change { who, what, config } => change::change(who, what, config),
        Command::Disable { who, reason, config } => change::disable(who, reason, config),
        Command::Enable { who, config } => change::enable(who, config),
        Command::Import { file, dry_run, config } => change::import(file, *dry_run, config),
        Command::Invite { who, proofing, valid, config, format } => {
            code::invite(who, proofing, *valid, config, *format)
        }
        Command::FirstAdmin { config, format } => code::first_administrator(config, *format),
        Command::Temporary { who, reason, valid, config, format } => {
            code::temporary(who, reason, *valid, config, *format)
        }
    }
}

/// The store, the directory in it, and the configuration that both are read by.
pub struct Directory {
    pub config: Config,
    pub store: Arc<dyn Store>,
    pub people: People,
}

impl Directory {
    /// Opens it, also beside a running gateway.
    pub fn open(config: &ConfigArg) -> Result<Self, Failure> {
        let config = config.read()?;
        let store = open_store(&config)?;
        let people = People::new(store.clone(), &config);
        Ok(Self { config, store, people })
    }

    /// Finds a person by what was typed: exactly one, or a failure that says how to name them.
    pub async fn find(&self, who: &Who) -> Result<Person, Failure> {
        let unavailable = |problem: store::StoreProblem| Failure::unavailable(problem.to_string());
        if let Some(id) = who.person.starts_with("u-").then(|| UserId::parse(&who.person).ok()).flatten()
            && let Some(person) = self.store.person(&id).await.map_err(unavailable)?
        {
            return Ok(person);
        }
        let filter = PeopleFilter {
            text: Some(who.person.clone()),
            provider: who.provider.as_deref().map(provider).transpose()?,
            ..PeopleFilter::default()
        };
        let found = look::all(&*self.store, &filter).await?;
        let mut found: Vec<Person> =
            found.into_iter().filter(|person| person.login.eq_ignore_ascii_case(&who.person)).collect();
        match (found.pop(), found.is_empty()) {
            (Some(person), true) => Ok(person),
            (Some(last), false) => {
                let providers =
                    found.iter().chain([&last]).map(|person| format!("{} ({})", person.provider, person.id));
                let providers = providers.collect::<Vec<_>>().join(", ");
                Err(Failure::input(format!(
                    "`{}` is the name of several people: {providers}; add --provider, or name one by id",
                    who.person
                )))
            }
            (None, _) => Err(Failure::no(format!("nobody is known as `{}`; see `sekimori user list`", who.person))),
        }
    }
}

fn provider(text: &str) -> Result<ProviderId, Failure> {
    ProviderId::parse(text).map_err(|problem| Failure::input(format!("--provider: {problem}")))
}

/// What went wrong with people, in the command line's words.
pub fn failure(problem: PeopleProblem) -> Failure {
    match problem {
        PeopleProblem::Store(problem) => Failure::unavailable(problem.to_string()),
        PeopleProblem::Unknown | PeopleProblem::UnknownDevice | PeopleProblem::HasAdministrator => {
            Failure::no(problem.to_string())
        }
        PeopleProblem::NoDirectory
        | PeopleProblem::NoProvider
        | PeopleProblem::NotLocal
        | PeopleProblem::Login
        | PeopleProblem::LoginTaken(_)
        | PeopleProblem::Name
        | PeopleProblem::Unit
        | PeopleProblem::Role(_)
        | PeopleProblem::ReasonMissing
        | PeopleProblem::ProofingMissing
        | PeopleProblem::Span { .. }
        | PeopleProblem::Oneself
        | PeopleProblem::NoAdministratorRole
        | PeopleProblem::TooManyInvitations
        | PeopleProblem::Refused => Failure::input(problem.to_string()),
    }
}

//! The command line: one vocabulary, used in the README, the tests and the packages.

mod audit;
mod backup;
mod check;
mod connect;
mod csv;
mod demo;
mod device;
mod doctor;
mod glass;
mod grant;
mod init;
mod inventory;
mod log;
mod node;
mod notice;
mod out;
mod outage;
mod policy;
mod restore;
mod serve;
mod session;
mod span;
mod store;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::failure::Failure;

pub(crate) use out::say;

/// The most letters of a name; no system has longer ones.
const NAME_MAX: usize = 256;
/// The configuration file where none is named.
const CONFIG_FILE: &str = "sekimori.toml";

/// Sekimori: the zero-trust access gateway for hospitals and clinics.
#[derive(Parser, Debug)]
#[command(name = "sekimori", version, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// A whole little hospital on this machine, to try in a browser: no file, no network, nothing to set up.
    Demo(demo::Args),
    /// Writes a commented sekimori.toml and its folders.
    Init(init::Args),
    /// Shows every problem of a configuration at once, with line, reason and remedy.
    Check(ConfigArg),
    /// Serves.
    Serve(ConfigArg),
    /// Shows what a careful engineer would look at: clock, certificates, disk, provider, upstreams, exposure.
    Doctor(doctor::Args),
    /// People: the local directory, invitations, temporary codes.
    #[command(subcommand)]
    User(user::Command),
    /// The device ledger.
    #[command(subcommand)]
    Device(device::Command),
    /// Open sessions.
    #[command(subcommand)]
    Session(session::Command),
    /// Where people, devices and sessions are kept: moving them between a file and a database.
    #[command(subcommand)]
    Store(store::Command),
    /// The rules: who may do what, why, and what would change.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Outages of identity providers.
    #[command(subcommand)]
    Outage(outage::Command),
    /// Maintenance by vendors: windows that were asked for, and deciding on them.
    #[command(subcommand)]
    Grant(grant::Command),
    /// Glass that people broke, and its review.
    #[command(subcommand)]
    Glass(glass::Command),
    /// The machines that serve together.
    #[command(subcommand)]
    Node(node::Command),
    /// Notices by mail and webhook.
    #[command(subcommand)]
    Notice(notice::Command),
    /// The access log.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Everything this node must not lose, sealed for a recovery key, into a folder that only grows.
    Backup(Box<backup::Args>),
    /// A node from its backup, whole or not at all.
    Restore(restore::Args),
    /// A port of this machine that leads to an app behind a gateway: SSH, databases, DICOM, RDP, VNC.
    Connect(connect::Args),
}

/// Which configuration.
#[derive(clap::Args, Debug, Clone)]
struct ConfigArg {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE)]
    config: PathBuf,
}

impl ConfigArg {
    /// The file.
    fn path(&self) -> &std::path::Path {
        &self.config
    }

    fn read(&self) -> Result<config::Config, Failure> {
        config::read(&self.config).map_err(|problems| Failure::input(problems.to_string()))
    }
}

/// For whom a command writes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Runs the command line. Exit codes: 0 done, 1 the answer is no, 64 the input is wrong, 69 something needed is
/// unavailable, 70 our fault.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers; anything else is wrong input. A closed terminal changes neither.
            let _printed = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    let done = match args.command {
        Command::Demo(args) => demo::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Check(config) => check::run(&config),
        Command::Serve(config) => serve::run(&config),
        Command::Doctor(args) => doctor::run(&args),
        Command::User(command) => user::run(&command),
        Command::Device(command) => device::run(&command),
        Command::Session(command) => session::run(&command),
        Command::Store(command) => store::run(&command),
        Command::Policy(command) => policy::run(&command),
        Command::Outage(command) => outage::run(&command),
        Command::Grant(command) => grant::run(&command),
        Command::Glass(command) => glass::run(&command),
        Command::Node(command) => node::run(&command),
        Command::Notice(command) => notice::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Connect(args) => connect::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out::complain(&failure.to_string());
            failure.code()
        }
    }
}

/// A runtime for commands that ask the store.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::fault(format!("the system gives no event queue: {error}")))?
        .block_on(work)
}

/// Opens the store of a configuration. The gateway may be running on it: several processes share the store.
fn open_store(config: &config::Config) -> Result<std::sync::Arc<dyn ::store::Store>, Failure> {
    crate::database::open(config)
}

/// Who works at this machine, as the log names them: `cli:NAME`.
fn actor() -> String {
    format!("cli:{}", spelled(&own_name()))
}

/// What `sudo` or the login calls whoever works here; the bare number of the account where neither says.
fn own_name() -> String {
    let set = |key: &&str| std::env::var_os(key).map(|name| name.to_string_lossy().into_owned());
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().filter_map(set).find(|name| !name.trim().is_empty());
    named.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string())
}

/// A name in letters, digits and a few signs of any script. Whatever else stands in it is written in numbers, so that no
/// two names look the same.
fn spelled(name: &str) -> String {
    let mut spelled = String::new();
    for sign in name.chars().take(NAME_MAX) {
        if sign.is_alphanumeric() || "._-".contains(sign) {
            spelled.push(sign);
        } else {
            spelled.push_str(&format!("%{:x};", u32::from(sign)));
        }
    }
    spelled
}

/// Rows of text under headings, aligned for people.
fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(headings.get(column).map(|heading| heading.chars().count())).max().unwrap_or(0)
    };
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| format!("{cell:<width$}", width = width(column)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(headings.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_are_spelled_the_same() {
        assert_eq!(spelled("t.sato-2"), "t.sato-2");
        assert_eq!(spelled("佐藤"), "佐藤");
        let names = ["佐藤", "伊藤", "", " ", "a b", "ab", "a%20;b", "a#1", "a", "a\n"];
        let all: std::collections::BTreeSet<String> = names.iter().map(|name| spelled(name)).collect();
        assert_eq!(all.len(), names.len(), "{all:?}");
        assert!(all.iter().all(|name| !name.contains(['#', ' ', '\n'])), "{all:?}");
    }
}

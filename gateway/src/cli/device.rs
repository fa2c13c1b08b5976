//! `sekimori device`: the ledger. Adding or inviting a device brings it a certificate; what is revoked is out of force
//! within a second.

mod add;
mod authority;
mod change;
mod invite;
mod look;
mod lost;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use policy::{DeviceClass, DeviceId, Fingerprint};
use store::StoreProblem;

use crate::cli::{ConfigArg, Format, span};
use crate::failure::Failure;

pub use add::issue;
pub use look::{in_force, is_unseen};

/// What can be done with devices.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Adds a device and writes its certificate and key, to be installed on it.
    Add(add::Args),
    /// Invites a device: a one-time code with which it gets its certificate by itself, from a page or by EST.
    Invite(invite::Args),
    /// Enters a certificate that a trusted CA of yours (`ca_files`), such as an MDM's, gave a device.
    Certificate(authority::Args),
    /// Prints a request (CSR) by which the hospital's CA makes the device CA an intermediate of its own.
    CaRequest {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Lists the ledger.
    List {
        #[command(flatten)]
        which: look::Which,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Changes what the ledger says of a device.
    Change(change::Args),
    /// Revokes a device, or one certificate of it: its sessions end, its connections close.
    Revoke {
        /// Its name in the ledger.
        id: String,
        /// Only the certificate with this fingerprint, from `device list --format json`.
        #[arg(long, value_name = "FINGERPRINT")]
        certificate: Option<String>,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// A device is lost: revokes it, and lists what was opened from it lately and by whom.
    Lost {
        /// Its name in the ledger.
        id: String,
        /// How far to look back.
        #[arg(long, value_parser = span::parse, default_value = "24h")]
        within: Duration,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Adds and changes devices as a CSV file says: all of it, or nothing. Certificates come by `invite` or `add`.
    Import {
        /// The file, UTF-8, with the headings that `device export` writes.
        file: PathBuf,
        /// Says what would be done, and does nothing.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Writes the ledger as CSV to standard output.
    Export {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Notes that devices were found at a stock-take (棚卸); without devices, lists those that wait for one.
    StockTake {
        /// Their names in the ledger.
        ids: Vec<String>,
        /// A file with one name a line, such as a barcode reader writes.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// How old the last stock-take may be before a device is listed.
        #[arg(long, value_parser = span::parse, default_value = "365d")]
        within: Duration,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Lists devices in force that nobody saw for so many days.
    Unseen {
        /// How many.
        #[arg(long, default_value_t = 90)]
        days: u32,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Add(args) => add::run(args),
        Command::Invite(args) => invite::run(args),
        Command::Certificate(args) => authority::enter(args),
        Command::CaRequest { config } => authority::request(config),
        Command::List { which, config, format } => look::list(which, config, *format),
        Command::Unseen { days, config, format } => look::unseen(*days, config, *format),
        Command::Change(args) => change::run(args),
        Command::Revoke { id, certificate, config } => change::revoke(id, certificate.as_deref(), config),
        Command::StockTake { ids, file, within, config, format } => {
            let ids = change::named(ids, file.as_deref())?;
            if ids.is_empty() {
                look::waiting_for_stock_take(*within, config, *format)
            } else {
                change::take_stock(&ids, config)
            }
        }
        Command::Lost { id, within, config, format } => lost::run(id, *within, config, *format),
        Command::Import { file, dry_run, config } => table::import(file, *dry_run, config),
        Command::Export { config } => table::export(config),
    }
}

fn device_id(text: &str) -> Result<DeviceId, Failure> {
    DeviceId::parse(text).map_err(|problem| Failure::input(problem.to_string()))
}

fn device_class(text: &str) -> Result<DeviceClass, Failure> {
    DeviceClass::parse(text).ok_or_else(|| {
        let known: Vec<&str> = DeviceClass::ALL.iter().map(|class| class.as_str()).collect();
        Failure::input(format!("--class: `{text}` is not a device class; use one of {}", known.join(", ")))
    })
}

fn fingerprint(text: &str) -> Result<Fingerprint, Failure> {
    Fingerprint::parse(text).ok_or_else(|| {
        Failure::input(format!(
            "--certificate: `{text}` is not a fingerprint: see `sekimori device list --format json`"
        ))
    })
}

fn unknown(id: &DeviceId) -> Failure {
    Failure::no(format!("no device `{id}` is in force; see `sekimori device list`"))
}

fn unavailable(problem: StoreProblem) -> Failure {
    Failure::unavailable(problem.to_string())
}

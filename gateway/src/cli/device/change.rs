//! Changing the ledger, revoking, stock-taking.

use std::path::Path;

use policy::DeviceId;
use store::{DeviceChange, DeviceWrite, StoreProblem};

use super::{device_class, device_id, fingerprint, unavailable, unknown};
use crate::cli::{ConfigArg, actor, block_on, open_store, out};
use crate::clock;
use crate::failure::Failure;

/// What `device change` takes; what is not named stays as it is.
#[derive(clap::Args, Debug)]
#[group(id = "change", required = true, multiple = true, args = ["class", "asset", "owner", "place", "os", "os_version"])]
pub struct Args {
    /// Its name in the ledger.
    id: String,
    /// Its class.
    #[arg(long)]
    class: Option<String>,
    /// Asset number (資産番号).
    #[arg(long)]
    asset: Option<String>,
    /// Who answers for it.
    #[arg(long)]
    owner: Option<String>,
    /// Where it is.
    #[arg(long)]
    place: Option<String>,
    /// Its operating system.
    #[arg(long)]
    os: Option<String>,
    /// The version of that.
    #[arg(long)]
    os_version: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
}

/// `device change`.
pub fn run(args: &Args) -> Result<(), Failure> {
    let id = device_id(&args.id)?;
    let change = DeviceChange {
        class: args.class.as_deref().map(device_class).transpose()?,
        asset: args.asset.clone(),
        owner: args.owner.clone(),
        place: args.place.clone(),
        os: args.os.clone(),
        os_version: args.os_version.clone(),
        ..DeviceChange::default()
    };
    let store = open_store(&args.config.read()?)?;
    let did = block_on(async { store.change_device(&id, change, clock::now(), actor()).await.map_err(unavailable) })?;
    if did {
        out::say(&format!("device {id} changed"));
        Ok(())
    } else {
        Err(unknown(&id))
    }
}

/// `device revoke`.
pub fn revoke(id: &str, certificate: Option<&str>, config: &ConfigArg) -> Result<(), Failure> {
    let id = device_id(id)?;
    let certificate = certificate.map(fingerprint).transpose()?;
    let store = open_store(&config.read()?)?;
    let at = clock::now();
    let revoked = block_on(async {
        let revoked = match &certificate {
            Some(certificate) => store.revoke_certificate(&id, certificate, at, actor()).await,
            None => store.revoke_device(&id, at, actor()).await,
        };
        revoked.map_err(unavailable)
    })?;
    match (revoked, certificate) {
        (true, None) => out::say(&format!("device {id} revoked; its sessions are ended")),
        (true, Some(one)) => out::say(&format!("certificate {one} of device {id} revoked; its sessions are ended")),
        (false, None) => return Err(unknown(&id)),
        (false, Some(one)) => {
            return Err(Failure::no(format!(
                "device `{id}` has no certificate {one} in force; see `sekimori device list --format json`"
            )));
        }
    }
    Ok(())
}

/// The devices that were named, by arguments and by a file with one name a line.
pub fn named(ids: &[String], file: Option<&Path>) -> Result<Vec<DeviceId>, Failure> {
    let mut named = ids.iter().map(|id| device_id(id)).collect::<Result<Vec<_>, _>>()?;
    if let Some(file) = file {
        let text = crate::cli::csv::read_file(file)?;
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            if !line.trim().is_empty() {
                let in_words = |problem| Failure::input(format!("{}:{number}: {problem}", file.display()));
                named.push(DeviceId::parse(line.trim()).map_err(in_words)?);
            }
        }
        if named.is_empty() {
            return Err(Failure::input(format!("{}: holds no name of a device", file.display())));
        }
    }
    named.sort();
    named.dedup();
    Ok(named)
}

/// `device stock-take`: of all of them or of none.
pub fn take_stock(ids: &[DeviceId], config: &ConfigArg) -> Result<(), Failure> {
    let store = open_store(&config.read()?)?;
    let at = clock::now();
    block_on(async {
        let known = store.devices().await.map_err(unavailable)?;
        let missing =
            ids.iter().filter(|id| !known.iter().any(|device| device.id == **id && super::look::in_force(device)));
        let missing: Vec<&str> = missing.map(DeviceId::as_str).collect();
        if !missing.is_empty() {
            return Err(Failure::input(format!(
                "not in the ledger, or revoked: {}; nothing was noted",
                missing.join(", ")
            )));
        }
        let found = DeviceChange { stock_taken_at: Some(Some(at)), ..DeviceChange::default() };
        let writes = ids.iter().map(|id| DeviceWrite::Change(id.clone(), found.clone())).collect();
        store.write_devices(writes, at, actor()).await.map_err(|problem| match problem {
            StoreProblem::NotInForce(_) => Failure::input(problem.to_string()),
            StoreProblem::Exists(_) | StoreProblem::Unavailable(_) | StoreProblem::Corrupt(_) | StoreProblem::Full => {
                unavailable(problem)
            }
        })
    })?;
    out::say(&format!("stock-take of {} noted", ids.len()));
    Ok(())
}

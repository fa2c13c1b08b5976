//! `sekimori device`: the ledger. Adding a device makes its certificate; revoking takes effect within a second.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use certs::{DeviceCa, IssuedDevice};
use config::Config;
use policy::{DeviceClass, DeviceId, Timestamp};
use serde_json::json;
use store::{CertificateRecord, DeviceRecord, Store as _};

use crate::assembly::device_ca_dir;
use crate::cli::{ConfigArg, Format, actor, block_on, open_store, out, table};
use crate::clock;
use crate::failure::Failure;

/// What can be done with devices.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Adds a device and writes its certificate and key, to be installed on it.
    Add(Add),
    /// Lists the ledger.
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Revokes a device: its sessions end, its connections close.
    Revoke {
        /// Its name in the ledger.
        id: String,
        #[command(flatten)]
        config: ConfigArg,
    },
}

/// What `device add` takes.
#[derive(clap::Args, Debug)]
pub struct Add {
    /// Its name in the ledger, such as `ward3-tablet-07`.
    id: String,
    /// Its class: fixed, ward-shared, tablet, dedicated-remote, byod or vendor.
    #[arg(long)]
    class: String,
    /// Asset number (資産番号).
    #[arg(long, default_value = "")]
    asset: String,
    /// Who answers for it.
    #[arg(long, default_value = "")]
    owner: String,
    /// Where it is.
    #[arg(long, default_value = "")]
    place: String,
    /// The PKCS#12 file to write; ID.p12 by default.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also writes ID.pem, certificate and key for programs such as curl, into this folder.
    #[arg(long, value_name = "DIR")]
    pem: Option<PathBuf>,
    /// Writes the PKCS#12 file in the older form that Windows before 10 (1709) and old phones read.
    #[arg(long)]
    older_systems: bool,
    #[command(flatten)]
    config: ConfigArg,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Add(add) => add_device(add),
        Command::List { config, format } => list(config, *format),
        Command::Revoke { id, config } => revoke(id, config),
    }
}

fn add_device(args: &Add) -> Result<(), Failure> {
    let id = DeviceId::parse(&args.id).map_err(|problem| Failure::input(problem.to_string()))?;
    let class = DeviceClass::parse(&args.class).ok_or_else(|| {
        let known: Vec<&str> = DeviceClass::ALL.iter().map(|class| class.as_str()).collect();
        Failure::input(format!("--class: `{}` is not a device class; use one of {}", args.class, known.join(", ")))
    })?;
    let config = args.config.read()?;
    let file = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{id}.p12")));
    let at = clock::now();
    let (ca, issued) = issue(&config, &id, class, at)?;
    let password = password()?;
    let pack = if args.older_systems { certs::pkcs12_for_older_systems } else { certs::pkcs12 };
    let p12 = pack(&issued, ca.certificate_pem(), id.as_str(), &password)
        .map_err(|problem| Failure::fault(problem.to_string()))?;
    // Files first: a device in the ledger whose key nobody has would only confuse.
    write_secret(&file, &p12)?;
    let pem = args.pem.as_ref().map(|dir| dir.join(format!("{id}.pem")));
    if let Some(pem) = &pem {
        write_secret(pem, format!("{}{}", issued.certificate_pem, issued.key_pem.expose()).as_bytes())?;
    }
    let record = DeviceRecord {
        asset: args.asset.clone(),
        owner: args.owner.clone(),
        place: args.place.clone(),
        certificates: vec![CertificateRecord::own(issued.fingerprint, at, issued.certificate_ends_at)],
        ..DeviceRecord::new(id.clone(), class, at)
    };
    enter(&config, record, &file, pem.as_deref())?;
    match args.format {
        Format::Json => out::say(
            &json!({
                "id": id.as_str(),
                "class": class.as_str(),
                "fingerprint": issued.fingerprint.to_string(),
                "ends_at": issued.certificate_ends_at.to_string(),
                "p12": file.display().to_string(),
                "password": password,
                "pem": pem.map(|pem| pem.display().to_string()),
            })
            .to_string(),
        ),
        Format::Text => out::say(&format!(
            "device {id} added ({class}), certificate until {ends}\n\
             install {file} on the device; its password, shown only now: {password}\n\
             端末 {id} を登録しました。{file} を端末にインストールしてください。パスワード(今だけ表示): {password}",
            class = class.as_str(),
            ends = issued.certificate_ends_at.rfc3339(config.offset),
            file = file.display(),
        )),
    }
    Ok(())
}

/// Makes the certificate of a device.
pub fn issue(
    config: &Config,
    id: &DeviceId,
    class: DeviceClass,
    at: Timestamp,
) -> Result<(DeviceCa, IssuedDevice), Failure> {
    let unavailable = |problem: certs::CertProblem| Failure::unavailable(problem.to_string());
    let ca =
        DeviceCa::open_or_create(&device_ca_dir(&config.state_dir), &config.facility.name, at).map_err(unavailable)?;
    let issued = ca.issue(id, class, at, config.devices.certificate_lifetime).map_err(unavailable)?;
    Ok((ca, issued))
}

/// Enters the device in the ledger; if that fails, takes the files back.
fn enter(config: &Config, record: DeviceRecord, file: &Path, pem: Option<&Path>) -> Result<(), Failure> {
    let id = record.id.clone();
    let entered = open_store(config).and_then(|store| {
        block_on(async {
            store.add_device(record, actor()).await.map_err(|problem| match problem {
                store::StoreProblem::Exists(_) => Failure::input(format!(
                    "device `{id}` is in the ledger already; names are never used twice, choose another"
                )),
                store::StoreProblem::Unavailable(_)
                | store::StoreProblem::Corrupt(_)
                | store::StoreProblem::Full
                | store::StoreProblem::NotInForce(_) => Failure::unavailable(problem.to_string()),
            })
        })
    });
    if entered.is_err() {
        for written in [Some(file), pem].into_iter().flatten() {
            if let Err(error) = std::fs::remove_file(written) {
                out::complain(&format!(
                    "{} was written for nothing and could not be removed: {error}",
                    written.display()
                ));
            }
        }
    }
    entered
}

fn write_secret(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let in_words = |error: std::io::Error| {
        let remedy = if error.kind() == std::io::ErrorKind::AlreadyExists {
            "; move it away, or choose another with --out"
        } else {
            ""
        };
        Failure::input(format!("{}: {error}{remedy}", file.display()))
    };
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(in_words)?;
    written.write_all(bytes).map_err(in_words)
}

/// A password that can be typed on a tablet: four groups of five letters and digits that are not taken for each other.
fn password() -> Result<String, Failure> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789x";
    let mut bytes = [0; 20];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::unavailable("the system gives no randomness"))?;
    let letters: Vec<char> = bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .map(|byte| char::from(*byte))
        .collect();
    Ok(letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

fn list(config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let config = config.read()?;
    let store = open_store(&config)?;
    let devices =
        block_on(async { store.devices().await.map_err(|problem| Failure::unavailable(problem.to_string())) })?;
    match format {
        Format::Json => {
            for device in &devices {
                out::say(
                    &json!({
                        "id": device.id.as_str(),
                        "class": device.class.as_str(),
                        "asset": device.asset,
                        "owner": device.owner,
                        "place": device.place,
                        "fingerprint": device.last_certificate().map(|one| one.fingerprint.to_string()),
                        "certificate_ends_at": device.last_certificate().map(|one| one.ends_at.to_string()),
                        "added_at": device.added_at.to_string(),
                        "revoked_at": device.revoked_at.map(|at| at.to_string()),
                    })
                    .to_string(),
                );
            }
        }
        Format::Text => {
            let row = |device: &DeviceRecord| {
                vec![
                    device.id.to_string(),
                    device.class.as_str().to_owned(),
                    if device.revoked_at.is_some() { "revoked" } else { "in force" }.to_owned(),
                    device.last_certificate().map_or_else(String::new, |one| one.ends_at.rfc3339(config.offset)),
                    device.place.clone(),
                ]
            };
            let rows: Vec<_> = devices.iter().map(row).collect();
            out::say(&table(&["DEVICE", "CLASS", "STATE", "CERTIFICATE UNTIL", "PLACE"], &rows));
        }
    }
    Ok(())
}

fn revoke(id: &str, config: &ConfigArg) -> Result<(), Failure> {
    let id = DeviceId::parse(id).map_err(|problem| Failure::input(problem.to_string()))?;
    let store = open_store(&config.read()?)?;
    let revoked = block_on(async {
        store
            .revoke_device(&id, clock::now(), actor())
            .await
            .map_err(|problem| Failure::unavailable(problem.to_string()))
    })?;
    if revoked {
        out::say(&format!("device {id} revoked; its sessions are ended"));
        Ok(())
    } else {
        Err(Failure::no(format!("no device `{id}` is in force; see `sekimori device list`")))
    }
}

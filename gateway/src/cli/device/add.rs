//! `device add`: key and certificate made here, written into a file that is carried to the device.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use certs::{DeviceCa, IssuedDevice};
use config::Config;
use policy::{DeviceClass, DeviceId, Timestamp};
use serde_json::json;
use store::{DeviceRecord, StoreProblem};

use super::{device_class, device_id};
use crate::assembly::device_ca_dir;
use crate::cli::{ConfigArg, Format, actor, block_on, open_store, out};
use crate::clock;
use crate::device_issuer::{made_here, password};
use crate::failure::Failure;

/// What the ledger says of a device, beside name and class.
#[derive(clap::Args, Debug)]
pub struct About {
    /// Asset number (資産番号).
    #[arg(long, default_value = "")]
    asset: String,
    /// Who answers for it.
    #[arg(long, default_value = "")]
    owner: String,
    /// Where it is.
    #[arg(long, default_value = "")]
    place: String,
    /// Its operating system.
    #[arg(long, default_value = "")]
    os: String,
    /// The version of that.
    #[arg(long, default_value = "")]
    os_version: String,
}

impl About {
    /// The row of a device that is new in the ledger.
    pub fn record(&self, id: DeviceId, class: DeviceClass, at: Timestamp) -> DeviceRecord {
        DeviceRecord {
            asset: self.asset.clone(),
            owner: self.owner.clone(),
            place: self.place.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            ..DeviceRecord::new(id, class, at)
        }
    }
}

/// What `device add` takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its name in the ledger, such as `ward3-tablet-07`.
    id: String,
    /// Its class: fixed, ward-shared, tablet, dedicated-remote, byod, vendor or machine.
    #[arg(long)]
    class: String,
    #[command(flatten)]
    about: About,
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

/// Makes the certificate, writes it, enters it.
pub fn run(args: &Args) -> Result<(), Failure> {
    let id = device_id(&args.id)?;
    let class = device_class(&args.class)?;
    let config = args.config.read()?;
    let file = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{id}.p12")));
    let at = clock::now();
    let (ca, issued) = issue(&config, &id, class, at)?;
    let password = password().map_err(Failure::unavailable)?;
    let pack = if args.older_systems { certs::pkcs12_for_older_systems } else { certs::pkcs12 };
    let p12 = pack(&issued, ca.certificate_pem(), id.as_str(), &password)
        .map_err(|problem| Failure::fault(problem.to_string()))?;
    // Files first: a device in the ledger whose key nobody has would only confuse.
    write_secret(&file, &p12)?;
    let pem = args.pem.as_ref().map(|dir| dir.join(format!("{id}.pem")));
    if let Some(pem) = &pem {
        write_secret(pem, format!("{}{}", issued.certificate_pem, issued.key_pem.expose()).as_bytes())?;
    }
    let mut record = args.about.record(id.clone(), class, at);
    record.certificates = vec![made_here(&issued, at)];
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

/// Opens the device CA of a configuration.
pub fn open_ca(config: &Config, at: Timestamp) -> Result<DeviceCa, Failure> {
    DeviceCa::open(&device_ca_dir(&config.state_dir), &config.devices, &config.facility.name, at)
        .map_err(|problem| Failure::unavailable(problem.to_string()))
}

/// Makes the certificate of a device.
pub fn issue(
    config: &Config,
    id: &DeviceId,
    class: DeviceClass,
    at: Timestamp,
) -> Result<(DeviceCa, IssuedDevice), Failure> {
    let unavailable = |problem: certs::CertProblem| Failure::unavailable(problem.to_string());
    let ca = open_ca(config, at)?;
    let issued = ca.issue(id, class, at, config.devices.certificate_lifetime).map_err(unavailable)?;
    Ok((ca, issued))
}

/// Enters the device in the ledger; if that fails, takes the files back.
fn enter(config: &Config, record: DeviceRecord, file: &Path, pem: Option<&Path>) -> Result<(), Failure> {
    let id = record.id.clone();
    let entered = open_store(config).and_then(|store| {
        block_on(async {
            store.add_device(record, actor()).await.map_err(|problem| match problem {
                StoreProblem::Exists(_) => Failure::input(format!(
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

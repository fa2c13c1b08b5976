//! The CAs behind device certificates: entering what another CA issued, and asking one to sign ours.

use std::path::PathBuf;

use certs::{DeviceCertificate, DeviceRoots, Refusal};
use config::Config;
use policy::Timestamp;
use serde_json::json;
use store::{CertificateIssuer, CertificateRecord, StoreProblem};

use super::add::{About, open_ca};
use super::{device_class, device_id, unavailable};
use crate::cli::{ConfigArg, Format, actor, block_on, open_store, out};
use crate::clock;
use crate::failure::Failure;

/// The largest certificate file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What `device certificate` takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Its name in the ledger; it is added where the ledger does not know it.
    id: String,
    /// The certificate, PEM or DER, without its key.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its class; needed for a device that is new.
    #[arg(long)]
    class: Option<String>,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    config: ConfigArg,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// `device certificate`.
pub fn enter(args: &Args) -> Result<(), Failure> {
    let id = device_id(&args.id)?;
    let config = args.config.read()?;
    let at = clock::now();
    let found = read(args)?;
    believed(&config, &found, at)?;
    let certificate = CertificateRecord {
        issuer: CertificateIssuer::Foreign,
        serial: found.serial.clone(),
        ..CertificateRecord::own(found.fingerprint, at, found.ends_at)
    };
    let store = open_store(&config)?;
    let is_new = block_on(async {
        let in_words = |problem: StoreProblem| match problem {
            StoreProblem::Exists(_) => {
                Failure::input(format!("certificate {} is in the ledger already", found.fingerprint))
            }
            StoreProblem::NotInForce(_) => super::unknown(&id),
            StoreProblem::Unavailable(_) | StoreProblem::Corrupt(_) | StoreProblem::Full => unavailable(problem),
        };
        if store.device(&id).await.map_err(unavailable)?.is_some() {
            // The one before goes on to its own end: the CA that gave both decides when it is out of force.
            store.add_certificate(&id, certificate, None, actor()).await.map_err(in_words)?;
            return Ok(false);
        }
        let class = args
            .class
            .as_deref()
            .ok_or_else(|| Failure::input(format!("device `{id}` is new; say what it is with --class")))?;
        let mut record = args.about.record(id.clone(), device_class(class)?, at);
        record.certificates = vec![certificate];
        store.add_device(record, actor()).await.map_err(in_words)?;
        Ok(true)
    })?;
    match args.format {
        Format::Json => out::say(
            &json!({
                "id": id.as_str(),
                "added": is_new,
                "fingerprint": found.fingerprint.to_string(),
                "serial": found.serial,
                "subject": found.subject,
                "issuer": found.issuer,
                "ends_at": found.ends_at.to_string(),
            })
            .to_string(),
        ),
        Format::Text => out::say(&format!(
            "certificate of `{}` by `{}`, until {}, entered for device {id}",
            found.subject,
            found.issuer,
            found.ends_at.rfc3339(config.offset)
        )),
    }
    Ok(())
}

fn read(args: &Args) -> Result<DeviceCertificate, Failure> {
    let name = args.file.display().to_string();
    let in_words = |error: std::io::Error| Failure::input(format!("{name}: {error}"));
    if std::fs::metadata(&args.file).map_err(in_words)?.len() > FILE_BYTES_MAX {
        return Err(Failure::input(format!("{name}: is too large for one certificate")));
    }
    let bytes = std::fs::read(&args.file).map_err(in_words)?;
    DeviceCertificate::read(&name, &bytes).map_err(|problem| Failure::input(problem.to_string()))
}

/// Whether a handshake would take it. A revocation list that is too old is said and changes nothing here: it is asked
/// again at every handshake.
fn believed(config: &Config, found: &DeviceCertificate, at: Timestamp) -> Result<(), Failure> {
    let ca = open_ca(config, at)?;
    let roots = DeviceRoots::load(&ca, &config.devices, at)
        .map_err(|problems| Failure::input(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    match roots.check(std::slice::from_ref(&found.der), at) {
        Ok(()) => Ok(()),
        Err(refusal @ (Refusal::CrlTooOld | Refusal::CrlMissing)) => {
            out::complain(&format!("{refusal}; the device is refused until there is a newer list"));
            Ok(())
        }
        Err(refusal) => Err(Failure::input(format!("the certificate would be refused: {refusal}"))),
    }
}

/// `device ca-request`.
pub fn request(config: &ConfigArg) -> Result<(), Failure> {
    let ca = open_ca(&config.read()?, clock::now())?;
    let request = ca.request_pem().map_err(|problem| Failure::unavailable(problem.to_string()))?;
    out::say(request.trim_end());
    Ok(())
}

//! `sekimori demo`: the real gateway in front of an invented hospital, all on loopback, in a folder of its own.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use certs::ServerCa;
use config::{CertificateFiles, Config, Secret};
use identity::{MadeInvitation, NewPerson, People};
use policy::{DeviceId, RoleId};
use store::DeviceRecord;
use tokio::net::TcpListener;

use crate::assembly::{self, Source};
use crate::cli::{block_on, device, log, open_store, out};
use crate::demo::hospital::{self, Ports, Tongue};
use crate::demo::people::{DEVICES, DemoDevice, LOCAL_PERSON, Standing};
use crate::demo::{emr, idp, orca};
use crate::device_issuer::made_here;
use crate::failure::Failure;
use crate::{clock, listen};

/// How long the demo's server certificate is good for.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// How long the demo's invitation is good.
const INVITATION_LIFETIME: Duration = Duration::from_secs(86_400);
/// Who furnished the demo, as the log names it.
const ACTOR: &str = "cli:demo";

/// What `demo` takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The port of the gateway; the demo's other ports follow it.
    #[arg(long, default_value_t = Ports::default().gateway)]
    port: u16,
    /// Its folder; it is emptied at each start. One in the system's folder for temporary files by default.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Opens the hospital and serves until told to stop.
pub fn run(args: &Args) -> Result<(), Failure> {
    let diagnostics = log::start("warn")?;
    let ports = ports(args.port)?;
    let folder = make_folder(args.dir.as_deref())?;
    let config = furnish(&folder, &ports)?;
    let invitation = invite(&config)?;
    start_apps(&config, &ports)?;
    let source = Source::Text { text: hospital::config_text(&ports), base: folder.clone() };
    let tongue = Tongue::of_locale(&std::env::var("LC_ALL").or_else(|_| std::env::var("LANG")).unwrap_or_default());
    let program = std::env::current_exe().map_or_else(|_| "sekimori".to_owned(), |path| path.display().to_string());
    assembly::serve(source, &diagnostics, |_| {
        out::say(&hospital::banner(&ports, &folder, &program, &invitation.code.expose(), tongue))
    })
}

/// The default ports, or five in a row from the one that was asked for.
fn ports(gateway: u16) -> Result<Ports, Failure> {
    let usual = Ports::default();
    if gateway == usual.gateway {
        return Ok(usual);
    }
    let port = |step| {
        gateway
            .checked_add(step)
            .ok_or_else(|| Failure::input(format!("--port {gateway}: no room for five ports in a row")))
    };
    Ok(Ports { gateway, operations: port(1)?, idp: port(2)?, emr: port(3)?, orca: port(4)? })
}

/// An empty folder that nobody else can read. One that belongs to somebody else is never touched.
fn make_folder(asked: Option<&Path>) -> Result<PathBuf, Failure> {
    let me = rustix::process::getuid().as_raw();
    let folder = asked.map_or_else(|| std::env::temp_dir().join(format!("sekimori-demo-{me}")), Path::to_path_buf);
    let in_words = |error: io::Error| Failure::unavailable(format!("{}: {error}", folder.display()));
    match fs::symlink_metadata(&folder) {
        Err(_) => {}
        Ok(there) if there.is_dir() && there.uid() == me && is_ours(&folder) => {
            fs::remove_dir_all(&folder).map_err(in_words)?
        }
        Ok(_) => {
            return Err(Failure::input(format!(
                "{} is not a folder of an earlier demo; move it away, or name another with --dir",
                folder.display()
            )));
        }
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(in_words)?;
    fs::canonicalize(&folder).map_err(in_words)
}

/// Whether a folder was written by the demo, or is empty.
fn is_ours(folder: &Path) -> bool {
    folder.join(hospital::CA_FILE).is_file() || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Writes certificates, secrets and the configuration, and enrols the devices.
fn furnish(folder: &Path, ports: &Ports) -> Result<Config, Failure> {
    let at = clock::now();
    let cert_problem = |problem: certs::CertProblem| Failure::unavailable(problem.to_string());
    let ca = ServerCa::create("Sekimori demo CA", at).map_err(cert_problem)?;
    let files = CertificateFiles {
        certificate: folder.join(hospital::SERVER_CERTIFICATE_FILE),
        key: folder.join(hospital::SERVER_KEY_FILE),
    };
    ca.issue(&hospital::hosts(), at, CERTIFICATE_LIFETIME)
        .and_then(|issued| issued.save(&files))
        .map_err(cert_problem)?;
    let text = hospital::config_text(ports);
    write(&folder.join(hospital::CA_FILE), ca.certificate_pem().as_bytes())?;
    write(&folder.join(hospital::CLIENT_SECRET_FILE), random_secret()?.as_bytes())?;
    write(&folder.join(hospital::CONFIG_FILE), text.as_bytes())?;
    fs::create_dir(folder.join(hospital::DEVICES_FOLDER)).map_err(|error| Failure::unavailable(error.to_string()))?;
    let config =
        config::read(&folder.join(hospital::CONFIG_FILE)).map_err(|problems| Failure::fault(problems.to_string()))?;
    for one in &DEVICES {
        enrol(&config, folder, one)?;
    }
    Ok(config)
}

/// Makes a device's certificate and, where the demo says so, enters it in the ledger.
fn enrol(config: &Config, folder: &Path, one: &DemoDevice) -> Result<(), Failure> {
    let at = clock::now();
    let id = DeviceId::parse(one.id).map_err(|problem| Failure::fault(problem.to_string()))?;
    let (ca, issued) = device::issue(config, &id, one.class, at)?;
    let p12 = certs::pkcs12(&issued, ca.certificate_pem(), one.id, hospital::PKCS12_PASSWORD)
        .map_err(|problem| Failure::fault(problem.to_string()))?;
    write(&one.pkcs12_file(folder), &p12)?;
    write(&one.pem_file(folder), format!("{}{}", issued.certificate_pem, issued.key_pem.expose()).as_bytes())?;
    if one.standing == Standing::NotEnrolled {
        return Ok(());
    }
    let record = DeviceRecord {
        asset: format!("DEMO-{}", one.id),
        owner: "demo".to_owned(),
        place: one.en.to_owned(),
        certificates: vec![made_here(&issued, at)],
        ..DeviceRecord::new(id, one.class, at)
    };
    let store = open_store(config)?;
    block_on(async {
        store.add_device(record, ACTOR.to_owned()).await.map_err(|problem| Failure::unavailable(problem.to_string()))
    })
}

/// Enters the person of the local directory, and invites them to enrol a passkey.
fn invite(config: &Config) -> Result<MadeInvitation, Failure> {
    let fault = |problem: identity::PeopleProblem| Failure::fault(problem.to_string());
    let role = RoleId::parse(LOCAL_PERSON.role).map_err(|problem| Failure::fault(problem.to_string()))?;
    let person = NewPerson {
        login: LOCAL_PERSON.login.to_owned(),
        name: LOCAL_PERSON.ja.to_owned(),
        roles: vec![role],
        unit: LOCAL_PERSON.unit.to_owned(),
    };
    let (people, at) = (People::new(open_store(config)?, config), clock::now());
    block_on(async {
        let person = people.add(person, ACTOR, at).await.map_err(fault)?;
        people.invite(&person.id, INVITATION_LIFETIME, "demo", ACTOR, at).await.map_err(fault)
    })
}

/// Starts the invented provider and apps on a thread of their own; they end with the program.
fn start_apps(config: &Config, ports: &Ports) -> Result<(), Failure> {
    let clock = clock::real();
    let keys = identity::Assertions::open_or_create(&config.state_dir, &config.origin(&config.login_host))
        .map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let provider = config.providers.first().ok_or_else(|| Failure::fault("the demo has no identity provider"))?;
    let idp = idp::Idp::new(idp::IdpOptions {
        issuer: idp::issuer(ports.idp),
        client_id: hospital::CLIENT_ID.to_owned(),
        client_secret: provider.client_secret.clone().unwrap_or_else(|| Secret::new(String::new())),
        redirect_uris: vec![web::redirect_uri(config, &provider.id)],
        post_logout_redirect_uris: vec![web::post_logout_uri(config)],
        clock: clock.clone(),
    })
    .map_err(|problem| Failure::fault(problem.to_string()))?;
    let emr_app = config.apps.iter().find(|app| app.id.as_str() == "emr");
    let audience = emr_app.map(|app| config.origin(&app.host)).unwrap_or_default();
    let trust = emr::Trust::Signed { keys: Arc::new(move || keys.jwks().to_owned()), audience };
    let (emr, orca) = (emr::Emr::new(trust, clock.clone()), orca::Orca::new(clock));
    let [idp_socket, emr_socket, orca_socket] = [ports.idp, ports.emr, ports.orca].map(|port| {
        listen::bind(([127, 0, 0, 1], port).into())
            .map_err(|error| Failure::unavailable(format!("port {port}: {error}; try another with --port")))
    });
    let (idp_socket, emr_socket, orca_socket) = (idp_socket?, emr_socket?, orca_socket?);
    let serve = async move {
        let never = std::future::pending::<()>;
        let served: io::Result<_> = async {
            tokio::try_join!(
                idp::serve(TcpListener::from_std(idp_socket)?, idp, never()),
                emr::serve(TcpListener::from_std(emr_socket)?, emr, never()),
                orca::serve(TcpListener::from_std(orca_socket)?, orca, never()),
            )
        }
        .await;
        if let Err(error) = served {
            tracing::error!(%error, "the demo's apps ended");
        }
    };
    let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve),
        Err(error) => tracing::error!(%error, "the demo's apps could not start"),
    };
    std::thread::Builder::new()
        .name("demo-apps".to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|error| Failure::unavailable(format!("the system gives no thread: {error}")))
}

fn random_secret() -> Result<String, Failure> {
    let halves = [clock::random_u64(), clock::random_u64()];
    let [first, second] = halves;
    let unavailable = Failure::unavailable;
    Ok(format!("{:016x}{:016x}", first.map_err(unavailable)?, second.map_err(unavailable)?))
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let in_words = |error: io::Error| Failure::unavailable(format!("{}: {error}", file.display()));
    let mut written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(in_words)?;
    written.write_all(bytes).map_err(in_words)
}

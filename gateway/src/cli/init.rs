//! `sekimori init`: a commented configuration and its folders, to be edited, and the one-time code with which its first
//! administrator enrols. For nodes that an orchestrator starts, the keys that they share.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use config::Template;
use identity::{InvitationCode, MadeInvitation};
use policy::UtcOffset;
use store::{Invitation, InvitationId, Invited, Store as _};

use crate::assembly::store_file;
use crate::cli::user::first_administrator_text;
use crate::cli::{CONFIG_FILE, actor, block_on, out};
use crate::clock;
use crate::failure::Failure;

mod shared;

/// The folder of store, keys and log, as the templates name it.
const STATE_FOLDER: &str = "state";
/// How long the first administrator's code is good: time to get names, certificates and a passkey.
const CODE_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// What `init` takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// For whom.
    kind: Kind,
    /// The folder to write into.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where keys, database and access log are kept, such as /var/lib/sekimori; a folder `state` beside the file otherwise.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// With `node-keys`: the hospital's name, as device certificates state it.
    #[arg(long, value_name = "NAME", required_if_eq("kind", "node-keys"))]
    facility: Option<String>,
    /// With `node`: the folder of the shared keys, such as /run/credentials/sekimori.
    #[arg(long, value_name = "DIR", required_if_eq("kind", "node"))]
    from: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Kind {
    /// One small box, one file.
    Clinic,
    /// Several zones, all settings shown.
    Hospital,
    /// The keys that all nodes of a group share, into --dir: once for the group.
    NodeKeys,
    /// One node's state, with the shared keys in it: before its first start.
    Node,
}

/// Writes what was asked for; never over anything that is there.
pub fn run(args: &Args) -> Result<(), Failure> {
    match args.kind {
        Kind::Clinic => write_config(args, Template::Clinic),
        Kind::Hospital => write_config(args, Template::Hospital),
        Kind::NodeKeys => {
            let facility = args.facility.as_deref().unwrap_or_default();
            for file in shared::make(&args.dir, facility, clock::now())? {
                out::say(&file.display().to_string());
            }
            out::say("give these to every node, and to nobody else / すべての台にだけ渡してください");
            Ok(())
        }
        Kind::Node => shared::take(args.from.as_deref().unwrap_or(Path::new(".")), &state_dir(args)),
    }
}

fn state_dir(args: &Args) -> PathBuf {
    args.state_dir.clone().unwrap_or_else(|| args.dir.join(STATE_FOLDER))
}

fn write_config(args: &Args, template: Template) -> Result<(), Failure> {
    let file = args.dir.join(CONFIG_FILE);
    let text = with_state_dir(config::template(template), args.state_dir.as_deref())?;
    let state_dir = state_dir(args);
    // Before anything is made: a folder with a file in it is somebody's.
    if file.symlink_metadata().is_ok() {
        return Err(in_words(&file, &std::io::ErrorKind::AlreadyExists.into()));
    }
    for folder in [&args.dir.join("tls"), &args.dir.join("secrets"), &state_dir] {
        make_folder(folder)?;
    }
    let written = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&file);
    written.and_then(|mut written| written.write_all(text.as_bytes())).map_err(|error| in_words(&file, &error))?;
    let made = if has_directory(template) { Some(invite_first_administrator(&state_dir)?) } else { None };
    out::say(&format!(
        "wrote {0}\n\
         next: put your server certificate and key into {1}, edit {0}, then\n  \
         sekimori check --config {0}\n  sekimori serve --config {0}\n\
         次に: サーバー証明書と鍵を {1} に置き、{0} を編集してから、上の二つのコマンドを実行してください。",
        file.display(),
        args.dir.join("tls").display(),
    ));
    if let Some(made) = &made {
        out::say(&first_administrator_text(made, None, UtcOffset::JAPAN));
        out::say("a new one, while there is no administrator: sekimori user first-admin");
    }
    Ok(())
}

/// Why the file is not written.
fn in_words(file: &Path, error: &std::io::Error) -> Failure {
    let remedy = if error.kind() == std::io::ErrorKind::AlreadyExists {
        "; it is left as it is: move it away, or name another folder with --dir"
    } else {
        ""
    };
    Failure::input(format!("{}: {error}{remedy}", file.display()))
}

/// A template's text with the state elsewhere than beside it.
fn with_state_dir(text: &str, state_dir: Option<&Path>) -> Result<String, Failure> {
    let Some(state_dir) = state_dir else { return Ok(text.to_owned()) };
    let shown = state_dir.display();
    // As it is, it stands in quotes; what could end them has no place in it.
    let name = state_dir.to_str().filter(|name| state_dir.is_absolute() && !name.contains(['"', '\\', '\n']));
    let name = name.ok_or_else(|| {
        Failure::input(format!("--state-dir: `{shown}` is not a plain absolute path; write it like /var/lib/sekimori"))
    })?;
    Ok(text.replacen(&format!("state_dir = \"{STATE_FOLDER}\""), &format!("state_dir = \"{name}\""), 1))
}

/// Whether a template has people of its own, and an administrator among them.
fn has_directory(template: Template) -> bool {
    config::template(template).lines().any(|line| line.trim() == "local = true")
}

/// Makes the one-time code of the first administrator. The configuration cannot be read yet: its certificates are not
/// there. So this writes what `user first-admin` would.
fn invite_first_administrator(state_dir: &Path) -> Result<MadeInvitation, Failure> {
    let unavailable = |problem: store::StoreProblem| Failure::unavailable(problem.to_string());
    let (code, at) = (InvitationCode::random(), clock::now());
    let made = MadeInvitation {
        id: InvitationId::new(clock::random_u64().map_err(Failure::unavailable)?),
        expires_at: at.after(CODE_LIFETIME),
        code,
    };
    let invitation = Invitation {
        id: made.id,
        secret: made.code.hash(),
        invited: Invited::FirstAdministrator,
        made_by: actor(),
        made_at: at,
        expires_at: made.expires_at,
        proofing: "whoever had the code from the machine".to_owned(),
        reason: "init".to_owned(),
        used_at: None,
        revoked_at: None,
    };
    let store = store::Sqlite::open(store_file(state_dir)).map_err(unavailable)?;
    block_on(async { store.invite(invitation).await.map_err(unavailable) })?;
    Ok(made)
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Failure::input(format!("{}: {error}", folder.display())))
}

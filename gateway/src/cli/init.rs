//! `sekimori init`: a commented configuration and its folders, to be edited.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use config::Template;

use crate::cli::{CONFIG_FILE, out};
use crate::failure::Failure;

/// What `init` takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// For whom.
    kind: Kind,
    /// The folder to write into.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Kind {
    /// One small box, one file.
    Clinic,
    /// Several zones, all settings shown.
    Hospital,
}

/// Writes the file; never over one that is there.
pub fn run(args: &Args) -> Result<(), Failure> {
    let template = match args.kind {
        Kind::Clinic => Template::Clinic,
        Kind::Hospital => Template::Hospital,
    };
    let file = args.dir.join(CONFIG_FILE);
    for folder in ["tls", "secrets", "state"] {
        make_folder(&args.dir.join(folder))?;
    }
    let in_words = |error: std::io::Error| {
        let remedy = if error.kind() == std::io::ErrorKind::AlreadyExists {
            "; it is left as it is: move it away, or name another folder with --dir"
        } else {
            ""
        };
        Failure::input(format!("{}: {error}{remedy}", file.display()))
    };
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&file).map_err(in_words)?;
    written.write_all(config::template(template).as_bytes()).map_err(in_words)?;
    out::say(&format!(
        "wrote {0}\n\
         next: put your server certificate and key into {1}, edit {0}, then\n  \
         sekimori check --config {0}\n  sekimori serve --config {0}\n\
         次に: サーバー証明書と鍵を {1} に置き、{0} を編集してから、上の二つのコマンドを実行してください。",
        file.display(),
        args.dir.join("tls").display(),
    ));
    Ok(())
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Failure::input(format!("{}: {error}", folder.display())))
}

//! `sekimori store`: moving people, devices, sessions and everything else that is kept between a file and the database
//! that the configuration names, while no gateway runs on either.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use config::{Config, Database, StoreKind};
use serde_json::{Value, json};
use store::{MoveProblem, TableSum};

use crate::cli::{ConfigArg, Format, block_on, out, table};
use crate::failure::Failure;
use crate::{clock, database};

/// What can be done with the store.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Moves everything between a file and the database of `[store]`, and compares both row by row. Stop every gateway
    /// first; run it as the account that the gateway runs as.
    Move {
        /// The file to move into the database, such as state/store.sqlite.
        #[arg(long, value_name = "FILE", required_unless_present = "to", conflicts_with = "to")]
        from: Option<PathBuf>,
        /// The file, not there yet, to move out of the database into.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let Command::Move { from, to, config, format } = command;
    let config = config.read()?;
    let StoreKind::Postgres(kept_in) = &config.store.kind else {
        let remedy = "write `kind = \"postgres\"` and its `address` into [store], then move";
        return Err(Failure::input(format!("the configuration names no database; {remedy}")));
    };
    let sums = match (from, to) {
        (Some(file), _) => into_database(&config, kept_in, file),
        (None, Some(file)) => out_of_database(&config, file),
        (None, None) => Err(Failure::input("name the file with `--from` or `--to`")),
    }?;
    match format {
        Format::Json => out::say(&Value::from_iter(sums.iter().map(as_json)).to_string()),
        Format::Text => {
            let rows: Vec<Vec<String>> = sums.iter().map(as_row).collect();
            out::say(&table(&["TABLE", "ROWS", "SHA-256"], &rows));
            out::say(&next(from.is_some()));
        }
    }
    Ok(())
}

fn into_database(config: &Config, kept_in: &Database, file: &Path) -> Result<Vec<TableSum>, Failure> {
    if !file.is_file() {
        return Err(Failure::input(format!("`{}` is not there", file.display())));
    }
    let (from, to) = (database::open_file_alone(file)?, database::open_alone(config)?);
    let place = database::place(kept_in);
    block_on(async { store::move_all(&from, &to, &place, clock::now()).await.map_err(failure) })
}

fn out_of_database(config: &Config, file: &Path) -> Result<Vec<TableSum>, Failure> {
    if file.exists() {
        return Err(Failure::input(format!("`{}` is there already; name a new one", file.display())));
    }
    let (from, to) = (database::open_alone(config)?, database::open_file_alone(file)?);
    let place = format!("the file `{}`", file.display());
    block_on(async { store::move_all(&from, &to, &place, clock::now()).await.map_err(failure) })
}

fn failure(problem: MoveProblem) -> Failure {
    match problem {
        MoveProblem::Store(problem) => Failure::unavailable(problem.to_string()),
        problem @ MoveProblem::NotEmpty { .. } => Failure::input(format!("{problem}; make an empty one")),
        problem @ MoveProblem::Differs { .. } => {
            Failure::fault(format!("{problem}; nothing was moved: go on with the store that you have"))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn as_row(sum: &TableSum) -> Vec<String> {
    vec![sum.table.to_owned(), sum.rows.to_string(), hex(&sum.digest)]
}

fn as_json(sum: &TableSum) -> Value {
    json!({ "table": sum.table, "rows": sum.rows, "sha256": hex(&sum.digest) })
}

fn next(is_into_database: bool) -> String {
    if is_into_database {
        "すべて移し、行ごとに照合した。元のファイルは今後開けない。ゲートウェイを起動する\n\
         everything was moved and compared row by row; the file opens no more; start the gateway"
            .to_owned()
    } else {
        "すべて移し、行ごとに照合した。データベースの記録は今後開けない。ファイルを state_dir の store.sqlite とし、[store] を \
         kind = \"sqlite\" にして起動する\n\
         everything was moved and compared row by row; what is in the database opens no more; make the file store.sqlite \
         in state_dir, write kind = \"sqlite\" into [store], and start the gateway"
            .to_owned()
    }
}

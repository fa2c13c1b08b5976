//! `sekimori policy show`: who may do what, for the terminal, a spreadsheet, or paper with room to sign.

use std::path::PathBuf;

use policy::{AppId, Matrix, RoleId, Subject};
use web::WordBook;

use super::Lang;
use crate::cli::{ConfigArg, out};
use crate::clock;
use crate::failure::Failure;

/// What `policy show` takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Only this app; may be given more than once.
    #[arg(long = "app", value_name = "APP")]
    apps: Vec<String>,
    /// Only this role; may be given more than once.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: SheetFormat,
    /// Into this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    lang: Lang,
}

/// For whom the sheet is written.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SheetFormat {
    /// For the terminal.
    #[default]
    Text,
    /// For spreadsheets, a line for each cell.
    Csv,
    /// For paper: one file, with room to sign.
    Html,
}

/// Writes the sheet.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    let mut matrix = Matrix::of(&config.loaded, config.roles.keys().cloned());
    narrow(&mut matrix, args)?;
    let (book, language) = (WordBook::new(), args.lang.language());
    let words = book.words(language, &config);
    let text = match args.format {
        SheetFormat::Text => words.sheet(&matrix, clock::now()).text(),
        SheetFormat::Csv => words.csv(&matrix),
        SheetFormat::Html => words.sheet(&matrix, clock::now()).html(language, &config.facility.name),
    };
    match &args.output {
        None => out::say(text.trim_end()),
        Some(file) => {
            std::fs::write(file, text).map_err(|error| Failure::unavailable(format!("{}: {error}", file.display())))?
        }
    }
    Ok(())
}

/// Leaves the apps and roles that are asked for. Whoever is signed in has a column of their own, which stays: a role may
/// do that too.
fn narrow(matrix: &mut Matrix, args: &Args) -> Result<(), Failure> {
    let apps = args.apps.iter().map(|app| AppId::parse(app).map_err(|problem| Failure::input(problem.to_string())));
    let apps = apps.collect::<Result<Vec<_>, _>>()?;
    if let Some(unknown) = apps.iter().find(|app| !matrix.apps.iter().any(|table| table.app == **app)) {
        let known: Vec<_> = matrix.apps.iter().map(|table| table.app.as_str()).collect();
        return Err(Failure::input(format!("there is no app `{unknown}`; there are {}", known.join(", "))));
    }
    let roles =
        args.roles.iter().map(|role| RoleId::parse(role).map_err(|problem| Failure::input(problem.to_string())));
    let roles = roles.collect::<Result<Vec<_>, _>>()?;
    if let Some(unknown) = roles.iter().find(|role| !matrix.subjects.contains(&Subject::Role((*role).clone()))) {
        return Err(Failure::input(format!("there is no role `{unknown}`; see `[roles]` of the configuration")));
    }
    matrix.apps.retain(|table| apps.is_empty() || apps.contains(&table.app));
    let stays = |subject: &Subject| match subject {
        Subject::Nobody | Subject::SignedIn => true,
        Subject::Role(role) => roles.is_empty() || roles.contains(role),
    };
    let kept: Vec<bool> = matrix.subjects.iter().map(stays).collect();
    let keep = |place: &mut usize| {
        *place += 1;
        kept.get(*place - 1).copied().unwrap_or(false)
    };
    for line in matrix.apps.iter_mut().flat_map(|table| &mut table.lines) {
        let mut place = 0;
        line.cells.retain(|_| keep(&mut place));
    }
    let mut place = 0;
    matrix.subjects.retain(|_| keep(&mut place));
    Ok(())
}

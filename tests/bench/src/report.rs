//! What came out: each figure with its rounds and what was wanted, as a table, as JSON and as a chart.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::chart::Chart;
use crate::gauge;
use crate::table::median;

/// What was wanted of a figure.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Wanted {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// Nothing: it is told for comparison.
    Nothing,
}

impl Wanted {
    fn is_met(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtLeast(wanted) => Some(figure >= wanted),
            Self::AtMost(wanted) => Some(figure <= wanted),
            Self::Nothing => None,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::AtLeast(wanted) => format!(">= {wanted}"),
            Self::AtMost(wanted) => format!("<= {wanted}"),
            Self::Nothing => String::new(),
        }
    }
}

/// One figure, of as many rounds as were measured.
#[derive(Clone, Debug)]
struct Figure {
    name: String,
    unit: &'static str,
    rounds: Vec<f64>,
    wanted: Wanted,
}

impl Figure {
    fn middle(&self) -> f64 {
        median(&mut self.rounds.clone())
    }
}

/// All figures of one run.
#[derive(Debug)]
pub struct Report {
    machine: Value,
    figures: Vec<Figure>,
    chart: Chart,
}

impl Report {
    /// A report of this machine; `folder` is where the log is kept.
    pub fn begin(folder: &Path) -> Self {
        let machine = json!({
            "processors": gauge::processors().len(),
            "model": gauge::processors().first(),
            "file_system_of_the_log": file_system(folder),
            "load_average_at_the_start": gauge::load_average(),
        });
        println!("machine: {machine}");
        Self { machine, figures: Vec::new(), chart: Chart::default() }
    }

    /// Adds a figure, and tells it.
    pub fn add(&mut self, name: impl Into<String>, unit: &'static str, wanted: Wanted, rounds: Vec<f64>) {
        let figure = Figure { name: name.into(), unit, rounds, wanted };
        eprintln!("{}", row(&figure));
        self.figures.push(figure);
    }

    /// Adds what a proxy did in a workload, against bare nginx, to the chart.
    pub fn draw(&mut self, workload: &str, proxy: &str, ratio: f64) {
        self.chart.add(workload, proxy, ratio);
    }

    /// Prints the table, and writes JSON and chart into a folder where one is named.
    pub fn tell(&mut self, folder: Option<&Path>) {
        self.machine["load_average_at_the_end"] = gauge::load_average().into();
        println!("\nmachine: {}\nmedians of the rounds:", self.machine);
        self.figures.iter().for_each(|figure| println!("{}", row(figure)));
        let missed: Vec<&str> =
            self.figures.iter().filter(|one| one.is_missed()).map(|one| one.name.as_str()).collect();
        println!("targets missed: {}", if missed.is_empty() { "none".to_owned() } else { missed.join("; ") });
        let Some(folder) = folder else { return };
        std::fs::create_dir_all(folder).unwrap();
        let figures: Vec<Value> = self.figures.iter().map(Figure::told).collect();
        let told = json!({ "machine": self.machine, "figures": figures });
        std::fs::write(folder.join("figures.json"), format!("{told:#}\n")).unwrap();
        std::fs::write(folder.join("speed.svg"), self.chart.svg()).unwrap();
        println!("figures.json and speed.svg are in {}", folder.display());
    }
}

impl Figure {
    fn is_missed(&self) -> bool {
        self.wanted.is_met(self.middle()) == Some(false)
    }

    fn told(&self) -> Value {
        json!({
            "name": self.name, "unit": self.unit, "median": self.middle(), "rounds": self.rounds,
            "wanted": self.wanted.shown(), "met": self.wanted.is_met(self.middle()),
        })
    }
}

fn row(figure: &Figure) -> String {
    let mut row = format!("{:<64} {:>9.2} {:<8}", figure.name, figure.middle(), figure.unit);
    if let Some(met) = figure.wanted.is_met(figure.middle()) {
        write!(row, " wanted {:<8} {}", figure.wanted.shown(), if met { "met" } else { "MISSED" }).unwrap();
    }
    row.trim_end().to_owned()
}

fn file_system(folder: &Path) -> String {
    let said = Command::new("stat").args(["-f", "-c", "%T"]).arg(folder).output();
    said.map_or_else(|_| "unknown".to_owned(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

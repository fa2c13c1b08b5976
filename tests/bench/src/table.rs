//! The table: medians of the ratios that each round gave.

use crate::load::Measured;

/// One round of one workload, every proxy once.
#[derive(Debug)]
pub struct Row {
    workload: &'static str,
    round: usize,
    measured: Vec<(&'static str, Measured)>,
}

impl Row {
    /// A round that begins.
    pub fn new(workload: &'static str, round: usize) -> Self {
        Self { workload, round, measured: Vec::new() }
    }

    /// Adds what a proxy gave.
    pub fn add(&mut self, proxy: &'static str, measured: Measured) {
        eprintln!(
            "{} round {}: {proxy}: {:.0} requests/s, {:.1} us CPU ({:.1} of it index), p50 {:?}, p99 {:?}",
            self.workload,
            self.round,
            measured.per_second(),
            1e6 / measured.per_cpu_second(),
            1e6 / measured.per_cpu_second() - 1e6 / measured.per_cpu_second_but_index(),
            measured.p50,
            measured.p99
        );
        self.measured.push((proxy, measured));
    }

    fn of(&self, proxy: &str) -> Option<&Measured> {
        self.measured.iter().find(|(name, _)| *name == proxy).map(|(_, measured)| measured)
    }
}

/// All rounds.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a round.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Prints the medians.
    pub fn print(&self) {
        println!(
            "sekimori against each, medians: requests per CPU second {{without its search index}} (requests per second) \
             [p50 ours/theirs]"
        );
        let mut workloads: Vec<&str> = self.rows.iter().map(|row| row.workload).collect();
        workloads.dedup();
        for workload in workloads {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.workload == workload).collect();
            let mut line = format!("{workload:<10}");
            for peer in ["nginx bare", "nginx + access log", "nginx + auth_request"] {
                let ratio = |figure: &dyn Fn(&Measured) -> f64| {
                    let mut ratios: Vec<f64> = rows
                        .iter()
                        .filter_map(|row| Some(figure(row.of("sekimori")?) / figure(row.of(peer)?)))
                        .collect();
                    median(&mut ratios)
                };
                line.push_str(&format!(
                    "  {peer}: {:.2} {{{:.2}}} ({:.2}) [{:.2}]",
                    ratio(&Measured::per_cpu_second),
                    ratio(&Measured::per_cpu_second_but_index),
                    ratio(&Measured::per_second),
                    ratio(&|measured| measured.p50.as_secs_f64())
                ));
            }
            println!("{line}");
        }
    }
}

/// The middle of the figures; not a number where there are none.
pub fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

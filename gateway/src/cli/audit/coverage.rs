//! `sekimori audit coverage`: by which routes the record names patients, and by which it does not, counted from the log.

use std::collections::{BTreeMap, HashMap};

use audit::{Entry, EntryKind, LogProblem, Reader};
use config::Config;
use policy::{AppId, Method, Path, Timestamp};
use serde_json::json;

use crate::cli::{ConfigArg, Format, out, span, table};
use crate::failure::Failure;

/// The most accesses that may be open in each other while the log is read.
const OPEN_MAX: usize = 1_000_000;

/// What to count.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Only accesses since then, such as `7d`.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    since: Option<std::time::Duration>,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A route as it is counted: app, pattern, whether it says where patients are named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct RouteOf {
    app: String,
    pattern: String,
    looks: bool,
}

/// What the log says of accesses by one route.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Count {
    accesses: u64,
    named: u64,
    cut: u64,
    unreadable: u64,
    missing: u64,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    let now = crate::clock::real().now().unix_micros();
    let micros = |span: std::time::Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    let since = args.since.map(|span| Timestamp::from_unix_micros(now.saturating_sub(micros(span))));
    let mut tally = Tally::new(&config);
    let reader: Reader = (&config.audit).into();
    let mut lines = reader.from(0);
    let mut damaged = 0_u64;
    loop {
        match lines.next() {
            Ok(Some(line)) => {
                if let Some(entry) = Entry::read(line.text).filter(|entry| since.is_none_or(|since| entry.at >= since))
                {
                    tally.note(entry);
                }
            }
            Ok(None) => break,
            Err(LogProblem::Damaged { .. }) => damaged += 1,
            Err(problem) => return Err(Failure::unavailable(problem.to_string())),
        }
    }
    let counts = tally.finish();
    match args.format {
        Format::Json => counts.iter().for_each(|(route, count)| out::say(&as_json(route, count))),
        Format::Text => out::say(&as_table(&counts)),
    }
    if damaged > 0 {
        out::complain(&format!("{damaged} damaged places were passed over; run `sekimori audit verify`"));
    }
    Ok(())
}

/// Counts accesses as their lines are read.
struct Tally<'c> {
    config: &'c Config,
    open: HashMap<String, (RouteOf, Entry)>,
    counts: BTreeMap<RouteOf, Count>,
}

impl<'c> Tally<'c> {
    fn new(config: &'c Config) -> Self {
        Self { config, open: HashMap::new(), counts: BTreeMap::new() }
    }

    fn note(&mut self, entry: Entry) {
        match entry.kind {
            EntryKind::Open => {
                if let (Some(route), Some(id)) = (self.route(&entry), entry.request.clone())
                    && self.open.len() < OPEN_MAX
                {
                    self.open.insert(id, (route, entry));
                }
            }
            EntryKind::Close => {
                let opened = entry.request.as_ref().and_then(|id| self.open.remove(id));
                if let Some((route, begin)) = opened {
                    self.add(route, &begin, Some(&entry));
                }
            }
            EntryKind::Refused | EntryKind::Segment | EntryKind::Fact(_) | EntryKind::Unknown(_) => {}
        }
    }

    /// The route by the configuration of today. Nothing for the gateway's own pages.
    fn route(&self, entry: &Entry) -> Option<RouteOf> {
        let app: AppId = entry.app.as_deref()?.parse().ok()?;
        let method = Method::parse(entry.method.as_deref()?)?;
        let path = Path::parse(entry.path.as_deref()?).ok()?;
        self.config.apps.iter().find(|one| one.id == app)?;
        let classifier = self.config.loaded.classifier(&app);
        let number = classifier.classify(&method, &path).route;
        let looks = number.and_then(|number| classifier.about_patients(number)).is_some();
        let pattern = number.and_then(|number| classifier.pattern(number)).unwrap_or("-").to_owned();
        Some(RouteOf { app: app.to_string(), pattern, looks })
    }

    fn add(&mut self, route: RouteOf, begin: &Entry, end: Option<&Entry>) {
        let has = |flag: &str| {
            [Some(begin), end].into_iter().flatten().any(|one| one.patient_flags.iter().any(|f| f == flag))
        };
        let named = [Some(begin), end].into_iter().flatten().any(|one| !one.patients.is_empty());
        let count = self.counts.entry(route).or_default();
        count.accesses += 1;
        count.named += u64::from(named);
        count.cut += u64::from(has("cut"));
        count.unreadable += u64::from(has("unreadable"));
        count.missing += u64::from(has("missing"));
    }

    /// The counts; accesses that are still open count as they began.
    fn finish(mut self) -> BTreeMap<RouteOf, Count> {
        for (route, begin) in std::mem::take(&mut self.open).into_values() {
            self.add(route, &begin, None);
        }
        self.counts
    }
}

fn as_json(route: &RouteOf, count: &Count) -> String {
    json!({
        "app": route.app,
        "route": route.pattern,
        "looks_for_patients": route.looks,
        "accesses": count.accesses,
        "with_patient": count.named,
        "cut": count.cut,
        "unreadable": count.unreadable,
        "missing": count.missing,
    })
    .to_string()
}

fn as_table(counts: &BTreeMap<RouteOf, Count>) -> String {
    let row = |(route, count): (&RouteOf, &Count)| {
        let percent = count.named.saturating_mul(100).checked_div(count.accesses).unwrap_or(0);
        let flags = [("cut", count.cut), ("unreadable", count.unreadable), ("missing", count.missing)];
        let flags: Vec<_> = flags.iter().filter(|(_, n)| *n > 0).map(|(flag, n)| format!("{flag} {n}")).collect();
        let looks = if route.looks { "" } else { "names no patient" };
        vec![
            route.app.clone(),
            route.pattern.clone(),
            count.accesses.to_string(),
            count.named.to_string(),
            format!("{percent} %"),
            [looks.to_owned(), flags.join(", ")]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("; "),
        ]
    };
    let rows: Vec<_> = counts.iter().map(row).collect();
    table(&["APP", "ROUTE", "ACCESSES", "WITH PATIENT", "", ""], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        let line = format!("{{\"v\":1,\"seq\":1,\"ts\":\"2026-11-22T00:00:00.000000Z\",{text}}}");
        Entry::read(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_table_says_what_is_looked_for_and_what_was_found() {
        let route = |pattern: &str, looks| RouteOf { app: "emr".into(), pattern: pattern.into(), looks };
        let found = Count { accesses: 4, named: 3, cut: 1, ..Count::default() };
        let counts = BTreeMap::from([
            (route("/fhir/Patient/{patient}", true), found),
            (route("-", false), Count { accesses: 2, ..Count::default() }),
        ]);
        let text = as_table(&counts);
        assert!(text.contains("75 %") && text.contains("cut 1") && text.contains("names no patient"), "{text}");
        assert!(as_json(&route("-", false), &found).contains("\"looks_for_patients\":false"));
        assert_eq!(entry("\"ev\":\"open\",\"id\":\"x\"").request.as_deref(), Some("x"));
    }
}

//! Whatever is asked, the index answers what a plain scan of the log answers.

use std::time::Duration;

use audit::{Reader, StoryOutcome};
use policy::{Date, Timestamp, Unit};
use proptest::prelude::*;

use super::paper::{self, Act, Folder, START};
use super::scan;
use crate::{Addresses, By, Calendar, Deadline, FindProblem, Index, Order, Question};

pub(super) fn deadline() -> Deadline {
    Deadline::within(Duration::from_secs(60))
}

pub(super) fn reader(folder: &Folder) -> Reader {
    folder.log().as_path().into()
}

/// An index of a log in which all this happens.
fn index(acts: &[Act]) -> (Folder, Index, Vec<String>) {
    let folder = Folder::new();
    let lines = paper::lines(acts);
    folder.append(&lines);
    let index = Index::open(&folder.index()).unwrap();
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    (folder, index, lines)
}

/// Holds every page of an answer, and counts, against the scan.
pub(super) fn check(index: &Index, question: &Question, lines: &[String]) {
    let stories = scan::stories(lines);
    let expected = scan::find(question, &stories);
    let mut found = Vec::new();
    let mut asked = question.clone();
    loop {
        let answer = index.ask(&asked, &deadline()).unwrap();
        assert_eq!(answer.total, expected.len() as u64, "{question:?}");
        assert!(answer.seqs.len() <= question.limit);
        found.extend(answer.seqs);
        match answer.next {
            Some(next) if question.limit > 0 => asked.after = Some(next),
            _ => break,
        }
    }
    if question.limit > 0 {
        assert_eq!(found, expected, "{question:?}");
    }
    for by in By::ALL {
        for top in [0, 3, 1_000] {
            let bars = index.count(question, by, top, &deadline()).unwrap();
            assert_eq!(bars, scan::count(question, by, top, &stories), "{by:?} {top} {question:?}");
        }
    }
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(some: &'static [T]) -> impl Strategy<Value = Option<T>> {
    prop_oneof![6 => Just(None), 1 => prop::sample::select(some).prop_map(Some)]
}

fn text(some: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    maybe(some).prop_map(|text| text.map(str::to_owned))
}

fn questions() -> impl Strategy<Value = Question> {
    let who = (text(&["00000003", "00000007", "9"]), text(&["n.sato", "u-t.suzuki", "cli:root", "x"]));
    let what =
        (text(&["read", "search"]), text(&["emr", "none"]), text(&["chart"]), text(&["open", "refused", "signed-in"]));
    let how = (
        maybe(&StoryOutcome::ALL),
        text(&["role-not-allowed", "outside-hours"]),
        text(&["ward-read", "default-deny"]),
        text(&["nurse", "vendor"]),
    );
    let from = (
        text(&["ward3-tablet-07", "受付端末"]),
        text(&["10.1.2.3", "10.1.", "10.0.0.0/8", "2001:db8::/32"]),
        text(&["sn.sato"]),
        text(&["sato", "佐藤", "ward3 tablet", "花", "tab*", "pat* 000*", "nothing", "のぞみ emr", "ＳＡＴＯ２", "*"]),
    );
    let rest = (maybe(&[true, false]), any::<bool>(), 0_usize..20, any::<bool>(), 0_i64..30_000_000, 0_i64..30_000_000);
    let scope = prop::option::weighted(0.3, prop::collection::vec(prop::sample::select(&paper::SCOPES[..]), 0..3));
    let places = (maybe(&paper::SCOPES), scope);
    (who, what, how, from, rest, text(&["1.2.7"]), text(&["r1"]), text(&["g-1"]), places).prop_map(
        |(who, what, how, from, rest, study, revision, grant, places)| {
            let unit = |name: &str| Unit::parse(name).unwrap();
            let (out_of_hours, newest, limit, holiday, since, length) = rest;
            let moment = |millis: i64| Timestamp::from_unix_micros(START + (millis * 1_000 - 7) * 60);
            let calendar = Calendar {
                holidays: holiday.then(|| Date::parse("2026-11-24").unwrap()).into_iter().collect(),
                ..Calendar::default()
            };
            Question {
                patient: who.0,
                person: who.1,
                action: what.0,
                app: what.1,
                class: what.2,
                event: what.3,
                outcome: how.0,
                reason: how.1,
                rule: how.2,
                role: how.3,
                unit: places.0.map(unit),
                within: places.1.map(|names| names.into_iter().map(unit).collect()),
                device: from.0,
                address: from.1.map(|text| text.parse::<Addresses>().unwrap()),
                session: from.2,
                text: from.3,
                study,
                revision,
                grant,
                out_of_hours,
                order: if newest { Order::Newest } else { Order::Oldest },
                limit,
                calendar,
                ..if holiday { Question::default() } else { Question::new(moment(since), moment(since + length)) }
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn answers_and_counts_are_those_of_a_plain_scan(
        acts in paper::acts(0..120),
        questions in prop::collection::vec(questions(), 8),
    ) {
        let (_folder, index, lines) = index(&acts);
        questions.iter().for_each(|question| check(&index, question, &lines));
        for number in 0..acts.len().min(3) {
            let request = Some(paper::id(number));
            check(&index, &Question { request, ..Question::default() }, &lines);
        }
    }
}

#[test]
fn what_cannot_be_read_or_is_too_broad_or_too_late_is_said() {
    let mut words: Vec<String> = (0..1_200).map(|n| format!(r#""path":"/x{n:04}""#)).collect();
    for (number, line) in words.iter_mut().enumerate() {
        *line = format!(r#"{{"v":1,"seq":{number},"ts":"2026-11-22T01:02:03.000004Z","ev":"signed-in",{line}}}"#);
    }
    let folder = Folder::new();
    folder.append(&words);
    let index = Index::open(&folder.index()).unwrap();
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    let ask = |text: &str| index.ask(&Question { text: Some(text.into()), ..Question::default() }, &deadline());
    assert_eq!(ask("x0001").unwrap().total, 1);
    assert_eq!(ask("x00*").unwrap().total, 100);
    assert!(matches!(ask("x*"), Err(FindProblem::TooBroad { .. })));
    let request = Some("not hex!".to_owned());
    let wrong = index.ask(&Question { request, ..Question::default() }, &deadline());
    assert!(matches!(wrong, Err(FindProblem::Question { .. })));
    let late = Deadline::within(Duration::ZERO);
    assert_eq!(index.ask(&Question::default(), &late), Err(FindProblem::TooLong));
    let withdrawn = deadline();
    withdrawn.cancel();
    assert_eq!(index.count(&Question::default(), By::App, 3, &withdrawn), Err(FindProblem::Cancelled));
    let nothing = Folder::new();
    assert!(matches!(Index::open_existing(&nothing.index()), Err(FindProblem::Missing { .. })));
}

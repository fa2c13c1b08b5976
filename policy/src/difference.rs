//! What changed between two versions of the policy, in words that whoever signs for it can read. Pure: it compares
//! what was written, not what follows from it.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::{AppFacts, Apps, Caps, CedarFile, Devices, Effect, PolicySource, Rule, SignInMethod, Subjects};

/// One difference, a sentence in each language.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// In Japanese.
    pub ja: String,
    /// In English.
    pub en: String,
}

impl Change {
    fn new(ja: String, en: String) -> Self {
        Self { ja, en }
    }
}

/// Every difference between two versions, rules first, in the order of their names. The order of rules decides
/// nothing, so it is no difference.
#[must_use]
pub fn difference(before: &PolicySource, after: &PolicySource) -> Vec<Change> {
    let mut changes = rules(&before.rules, &after.rules);
    changes.extend(files(&before.cedar, &after.cedar));
    changes.extend(apps(&before.apps, &after.apps));
    if before.console != after.console {
        changes.push(Change::new(
            "管理コンソールを使える役割が変わった".to_owned(),
            "who may use the console changed".to_owned(),
        ));
    }
    if before.offset != after.offset {
        changes.push(Change::new(
            format!("時刻の基準が {} から {} に変わった", before.offset, after.offset),
            format!("the clock's offset changed from {} to {}", before.offset, after.offset),
        ));
    }
    let dates = |source: &PolicySource| list(source.holidays.iter());
    if before.holidays != after.holidays {
        changes.push(Change::new(
            format!("休日が「{}」から「{}」に変わった", or_nothing(&dates(before)).0, or_nothing(&dates(after)).0),
            format!(
                "the holidays changed from `{}` to `{}`",
                or_nothing(&dates(before)).1,
                or_nothing(&dates(after)).1
            ),
        ));
    }
    changes
}

fn rules(before: &[Rule], after: &[Rule]) -> Vec<Change> {
    let named = |rules: &[Rule]| -> BTreeMap<String, Rule> {
        rules.iter().map(|rule| (rule.id.to_string(), rule.clone())).collect()
    };
    let (before, after) = (named(before), named(after));
    let mut changes = Vec::new();
    for (id, rule) in &before {
        match after.get(id) {
            None => changes.push(gone(id, rule)),
            Some(now) if now != rule => changes.extend(columns_that_differ(id, rule, now)),
            Some(_) => {}
        }
    }
    changes.extend(after.iter().filter(|(id, _)| !before.contains_key(*id)).map(|(id, rule)| added(id, rule)));
    changes
}

fn added(id: &str, rule: &Rule) -> Change {
    let (ja, en, _) = effect(rule);
    let what = sentence(rule);
    Change::new(format!("{ja}規則「{id}」が加わった: {what}"), format!("rule `{id}` was added, which {en}: {what}"))
}

fn gone(id: &str, rule: &Rule) -> Change {
    let (ja, _, en) = effect(rule);
    let what = sentence(rule);
    Change::new(format!("{ja}規則「{id}」がなくなった: {what}"), format!("rule `{id}` was removed, which {en}: {what}"))
}

/// What a rule does: in Japanese, and in English what it does and what it did.
fn effect(rule: &Rule) -> (&'static str, &'static str, &'static str) {
    match rule.effect {
        Effect::Permit => ("許可する", "permits", "permitted"),
        Effect::Forbid => ("禁じる", "forbids", "forbade"),
    }
}

/// One sentence for each column that was written otherwise.
fn columns_that_differ(id: &str, before: &Rule, after: &Rule) -> Vec<Change> {
    let after = columns(after);
    let differs = |(column, was): (Column, String), now: &String| {
        let (was, now) = (or_nothing(&was), or_nothing(now));
        Change::new(
            format!("規則「{id}」の{}が「{}」から「{}」に変わった", column.ja, was.0, now.0),
            format!("{} of rule `{id}` changed from `{}` to `{}`", column.en, was.1, now.1),
        )
    };
    columns(before)
        .into_iter()
        .zip(&after)
        .filter(|((_, was), (_, now))| was != now)
        .map(|(was, (_, now))| differs(was, now))
        .collect()
}

fn or_nothing(text: &str) -> (&str, &str) {
    if text.is_empty() { ("条件なし", "no condition") } else { (text, text) }
}

/// A column of the table, as people call it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Column {
    ja: &'static str,
    en: &'static str,
}

const fn column(ja: &'static str, en: &'static str) -> Column {
    Column { ja, en }
}

/// Every column of a row as it could be written; empty where it sets no condition. Always the same columns.
fn columns(rule: &Rule) -> Vec<(Column, String)> {
    // Named one by one: a column that is added must be said here too.
    let Rule {
        id: _,
        effect,
        subjects,
        apps,
        actions,
        classes,
        paths,
        devices,
        zones,
        hours,
        assurance,
        authenticated_within,
        methods,
        keys,
        posture,
        in_outage,
        grant,
        break_glass,
        caps,
    } = rule;
    let hours_text = hours.as_ref().map_or_else(String::new, |hours| {
        let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let days = list(hours.days.iter().map(|day| day.as_str()));
        format!("{days} {}-{}", time(hours.from_minute), time(hours.to_minute))
    });
    let effect = match effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    };
    vec![
        (column("効果", "the effect"), effect.to_owned()),
        (column("対象者", "whom it is about"), subjects_text(subjects)),
        (column("アプリ", "the apps"), apps_text(apps)),
        (column("操作", "the actions"), list(actions.iter().map(|action| action.as_str()))),
        (column("情報区分", "the information classes"), list(classes)),
        (column("パス", "the paths"), list(paths.iter().map(|path| path.as_str()))),
        (column("端末", "the devices"), devices_text(devices)),
        (column("区域", "the zones"), list(zones)),
        (column("曜日と時間", "days and hours"), hours_text),
        (column("本人確認の強さ", "the assurance"), assurance.map_or("", |level| level.as_str()).to_owned()),
        (
            column("本人確認からの時間", "the age of authentication"),
            authenticated_within.map_or_else(String::new, |within| format!("{}s", within.as_secs())),
        ),
        (column("サインインの方法", "the methods"), list(methods.iter().map(SignInMethod::as_str))),
        (column("鍵の機種", "the keys"), list(keys)),
        (column("端末の状態", "the posture"), list(posture)),
        (column("障害時", "whether it holds in an outage"), yes("in_outage", *in_outage)),
        (column("承認", "the approved exception"), yes("grant", *grant)),
        (column("緊急アクセス", "the broken glass"), yes("break_glass", *break_glass)),
        (
            column("1時間の上限", "the bounds of an hour"),
            caps.as_ref().map_or_else(String::new, |caps| caps_text(caps)),
        ),
    ]
}

fn yes(word: &str, is_so: bool) -> String {
    if is_so { word.to_owned() } else { String::new() }
}

fn caps_text(caps: &Caps) -> String {
    let told = [("requests_per_hour", caps.requests), ("patients_per_hour", caps.patients)];
    let bounds = told.iter().filter_map(|(word, bound)| bound.map(|bound| format!("{word} {bound}")));
    list(bounds.chain([format!("beyond {}", caps.beyond.as_str())]))
}

fn subjects_text(subjects: &Subjects) -> String {
    match subjects {
        Subjects::Anyone => "anyone".to_owned(),
        Subjects::SignedIn => "signed-in".to_owned(),
        Subjects::Roles(roles) => list(roles),
    }
}

fn apps_text(apps: &Apps) -> String {
    match apps {
        Apps::All => "all".to_owned(),
        Apps::Only(apps) => list(apps),
    }
}

fn devices_text(devices: &Devices) -> String {
    match devices {
        Devices::Any => String::new(),
        Devices::Known => "known".to_owned(),
        Devices::Classes(classes) => list(classes.iter().map(|class| class.as_str())),
    }
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// A whole row in the words of the configuration; its effect is told elsewhere.
fn sentence(rule: &Rule) -> String {
    let told = columns(rule).into_iter().skip(1).map(|(_, text)| text).filter(|text| !text.is_empty());
    told.collect::<Vec<_>>().join(" / ")
}

fn files(before: &[CedarFile], after: &[CedarFile]) -> Vec<Change> {
    let named = |files: &[CedarFile]| -> BTreeMap<String, String> {
        files.iter().map(|file| (file.name.clone(), file.text.clone())).collect()
    };
    let says = |name: &String, ja: &str, en: &str| {
        Change::new(format!("ポリシーファイル「{name}」が{ja}"), format!("the policy file `{name}` {en}"))
    };
    by_name(&named(before), &named(after), |name, how| match how {
        How::Added => says(name, "加わった", "was added"),
        How::Removed => says(name, "なくなった", "was removed"),
        How::Changed => says(name, "変わった", "changed"),
    })
}

fn apps(before: &[AppFacts], after: &[AppFacts]) -> Vec<Change> {
    let named = |apps: &[AppFacts]| -> BTreeMap<String, String> {
        // Whatever else the policy knows of an app: compared, not told.
        apps.iter().filter(|app| !app.built_in).map(|app| (app.id.to_string(), format!("{app:?}"))).collect()
    };
    let says = |name: &String, ja: &str, en: &str| {
        Change::new(format!("アプリ「{name}」{ja}"), format!("the app `{name}` {en}"))
    };
    by_name(&named(before), &named(after), |name, how| match how {
        How::Added => says(name, "が加わった", "was added"),
        How::Removed => says(name, "がなくなった", "was removed"),
        How::Changed => {
            says(name, "の経路・情報区分・記録のしかたが変わった", "has other routes, classes or ways of recording")
        }
    })
}

#[derive(Clone, Copy, Debug)]
enum How {
    Added,
    Removed,
    Changed,
}

fn by_name<T: PartialEq>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    say: impl Fn(&String, How) -> Change,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, was) in before {
        match after.get(name) {
            None => changes.push(say(name, How::Removed)),
            Some(now) if now != was => changes.push(say(name, How::Changed)),
            Some(_) => {}
        }
    }
    changes.extend(after.keys().filter(|name| !before.contains_key(*name)).map(|name| say(name, How::Added)));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{rule, rule_with, source};
    use crate::{Assurance, PathPattern};

    fn told(before: Vec<Rule>, after: Vec<Rule>) -> Vec<String> {
        let changes = difference(&source(before, ""), &source(after, ""));
        assert!(changes.iter().all(|change| !change.ja.is_empty()));
        changes.into_iter().map(|change| change.en).collect()
    }

    #[test]
    fn the_same_rules_in_another_order_are_no_difference() {
        let (one, two) = (rule("one", "nurse", "emr"), rule("two", "doctor", "pacs"));
        assert_eq!(told(vec![one.clone(), two.clone()], vec![two, one]), Vec::<String>::new());
    }

    #[test]
    fn rules_that_come_and_go_are_told_with_all_they_say() {
        let strict = rule_with("strict", |rule| rule.assurance = Some(Assurance::Aal2));
        let never = rule_with("never", |rule| rule.effect = Effect::Forbid);
        assert_eq!(
            told(vec![never], vec![strict]),
            [
                "rule `never` was removed, which forbade: nurse / emr / read",
                "rule `strict` was added, which permits: nurse / emr / read / aal2",
            ]
        );
    }

    #[test]
    fn each_column_that_was_written_otherwise_is_a_sentence() {
        let before = rule("one", "nurse", "emr");
        let after = rule_with("one", |rule| {
            rule.devices = Devices::Known;
            rule.paths = vec![PathPattern::parse("/fhir/*").unwrap()];
            rule.grant = true;
        });
        assert_eq!(
            told(vec![before.clone()], vec![after.clone()]),
            [
                "the paths of rule `one` changed from `no condition` to `/fhir/*`",
                "the devices of rule `one` changed from `no condition` to `known`",
                "the approved exception of rule `one` changed from `no condition` to `grant`",
            ]
        );
        let back = difference(&source(vec![after], ""), &source(vec![before], ""));
        assert_eq!(back[0].ja, "規則「one」のパスが「/fhir/*」から「条件なし」に変わった");
    }

    #[test]
    fn files_apps_and_holidays_are_told_by_name() {
        let before = source(vec![], "permit(principal, action, resource);");
        let mut after = source(vec![], "");
        after.apps.retain(|app| app.id.as_str() != "pacs");
        after.holidays = [crate::Date::parse("2026-11-23").unwrap()].into_iter().collect();
        let told: Vec<String> = difference(&before, &after).into_iter().map(|change| change.en).collect();
        assert_eq!(
            told,
            [
                "the policy file `extra.cedar` changed",
                "the app `pacs` was removed",
                "the holidays changed from `no condition` to `2026-11-23`",
            ]
        );
    }
}

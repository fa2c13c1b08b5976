//! A tally told to people: facts and tables in one language, which the forms of `render` write down, or in both, as it
//! is kept with a version.

use std::cmp::Reverse;

use policy::{Decision, Unstated, UtcOffset};
use web::{Language, ReplayTable as Table, ReplayText, Replayed};

use super::tally::{By, Change, Tally};

/// What was compared.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The institution.
    pub facility: String,
    /// The file of the policy in force, and its revision.
    pub active: String,
    /// The file of the proposed policy, and its revision.
    pub proposed: String,
    /// The hospital's clock.
    pub offset: UtcOffset,
    /// When it was compared.
    pub at: policy::Timestamp,
}

/// One of two texts.
fn one<'t>(language: Language, ja: &'t str, en: &'t str) -> &'t str {
    match language {
        Language::Japanese => ja,
        Language::English => en,
    }
}

/// How many rows of a table are kept with a version.
const KEPT_ROWS_MAX: usize = 200;
/// The same, where the tables would otherwise be larger than what is kept.
const KEPT_ROWS_FEW: usize = 20;

/// Tells a tally in both languages, as it is kept with a version; of long tables the first rows.
pub fn kept(tally: &Tally, compared: &Compared, versions: (String, String)) -> Replayed {
    let cut = |rows_max: usize| {
        let told = |language| {
            let text = report(tally, compared, language);
            let tables = text.tables.into_iter().map(|table| table.cut(rows_max)).collect();
            ReplayText { tables, ..text }
        };
        let count = (tally.judged(), tally.changed());
        Replayed::new(versions.clone(), count, told(Language::Japanese), told(Language::English))
    };
    let whole = cut(KEPT_ROWS_MAX);
    if whole.text().len() <= web::REPLAY_BYTES_MAX { whole } else { cut(KEPT_ROWS_FEW) }
}

/// Tells a tally.
pub fn report(tally: &Tally, compared: &Compared, language: Language) -> ReplayText {
    let t = |ja, en| one(language, ja, en).to_owned();
    let mut tables = vec![answers(tally, language), groups(tally, language)];
    tables.extend(By::ALL.into_iter().map(|by| counted(tally, by, language)));
    ReplayText {
        title: t("方針案を過去の記録で試した結果", "A proposed policy over recorded accesses"),
        facts: facts(tally, compared, language),
        remarks: remarks(tally, language),
        tables,
    }
}

fn facts(tally: &Tally, compared: &Compared, language: Language) -> Vec<(String, String)> {
    let t = |ja, en| one(language, ja, en).to_owned();
    let moment = |at: policy::Timestamp| at.rfc3339(compared.offset);
    let span = tally.span.map(|(first, last)| format!("{} – {}", moment(first), moment(last)));
    let (judged, changed) = (tally.judged(), tally.changed());
    let mut facts = vec![
        (t("施設", "Institution"), compared.facility.clone()),
        (t("今の方針", "In force"), compared.active.clone()),
        (t("方針案", "Proposed"), compared.proposed.clone()),
        (t("記録の期間", "Records"), span.unwrap_or_else(|| t("なし", "none"))),
        (t("試した日時", "Replayed at"), moment(compared.at)),
        (t("判定したアクセス", "Accesses judged"), judged.to_string()),
        (t("結果が変わるもの", "Would change"), changed.to_string()),
        (t("結果が変わらないもの", "Would stay"), (judged - changed.min(judged)).to_string()),
    ];
    for (missing, count) in &tally.undecidable {
        let what = match missing {
            Unstated::Authentication => {
                t("判定できないもの (本人確認の時刻の記録なし)", "Not decidable (no moment of sign-in)")
            }
            Unstated::Posture => t("判定できないもの (端末の状態の記録なし)", "Not decidable (no posture recorded)"),
        };
        facts.push((what, count.to_string()));
    }
    if tally.unreadable > 0 {
        facts.push((t("読めなかった行", "Lines that could not be read"), tally.unreadable.to_string()));
    }
    facts
}

fn remarks(tally: &Tally, language: Language) -> Vec<String> {
    let t = |ja, en| one(language, ja, en).to_owned();
    let mut remarks = vec![
        t(
            "1時間あたりの上限は数えていません。どのアプリの要求かは、記録のとおりとしています。",
            "Caps per hour are not counted. Which app a request is for is taken from the record.",
        ),
        t("役割が2つある職員は、両方の役割で数えています。", "Somebody with two roles counts under both."),
    ];
    if tally.drifted > 0 {
        let drifted = tally.drifted;
        remarks.push(match language {
            Language::Japanese => format!(
                "{drifted}件は、今の方針でも記録と違う結果になります。記録の後に方針が変わったか、上限で拒まれたものです。"
            ),
            Language::English => format!(
                "{drifted} accesses are answered by the policy in force otherwise than they were then: it changed \
                 since, or a cap refused them."
            ),
        });
    }
    if !tally.undecidable.is_empty() {
        remarks.push(t(
            "判定できないものは、古い版の記録です。結果には含めていません。",
            "What is not decidable was recorded by an older version. It is in none of the figures.",
        ));
    }
    remarks
}

/// A decision in words.
pub fn decision(decision: Decision, language: Language) -> String {
    let (ja, en) = match decision {
        Decision::Allow => ("許可", "allowed"),
        Decision::SignIn => ("サインイン要求", "asked to sign in"),
        Decision::StepUp => ("再度の本人確認", "asked to step up"),
        Decision::Deny => ("拒否", "denied"),
    };
    one(language, ja, en).to_owned()
}

fn answers(tally: &Tally, language: Language) -> Table {
    let t = |ja, en| one(language, ja, en).to_owned();
    let row = |((now, then), count): (&Change, &u64)| {
        let changes = if now == then { String::new() } else { t("変わる", "changes") };
        vec![decision(*now, language), decision(*then, language), count.to_string(), changes]
    };
    Table {
        title: t("判定の結果", "Answers"),
        headings: vec![t("今の方針", "In force"), t("方針案", "Proposed"), t("件数", "Accesses"), String::new()],
        rows: tally.answers.iter().map(row).collect(),
        left: 0,
    }
}

fn groups(tally: &Tally, language: Language) -> Table {
    let t = |ja, en| one(language, ja, en).to_owned();
    let mut groups: Vec<_> = tally.groups.iter().collect();
    groups.sort_by_key(|(group, grouped)| (Reverse(grouped.accesses), (*group).clone()));
    let row = |(group, grouped): (&super::tally::Group, &super::tally::Grouped)| {
        vec![
            decision(group.change.0, language),
            decision(group.change.1, language),
            group.app.to_string(),
            group.class.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            group.action.as_str().to_owned(),
            group.rule_now.to_string(),
            group.rule_then.to_string(),
            group.reason.map_or("-", policy::Reason::code).to_owned(),
            grouped.accesses.to_string(),
            grouped.people.len().to_string(),
            grouped.example.to_string(),
        ]
    };
    Table {
        title: t("変わるもの", "What would change"),
        headings: vec![
            t("今の方針", "In force"),
            t("方針案", "Proposed"),
            t("アプリ", "App"),
            t("情報区分", "Class"),
            t("操作", "Action"),
            t("今の規則", "Rule now"),
            t("案の規則", "Rule then"),
            t("理由", "Reason"),
            t("件数", "Accesses"),
            t("人数", "People"),
            t("例 (要求番号)", "Example (request)"),
        ],
        rows: groups.into_iter().map(row).collect(),
        left: 0,
    }
}

fn counted(tally: &Tally, by: By, language: Language) -> Table {
    let t = |ja, en| one(language, ja, en).to_owned();
    let (title, heading) = match by {
        By::Role => (t("職種・役割ごと", "By role"), t("役割", "Role")),
        By::App => (t("アプリごと", "By app"), t("アプリ", "App")),
        By::Class => (t("情報区分ごと", "By information class"), t("情報区分", "Class")),
        By::DeviceClass => (t("端末の種類ごと", "By device class"), t("端末の種類", "Device class")),
        By::Person => (t("職員ごと", "By person"), t("職員", "Person")),
    };
    let nothing = match by {
        By::Role | By::Person => t("(サインイン前)", "(nobody signed in)"),
        By::App => "-".to_owned(),
        By::Class => t("(区分なし)", "(not classified)"),
        By::DeviceClass => t("(登録外の端末)", "(no known device)"),
    };
    let Some(counts) = tally.by.get(&by) else {
        return Table { title, headings: vec![heading], ..Table::default() };
    };
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|(what, changes)| (Reverse(changes.values().sum::<u64>()), (*what).clone()));
    let row = |(what, changes): (&Option<String>, &std::collections::BTreeMap<Change, u64>)| {
        let sum = |wanted: fn(&Change) -> bool| {
            changes.iter().filter(|(change, _)| wanted(change)).map(|(_, count)| count).sum::<u64>().to_string()
        };
        let named =
            what.as_ref().map(|what| tally.names.get(what).filter(|_| by == By::Person).unwrap_or(what).clone());
        vec![
            named.unwrap_or_else(|| nothing.clone()),
            sum(|(_, then)| *then == Decision::Allow),
            sum(|(now, then)| *now == Decision::Allow && *then == Decision::Deny),
            sum(|(now, then)| *now == Decision::Allow && matches!(then, Decision::SignIn | Decision::StepUp)),
            sum(|(now, then)| *now != Decision::Allow && *then != Decision::Allow),
        ]
    };
    Table {
        title,
        headings: vec![
            heading,
            t("新たに許可", "newly allowed"),
            t("新たに拒否", "newly denied"),
            t("新たに本人確認", "newly asked to prove"),
            t("断り方が変わる", "refused otherwise"),
        ],
        rows: rows.into_iter().map(row).collect(),
        left: 0,
    }
}

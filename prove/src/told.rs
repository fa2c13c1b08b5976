//! Findings told to people, in Japanese or English, and to programs.

use std::fmt::Write as _;

use config::{Names, Statement};
use policy::{Access, Action, DeviceClass, GrantKind, InfoClass, RoleId, UtcOffset, Weekday};
use serde_json::{Value, json};

use crate::finding::{Finding, Outcome, Undecided, Witness};
use crate::prove::Around;

/// For whom findings are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// 日本語
    Japanese,
    /// English
    English,
}

impl Language {
    fn of(self, names: &Names) -> &str {
        match self {
            Self::Japanese => &names.ja,
            Self::English => &names.en,
        }
    }

    fn pick(self, japanese: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Japanese => japanese,
            Self::English => english,
        }
    }
}

/// A finding as people read it, of one or several lines.
#[must_use]
pub fn text(around: &Around<'_>, statement: &Statement, finding: &Finding, language: Language) -> String {
    let says = format!("{}: {}", statement.id, language.of(&statement.says));
    match &finding.outcome {
        Outcome::Proved => format!("{}  {says}", language.pick("証明済み", "proved")),
        Outcome::Undecided(reason) => {
            format!("{}  {says}\n    {}", language.pick("決まらず", "undecided"), undecided(reason, language))
        }
        Outcome::Broken(witness) => {
            let lines: String = broken(around, witness, language).iter().fold(String::new(), |mut lines, line| {
                // Writing into a `String` cannot fail.
                let _ = write!(lines, "\n    {line}");
                lines
            });
            format!("{}  {says}{lines}", language.pick("破れあり", "BROKEN"))
        }
    }
}

fn undecided(reason: &Undecided, language: Language) -> String {
    let japanese = language == Language::Japanese;
    match reason {
        Undecided::Unanswered(said) if japanese => format!("ソルバーが答えませんでした: {said}"),
        Undecided::Unanswered(said) => format!("the solver gave no answer: {said}"),
        Undecided::NoRequest(place) if japanese => {
            format!("破れそうな場合が見つかりましたが、そうなる要求は作れませんでした: {place}")
        }
        Undecided::NoRequest(place) => format!("a case was found, and no request that makes it: {place}"),
        Undecided::NothingToCompare if japanese => {
            "比べる前の版がありません。`--last FILE` で示してください".to_owned()
        }
        Undecided::NothingToCompare => "there is no last version to compare with; name one by `--last FILE`".to_owned(),
        Undecided::RoutesChanged(app) if japanese => {
            format!(
                "`{app}` の経路が変わり、前の版には要求の内容をまるごと見る規則があるため、比べられません。`sekimori policy replay` で確かめてください"
            )
        }
        Undecided::RoutesChanged(app) => {
            format!(
                "the routes of `{app}` changed, and a rule of the last version reads its context as a whole, so they \
                 cannot be compared; try `sekimori policy replay`"
            )
        }
    }
}

/// The request that breaks a statement, and how to ask for it oneself.
fn broken(around: &Around<'_>, witness: &Witness, language: Language) -> Vec<String> {
    let Witness { access, rule } = witness;
    let at = access.at.local(around.offset());
    let when = format!(
        "{} {:04}-{:02}-{:02} {:02}:{:02}",
        weekday(at.weekday, language),
        at.year,
        at.month,
        at.day,
        at.minute_of_day / 60,
        at.minute_of_day % 60
    );
    let request = format!("{} https://{}{}", access.method, access.host, access.path.as_str());
    let class = access.class.as_ref().map_or_else(
        || language.pick("区分なし", "not classified").to_owned(),
        |class| around.class_name(class).map_or(class.as_str(), |names| language.of(names)).to_owned(),
    );
    let does = format!("{} / {class}", action(access.action, language));
    let who = person(around, access, language);
    let device = access.device.as_ref().map_or_else(
        || language.pick("台帳にない端末", "a device that is not in the ledger").to_owned(),
        |device| device_class(device.class, language).to_owned(),
    );
    let zone = &access.from.zone;
    let mut lines = match language {
        Language::Japanese => vec![
            format!("規則 `{rule}` が次の要求を許します:"),
            format!("{request}  ({does})"),
            format!("利用者: {who}"),
            format!("端末: {device}、区域: {zone}、日時: {when}"),
        ],
        Language::English => vec![
            format!("the rule `{rule}` allows this request:"),
            format!("{request}  ({does})"),
            format!("by {who}"),
            format!("from {device}, zone {zone}, {when}"),
        ],
    };
    lines.push(format!("$ {}", explain(access, around.offset())));
    lines
}

fn person(around: &Around<'_>, access: &Access, language: Language) -> String {
    let Some(who) = &access.who else {
        return language.pick("サインインしていない人", "nobody signed in").to_owned();
    };
    let named = |role: &RoleId| around.role_name(role).map_or(role.as_str(), |names| language.of(names)).to_owned();
    let roles: Vec<_> = who.roles.iter().map(named).collect();
    let roles = if roles.is_empty() { language.pick("職種なし", "no role").to_owned() } else { roles.join(" + ") };
    let grant = match (&access.grant, language) {
        (None, _) => String::new(),
        (Some(grant), Language::Japanese) => format!("、一時的な許可 {}", grant.id),
        (Some(grant), Language::English) => format!(", under the grant {}", grant.id),
    };
    let sure = who.assurance.as_str();
    match language {
        Language::Japanese => format!("{roles} (認証の強さ {sure}{grant})"),
        Language::English => format!("somebody who is {roles} (recognised at {sure}{grant})"),
    }
}

fn weekday(day: Weekday, language: Language) -> &'static str {
    match day {
        Weekday::Monday => language.pick("月曜", "Monday"),
        Weekday::Tuesday => language.pick("火曜", "Tuesday"),
        Weekday::Wednesday => language.pick("水曜", "Wednesday"),
        Weekday::Thursday => language.pick("木曜", "Thursday"),
        Weekday::Friday => language.pick("金曜", "Friday"),
        Weekday::Saturday => language.pick("土曜", "Saturday"),
        Weekday::Sunday => language.pick("日曜", "Sunday"),
    }
}

/// The same question for `sekimori policy explain`.
fn explain(access: &Access, offset: UtcOffset) -> String {
    let mut words = vec!["sekimori policy explain".to_owned()];
    let mut word = |flag: &str, value: &str| words.push(format!("--{flag} {value}"));
    for role in access.who.iter().flat_map(|who| who.roles.iter()) {
        word("role", role.as_str());
    }
    if let Some(who) = &access.who {
        word("assurance", who.assurance.as_str());
    }
    if let Some(device) = &access.device {
        word("device", device.class.as_str());
    }
    word("app", access.app.as_str());
    word("method", access.method.as_str());
    word("path", &format!("'{}'", access.path.as_str()));
    word("zone", access.from.zone.as_str());
    let at = access.at.local(offset);
    let (hour, minute) = (at.minute_of_day / 60, at.minute_of_day % 60);
    word("at", &format!("'{:04}-{:02}-{:02} {hour:02}:{minute:02}'", at.year, at.month, at.day));
    match access.grant.as_ref().map(|grant| grant.kind) {
        Some(GrantKind::Maintenance) => words.push("--grant".to_owned()),
        Some(GrantKind::Glass) => words.push("--break-glass".to_owned()),
        None => {}
    }
    words.join(" ")
}

fn action(action: Action, language: Language) -> &'static str {
    match action {
        Action::Read => language.pick("読み取り", "read"),
        Action::Search => language.pick("検索", "search"),
        Action::Write => language.pick("書き込み", "write"),
        Action::Delete => language.pick("削除", "delete"),
        Action::Export => language.pick("書き出し", "export"),
        Action::Connect => language.pick("接続", "connect"),
    }
}

fn device_class(class: DeviceClass, language: Language) -> &'static str {
    match class {
        DeviceClass::Fixed => language.pick("固定端末", "a fixed terminal"),
        DeviceClass::WardShared => language.pick("病棟の共用端末", "a shared ward terminal"),
        DeviceClass::Tablet => language.pick("タブレット", "a tablet"),
        DeviceClass::DedicatedRemote => language.pick("院外用の貸出端末", "a terminal lent for outside"),
        DeviceClass::Byod => language.pick("私物の端末", "somebody's own device"),
        DeviceClass::Vendor => language.pick("業者の端末", "a vendor's device"),
        DeviceClass::Machine => language.pick("医療機器など", "a machine"),
    }
}

/// A finding for programs.
#[must_use]
pub fn json(around: &Around<'_>, statement: &Statement, finding: &Finding) -> Value {
    let (outcome, detail) = match &finding.outcome {
        Outcome::Proved => ("proved", Value::Null),
        Outcome::Broken(witness) => ("broken", witness_json(around, witness)),
        Outcome::Undecided(reason) => ("undecided", undecided(reason, Language::English).into()),
    };
    json!({
        "statement": statement.id.as_str(),
        "says": { "ja": statement.says.ja, "en": statement.says.en },
        "outcome": outcome,
        "detail": detail,
        "questions": finding.questions,
        "milliseconds": u64::try_from(finding.took.as_millis()).unwrap_or(u64::MAX),
    })
}

fn witness_json(around: &Around<'_>, Witness { access, rule }: &Witness) -> Value {
    let person = access.who.as_ref().map(|who| {
        let age = access.at.since(who.authenticated_at).as_secs();
        json!({
            "user": who.user.as_str(),
            "roles": who.roles.iter().map(RoleId::as_str).collect::<Vec<_>>(),
            "assurance": who.assurance.as_str(),
            "methods": who.methods.to_string(),
            "key_model": who.key_model.map(|model| model.to_string()),
            "in_outage": who.in_outage,
            "auth_age_seconds": age,
        })
    });
    let device = access.device.as_ref().map(|device| {
        let posture: Vec<_> = device.posture.iter().map(|fact| format!("{}={}", fact.name, fact.value)).collect();
        json!({ "id": device.id.as_str(), "class": device.class.as_str(), "posture": posture })
    });
    json!({
        "rule": rule.as_str(),
        "app": access.app.as_str(),
        "host": access.host.as_str(),
        "method": access.method.as_str(),
        "path": access.path.as_str(),
        "action": access.action.as_str(),
        "class": access.class.as_ref().map(InfoClass::as_str),
        "person": person,
        "device": device,
        "zone": access.from.zone.as_str(),
        "address": access.from.address.to_string(),
        "grant": access.grant.as_ref().map(|grant| grant.id.as_str()),
        "at": access.at.rfc3339(around.offset()),
    })
}

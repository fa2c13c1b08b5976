//! The chart list and the charts, as HTML.

use http::StatusCode;
use policy::{Timestamp, UtcOffset};
use serde_json::Value;

use super::super::answer::{self, Answer};
use super::super::asked::Asked;
use super::super::language::Language;
use super::super::page::{self, Content, Part, escape};
use super::super::patients::{self, Patient};
use super::caller::Caller;
use super::records::{Kind, Note, RecordProblem, Records, text};

/// The longest note, in characters.
const NOTE_LETTERS_MAX: usize = 2_000;

/// Who is signed in, for the right of the header.
pub(super) fn aside(caller: &Caller, language: Language) -> String {
    let proof = language.say("署名を検証済み", "signature verified");
    let device = caller.device.as_deref().unwrap_or_else(|| language.say("端末証明なし", "no device certificate"));
    format!(
        "<span>{} <span class=\"soft\">({} / {})</span></span> <span class=\"tag good\">{proof}</span>",
        escape(&caller.name),
        escape(&caller.roles.join(", ")),
        escape(device)
    )
}

/// The list of charts, narrowed by `q`: a number, or the beginning of a name.
pub(super) fn list(records: &Records, asked: &Asked, caller: &Caller, language: Language) -> Answer {
    let wanted = asked.query.one("q").unwrap_or_default().trim().to_owned();
    let rows: String = records
        .all(Kind::Patient)
        .filter(|patient| is_wanted(patient, &wanted))
        .map(|patient| list_row(&patient, language))
        .collect();
    let found = if rows.is_empty() {
        format!("<p class=\"notice\">{}</p>", language.say("該当する患者はいません。", "No patient fits."))
    } else {
        let head = [
            language.say("患者番号", "Number"),
            language.say("氏名", "Name"),
            language.say("フリガナ", "In kana"),
            language.say("性別", "Sex"),
            language.say("生年月日", "Born"),
        ];
        let head: String = head.iter().map(|text| format!("<th scope=\"col\">{text}</th>")).collect();
        format!("<div class=\"wide\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>")
    };
    let main = format!(
        "<form method=\"get\" action=\"/\" role=\"search\"><label for=\"q\">{}</label>\
         <input id=\"q\" name=\"q\" value=\"{}\"><button>{}</button></form>\n{found}\n\
         <p><a href=\"/live\">{}</a></p>",
        language.say("患者番号または氏名", "Number or name"),
        escape(&wanted),
        language.say("検索", "Search"),
        language.say("バイタルのライブ表示", "Live vital signs"),
    );
    let title = language.say("患者一覧", "Patients");
    show(title, &main, caller, language)
}

fn is_wanted(patient: &Value, wanted: &str) -> bool {
    let names = ["/name/0/text", "/name/1/text", "/name/2/text"].map(|place| text(patient, place).to_lowercase());
    let number = patients::parse_number(wanted).filter(|_| !wanted.is_empty());
    number.is_some_and(|number| patients::parse_number(text(patient, "/id")) == Some(number))
        || names.iter().any(|name| name.contains(&wanted.to_lowercase()))
}

fn list_row(patient: &Value, language: Language) -> String {
    let cell = |pointer: &str| escape(text(patient, pointer));
    format!(
        "<tr><td><a href=\"/charts/{id}\">{id}</a></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escape(name(patient, language)),
        cell("/name/1/text"),
        sex(patient, language),
        cell("/birthDate"),
        id = cell("/id"),
    )
}

fn name(patient: &Value, language: Language) -> &str {
    let place = match language {
        Language::Japanese => "/name/0/text",
        Language::English => "/name/2/text",
    };
    text(patient, place)
}

fn sex(patient: &Value, language: Language) -> &'static str {
    match text(patient, "/gender") {
        "male" => language.say("男", "male"),
        "female" => language.say("女", "female"),
        _ => "-",
    }
}

/// One chart: the patient, the observations, the notes, and a form for the next note.
pub(super) fn chart(records: &Records, id: &str, caller: &Caller, language: Language) -> Answer {
    let Some(patient) = records.read(Kind::Patient, id) else { return no_chart(language) };
    let reference = format!("Patient/{id}");
    let about = records.all(Kind::Observation).filter(|one| text(one, "/subject/reference") == reference);
    let rows: String = about.map(|observation| observation_row(&observation)).collect();
    let notes: String = records.notes(id).iter().rev().map(note_item).collect();
    let main = format!(
        "<dl><dt>{}</dt><dd>{id}</dd><dt>{}</dt><dd>{} / {}</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd>{}</dl>\n\
         <h2>{}</h2><div class=\"wide\"><table><tbody>{rows}</tbody></table></div>\n\
         <p><a href=\"/live?patient={id}\">{}</a></p>\n<h2>{}</h2><ul class=\"notes\">{notes}</ul>\n\
         <form method=\"post\" action=\"/charts/{id}/notes\"><label for=\"text\">{}</label>\
         <textarea id=\"text\" name=\"text\" required maxlength=\"{NOTE_LETTERS_MAX}\"></textarea>\
         <button>{}</button></form>",
        language.say("患者番号", "Number"),
        language.say("氏名", "Name"),
        escape(text(&patient, "/name/0/text")),
        escape(text(&patient, "/name/2/text")),
        language.say("性別", "Sex"),
        sex(&patient, language),
        language.say("生年月日", "Born"),
        escape(text(&patient, "/birthDate")),
        place(id, language),
        language.say("観察", "Observations"),
        language.say("バイタルのライブ表示", "Live vital signs"),
        language.say("経過記録", "Notes"),
        language.say("記録を書く", "Write a note"),
        language.say("保存", "Save"),
        id = escape(id),
    );
    show(name(&patient, language), &main, caller, language)
}

/// Ward and bed, for those who lie in one.
fn place(id: &str, language: Language) -> String {
    let number = patients::parse_number(id);
    let bed = |patient: Patient| {
        let label = language.say("病棟・床", "Ward, bed");
        format!("<dt>{label}</dt><dd>{}-{:02}</dd>", patient.ward, patient.bed)
    };
    patients::all().find(|patient| Some(patient.number) == number).map(bed).unwrap_or_default()
}

fn observation_row(observation: &Value) -> String {
    format!(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"soft\">{}</td></tr>",
        escape(text(observation, "/code/text")),
        escape(&value(observation)),
        escape(text(observation, "/effectiveDateTime").get(..16).unwrap_or_default().replace('T', " ").as_str())
    )
}

/// What was measured, with its unit; two values for a blood pressure.
fn value(observation: &Value) -> String {
    let quantity = |holder: &Value| {
        let number = holder.pointer("/valueQuantity/value").map(ToString::to_string).unwrap_or_default();
        (number, text(holder, "/valueQuantity/unit").to_owned())
    };
    match observation.get("component").and_then(Value::as_array).map(Vec::as_slice) {
        Some([upper, lower]) => format!("{} / {} {}", quantity(upper).0, quantity(lower).0, quantity(lower).1),
        Some(_) | None => {
            let (number, unit) = quantity(observation);
            format!("{number} {unit}")
        }
    }
}

fn note_item(note: &Note) -> String {
    let at = note.at.rfc3339(UtcOffset::JAPAN);
    let at = at.get(..16).unwrap_or_default().replace('T', " ");
    format!("<li><span class=\"soft\">{at} {}</span>\n{}</li>", escape(&note.author), escape(&note.text))
}

/// Takes a posted note and goes back to the chart.
pub(super) fn add_note(
    records: &mut Records,
    asked: &Asked,
    id: &str,
    caller: &Caller,
    language: Language,
    at: Timestamp,
) -> Answer {
    // A form of another site: browsers say so, and nothing else sends this header.
    if matches!(asked.header("sec-fetch-site"), "cross-site" | "same-site") {
        return answer::problem(StatusCode::FORBIDDEN, "the form was posted from another site");
    }
    let form = asked.form();
    let words = form.one("text").unwrap_or_default().trim();
    if words.is_empty() || words.chars().count() > NOTE_LETTERS_MAX {
        let title = language.say("保存していません", "Not saved");
        let text = language.say("記録は1文字以上2,000文字以下です。", "A note has 1 to 2,000 characters.");
        return page::trouble(StatusCode::BAD_REQUEST, Part::Emr, language, title, text);
    }
    let note = Note { at, author: caller.name.clone(), text: words.to_owned() };
    match records.add_note(id, note) {
        Ok(()) => answer::see_other(&format!("/charts/{id}")),
        Err(RecordProblem::NoPatient) => no_chart(language),
        Err(problem @ RecordProblem::Full) => answer::problem(StatusCode::INSUFFICIENT_STORAGE, &problem.to_string()),
    }
}

fn no_chart(language: Language) -> Answer {
    let title = language.say("カルテがありません", "No such chart");
    let text = language.say("患者番号を確かめてください。", "Check the patient number.");
    page::trouble(StatusCode::NOT_FOUND, Part::Emr, language, title, text)
}

fn show(title: &str, main: &str, caller: &Caller, language: Language) -> Answer {
    let aside = aside(caller, language);
    page::page(StatusCode::OK, Part::Emr, language, &Content { title, aside: &aside, main, script: None })
}

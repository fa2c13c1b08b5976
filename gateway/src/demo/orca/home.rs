//! The page at `/`: what the receipt computer answers, with links to try.

use http::StatusCode;

use super::super::answer::Answer;
use super::super::asked::Asked;
use super::super::language::Language;
use super::super::page::{self, Content, Part};
use super::super::patients;

/// Patients that the page links to.
const SHOWN: usize = 5;

/// The page.
pub(super) fn page(asked: &Asked) -> Answer {
    let language = Language::of(&asked.headers);
    let row = |patient: patients::Patient| {
        let (number, kanji) = (patient.number, patient.kanji());
        let get = format!("/api01rv2/patientgetv2?id={number}");
        format!(
            "<tr><td>{number:05}</td><td>{kanji}</td><td><a href=\"{get}\">xml2</a></td>\
             <td><a href=\"{get}&amp;format=json\">JSON</a></td></tr>"
        )
    };
    let rows: String = patients::all().take(SHOWN).map(row).collect();
    let main = format!(
        "<p>{}</p>\n<div class=\"wide\"><table><tbody>{rows}</tbody></table></div>\n<h2>{}</h2>\n\
         <div class=\"wide\"><pre><code>POST /api01rv2/patientlst2v2?class=01\nPOST /api01rv2/patientlst3v2?class=01\n\
         POST /api01rv2/system01lstv2?class=01</code></pre></div>",
        language
            .say("日レセ API の一部を、架空の患者で再現しています。", "Parts of the ORCA API, with invented patients."),
        language.say("そのほかの API", "More of the API"),
    );
    let title = language.say("患者基本情報の取得", "Reading a patient");
    page::page(StatusCode::OK, Part::Orca, language, &Content { title, aside: "", main: &main, script: None })
}

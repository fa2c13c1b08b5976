//! The page that shows vital signs as they come, once by server-sent events and once by WebSocket. When the gateway
//! ends a session, both stop here within a second.

use http::StatusCode;

use super::super::answer::{self, Answer};
use super::super::language::Language;
use super::super::page::{self, Content, Part};
use super::caller::Caller;
use super::chart::aside;

const SCRIPT: &str = include_str!("live.js");

/// The script of the page.
pub(super) fn script() -> Answer {
    answer::of_type(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT)
}

/// The page; which patient it shows is read by the script from its address.
pub(super) fn page(caller: &Caller, language: Language) -> Answer {
    let waiting = language.say("待っています…", "waiting…");
    let ended = language.say("切断されました", "ended");
    let card = |id: &str, name: &str| {
        format!(
            "<li class=\"card\"><strong>{name}</strong>\
             <p class=\"live\" id=\"{id}\" data-ended=\"{ended}\" aria-live=\"off\">{waiting}</p></li>"
        )
    };
    let main = format!(
        "<ul class=\"cards\">{}{}</ul><p><a href=\"/\">{}</a></p>",
        card("events", "Server-sent events"),
        card("socket", "WebSocket"),
        language.say("患者一覧へ戻る", "Back to the patients"),
    );
    let aside = aside(caller, language);
    let title = language.say("バイタルのライブ表示", "Live vital signs");
    let content = Content { title, aside: &aside, main: &main, script: Some("/assets/live.js") };
    page::page(StatusCode::OK, Part::Emr, language, &content)
}

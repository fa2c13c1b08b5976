//! A notice in words.

use config::{Config, NoticeLanguage};

use super::{By, Told, ToldFact};
use crate::glass::glass_reason;
use crate::notice::wall_clock;
use crate::site::said;
use crate::{Language, PolicyWords, WordBook};

/// A notice in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoticeText {
    /// In one line.
    pub subject: String,
    /// The whole, line by line.
    pub lines: Vec<String>,
}

impl WordBook {
    /// Puts an event into words.
    #[must_use]
    pub fn notice(&self, told: &Told, language: NoticeLanguage, config: &Config) -> NoticeText {
        let words = self.words(language.into(), config);
        let what = words.say(&format!("notice-event-{}", told.code()));
        let subject = words
            .voice
            .say_all("notice-subject", &[("what", &about(told, &what, words)), ("facility", &config.facility.name)]);
        let mut lines = vec![what, String::new()];
        let mut line = |key: &str, value: String| {
            lines.push(words.voice.say_all("notice-line", &[("label", &words.say(key)), ("value", &value)]))
        };
        line("notice-label-at", wall_clock(told.at, config.offset));
        for fact in &told.facts {
            line(&format!("notice-label-{}", fact.code()), value(fact, words));
        }
        line("notice-label-by", by(&told.by, words));
        line("notice-label-facility", config.facility.name.clone());
        if let Some(link) = told.link(config) {
            line("notice-label-link", link);
        }
        lines.extend([String::new(), words.say("notice-foot")]);
        NoticeText { subject, lines }
    }
}

impl From<NoticeLanguage> for Language {
    fn from(language: NoticeLanguage) -> Self {
        match language {
            NoticeLanguage::Japanese => Self::Japanese,
            NoticeLanguage::English => Self::English,
        }
    }
}

/// What happened, and to whom or what.
fn about(told: &Told, what: &str, words: PolicyWords<'_>) -> String {
    let facts: Vec<String> = told.facts.iter().filter(|fact| is_telling(fact)).map(|fact| value(fact, words)).collect();
    if facts.is_empty() {
        return what.to_owned();
    }
    words.voice.say_all("notice-about", &[("what", what), ("facts", &facts.join(" / "))])
}

/// Whether a fact belongs into the one line that everybody reads.
fn is_telling(fact: &ToldFact) -> bool {
    match fact {
        ToldFact::Person { .. }
        | ToldFact::App(_)
        | ToldFact::Device(_)
        | ToldFact::Provider(_)
        | ToldFact::Version(_)
        | ToldFact::Duty(_) => true,
        ToldFact::Grant(_)
        | ToldFact::Begin(_)
        | ToldFact::End(_)
        | ToldFact::Reason(_)
        | ToldFact::Due(_)
        | ToldFact::Verdict(_) => false,
    }
}

fn value(fact: &ToldFact, words: PolicyWords<'_>) -> String {
    let language = words.voice.language();
    match fact {
        ToldFact::Person { name, login } => format!("{name} ({login})"),
        ToldFact::App(id) => {
            let app = words.config.apps.iter().find(|app| app.id == *id);
            app.map_or_else(|| id.to_string(), |app| said(&app.name, language).to_owned())
        }
        ToldFact::Device(id) => id.to_string(),
        ToldFact::Provider(id) => {
            let provider = words.config.providers.iter().find(|provider| provider.id == *id);
            provider.map_or_else(|| id.to_string(), |provider| said(&provider.name, language).to_owned())
        }
        ToldFact::Version(number) => number.to_string(),
        ToldFact::Grant(id) => id.to_string(),
        ToldFact::Begin(at) | ToldFact::End(at) | ToldFact::Due(at) => wall_clock(*at, words.config.offset),
        ToldFact::Reason(code) => glass_reason(words.config, code, language),
        ToldFact::Duty(duty) => words.say(&format!("notice-duty-{}", duty.as_str())),
        ToldFact::Verdict(verdict) => words.say(&format!("glass-verdict-{}", verdict.as_str())),
    }
}

fn by(by: &By, words: PolicyWords<'_>) -> String {
    match by {
        By::Person { name, login } => format!("{name} ({login})"),
        By::Machine(name) => words.say_with("console-actor-cli", "name", name),
        By::Gateway => words.say("console-actor-gateway"),
    }
}

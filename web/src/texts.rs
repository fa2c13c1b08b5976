//! The words of our pages in both languages, from `text/*.ftl`.

use std::fmt;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

use crate::Language;

const JAPANESE: &[&str] = &[
    include_str!("../text/ja.ftl"),
    include_str!("../text/console.ja.ftl"),
    include_str!("../text/policy.ja.ftl"),
    include_str!("../text/log.ja.ftl"),
    include_str!("../text/maintenance.ja.ftl"),
    include_str!("../text/connect.ja.ftl"),
    include_str!("../text/terminal.ja.ftl"),
    include_str!("../text/recording.ja.ftl"),
    include_str!("../text/nodes.ja.ftl"),
    include_str!("../text/notices.ja.ftl"),
    include_str!("../text/glass.ja.ftl"),
    include_str!("../text/alarms.ja.ftl"),
];
const ENGLISH: &[&str] = &[
    include_str!("../text/en.ftl"),
    include_str!("../text/console.en.ftl"),
    include_str!("../text/policy.en.ftl"),
    include_str!("../text/log.en.ftl"),
    include_str!("../text/maintenance.en.ftl"),
    include_str!("../text/connect.en.ftl"),
    include_str!("../text/terminal.en.ftl"),
    include_str!("../text/recording.en.ftl"),
    include_str!("../text/nodes.en.ftl"),
    include_str!("../text/notices.en.ftl"),
    include_str!("../text/glass.en.ftl"),
    include_str!("../text/alarms.en.ftl"),
];

/// Both languages, read once per site.
pub(crate) struct Texts {
    japanese: FluentBundle<FluentResource>,
    english: FluentBundle<FluentResource>,
}

impl Texts {
    /// Reads the texts that are compiled in; a test makes sure that they read whole.
    pub(crate) fn new() -> Self {
        Self { japanese: bundle(Language::Japanese, JAPANESE), english: bundle(Language::English, ENGLISH) }
    }

    /// Speaks one of them.
    pub(crate) fn voice(&self, language: Language) -> Voice<'_> {
        let bundle = match language {
            Language::Japanese => &self.japanese,
            Language::English => &self.english,
        };
        Voice { bundle, language }
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Texts(..)")
    }
}

fn bundle(language: Language, sources: &[&str]) -> FluentBundle<FluentResource> {
    let tag: LanguageIdentifier = language.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // Isolation marks would stand around every inserted name and end up in copied text.
    bundle.set_use_isolating(false);
    for source in sources {
        let resource = FluentResource::try_new((*source).to_owned()).unwrap_or_else(|(read, _problems)| read);
        bundle.add_resource_overriding(resource);
    }
    bundle
}

/// One language, ready to speak.
#[derive(Clone, Copy)]
pub(crate) struct Voice<'a> {
    bundle: &'a FluentBundle<FluentResource>,
    language: Language,
}

impl Voice<'_> {
    pub(crate) fn language(&self) -> Language {
        self.language
    }

    /// The text of a key; the key in `⟨⟩` if there is none, which a test looks for on every page.
    pub(crate) fn say(&self, key: &str) -> String {
        self.speak(key, None)
    }

    /// The text of a key, if there is one.
    pub(crate) fn try_say(&self, key: &str) -> Option<String> {
        self.bundle.has_message(key).then(|| self.say(key))
    }

    /// The text of a key with one thing filled in.
    pub(crate) fn say_with(&self, key: &str, name: &str, value: &str) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set(name.to_owned(), FluentValue::from(value.to_owned()));
        self.speak(key, Some(&arguments))
    }

    /// The text of a key with several things filled in.
    pub(crate) fn say_all(&self, key: &str, values: &[(&str, &str)]) -> String {
        let mut arguments = FluentArgs::new();
        for (name, value) in values {
            arguments.set((*name).to_owned(), FluentValue::from((*value).to_owned()));
        }
        self.speak(key, Some(&arguments))
    }

    fn speak(&self, key: &str, arguments: Option<&FluentArgs<'_>>) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            return format!("⟨{key}⟩");
        };
        let mut problems = Vec::new();
        self.bundle.format_pattern(pattern, arguments, &mut problems).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Reason;
    use std::collections::BTreeSet;

    use crate::Fault;

    fn keys(source: &str) -> BTreeSet<&str> {
        source.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect()
    }

    #[test]
    fn both_languages_read_whole_and_have_the_same_keys() {
        for source in JAPANESE.iter().chain(ENGLISH) {
            let resource = FluentResource::try_new((*source).to_owned()).expect("reads whole");
            let messages = resource.entries().filter(|entry| format!("{entry:?}").starts_with("Message")).count();
            assert_eq!(messages, keys(source).len());
        }
        for (japanese, english) in JAPANESE.iter().zip(ENGLISH) {
            assert_eq!(keys(japanese), keys(english));
        }
    }

    #[test]
    fn every_reason_and_fault_has_a_title_a_sentence_and_a_remedy() {
        let texts = Texts::new();
        let codes = Reason::ALL
            .iter()
            .map(|reason| format!("reason-{}", reason.code()))
            .chain(Fault::ALL.iter().map(|fault| format!("fault-{}", fault.code())))
            .chain(["reason-no-role".to_owned()]);
        for code in codes {
            for language in Language::ALL {
                for part in ["title", "what", "do"] {
                    let text = texts.voice(language).say(&format!("{code}-{part}"));
                    assert!(!text.contains('⟨') && text.len() > 4, "{code}-{part} in {}", language.tag());
                }
            }
        }
    }

    #[test]
    fn names_are_filled_in_without_marks_around_them() {
        let texts = Texts::new();
        let english = texts.voice(Language::English);
        assert_eq!(english.say_with("sign-in-with", "name", "City IdP"), "Sign in with City IdP");
        assert_eq!(english.say("no-such-key"), "⟨no-such-key⟩");
    }
}

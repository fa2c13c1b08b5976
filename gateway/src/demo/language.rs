//! Which of its two languages a demo page speaks.

use http::header::{ACCEPT_LANGUAGE, HeaderMap};

/// Japanese or English.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Language {
    Japanese,
    English,
}

impl Language {
    /// The first of the two that the browser names; Japanese where it names neither.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut named = text.split(',').filter_map(|part| Self::parse(part.trim()));
        named.next().unwrap_or(Self::Japanese)
    }

    fn parse(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', ';']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("ja") {
            Some(Self::Japanese)
        } else if primary.eq_ignore_ascii_case("en") {
            Some(Self::English)
        } else {
            None
        }
    }

    /// Its tag in HTML.
    pub(super) fn tag(self) -> &'static str {
        self.say("ja", "en")
    }

    /// The text in this language.
    pub(super) fn say<'a>(self, japanese: &'a str, english: &'a str) -> &'a str {
        match self {
            Self::Japanese => japanese,
            Self::English => english,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_is_spoken_here_is_spoken() {
        let check = |text: &str, language| {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, text.parse().unwrap())]);
            assert_eq!(Language::of(&headers), language, "{text}");
        };
        check("en-GB,en;q=0.9,ja;q=0.8", Language::English);
        check("fr, ja;q=0.5, en;q=0.1", Language::Japanese);
        check("fr", Language::Japanese);
        assert_eq!(Language::of(&HeaderMap::new()), Language::Japanese);
    }
}

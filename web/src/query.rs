//! What travels in the addresses of our own pages: ids and words, never a path, a name or a secret that lasts.

use policy::{AppId, Assurance, Path, ProviderId, Timestamp};
use url::form_urlencoded::{self, Serializer};

/// The longest hint of a login name that is passed on, in bytes.
const LOGIN_HINT_BYTES_MAX: usize = 256;

/// The first value of a field in a query or form.
pub(crate) fn field(encoded: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(encoded).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// How a sign-in is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The hand-off that waits for it.
    pub(crate) hand_off: Option<String>,
    /// Prove it again, at least this surely.
    pub(crate) again: Option<Assurance>,
    /// The name to fill in at the provider.
    pub(crate) login_hint: Option<String>,
    /// The provider that was chosen.
    pub(crate) provider: Option<ProviderId>,
    /// The app that waits, for offering the providers that are meant for it.
    pub(crate) app: Option<AppId>,
}

impl Ask {
    /// Reads it from a query; what cannot be read is not there.
    pub(crate) fn read(query: &str) -> Self {
        let field = |name| field(query.as_bytes(), name);
        Self {
            hand_off: field("h").filter(|id| (1..=64).contains(&id.len())),
            again: field("again").and_then(|word| Assurance::parse(&word)),
            login_hint: field("login_hint").filter(|hint| is_hint(hint)),
            provider: field("provider").and_then(|id| ProviderId::parse(&id).ok()),
            app: field("app").and_then(|id| AppId::parse(&id).ok()),
        }
    }

    /// An address that asks for it.
    pub(crate) fn address(&self, place: &str) -> String {
        let mut query = Serializer::new(String::new());
        let fields = [
            ("h", self.hand_off.as_deref()),
            ("again", self.again.map(Assurance::as_str)),
            ("login_hint", self.login_hint.as_deref()),
            ("provider", self.provider.as_ref().map(ProviderId::as_str)),
            ("app", self.app.as_ref().map(AppId::as_str)),
        ];
        query.extend_pairs(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let query = query.finish();
        if query.is_empty() { place.to_owned() } else { format!("{place}?{query}") }
    }
}

fn is_hint(hint: &str) -> bool {
    (1..=LOGIN_HINT_BYTES_MAX).contains(&hint.len()) && !hint.chars().any(char::is_control)
}

/// What must be known when the browser comes back from the provider; kept on the server meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Return {
    /// The hand-off that waits.
    pub(crate) hand_off: Option<String>,
    /// What was to be proven again.
    pub(crate) again: Option<Assurance>,
    /// When the browser was sent away.
    pub(crate) begun: Timestamp,
}

impl Return {
    /// Writes it down.
    pub(crate) fn write(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("begun", &self.begun.unix_micros().to_string());
        if let Some(hand_off) = &self.hand_off {
            query.append_pair("h", hand_off);
        }
        if let Some(again) = self.again {
            query.append_pair("again", again.as_str());
        }
        query.finish()
    }

    /// Reads it back; `None` if it is not ours.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let Ask { hand_off, again, login_hint: _, provider: _, app: _ } = Ask::read(text);
        let begun = field(text.as_bytes(), "begun")?.parse().ok()?;
        Some(Self { hand_off, again, begun: Timestamp::from_unix_micros(begun) })
    }
}

/// Path and query of a page on this host to go back to; `None` for anything that could lead elsewhere.
pub(crate) fn place_here(text: &str) -> Option<String> {
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let path = Path::parse(path).ok()?;
    let plain = query.is_none_or(|query| query.bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
    plain.then(|| target(&path, query.unwrap_or_default()))
}

/// Path and query as one.
pub(crate) fn target(path: &Path, query: &str) -> String {
    if query.is_empty() { path.to_string() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_travels_and_comes_back() {
        let ask = Ask {
            hand_off: Some("id_1-x".into()),
            again: Some(Assurance::Aal2),
            login_hint: Some("n.sato&h=evil".into()),
            provider: Some(ProviderId::parse("city").unwrap()),
            app: Some(AppId::parse("emr").unwrap()),
        };
        let address = ask.address("/begin");
        assert_eq!(address, "/begin?h=id_1-x&again=aal2&login_hint=n.sato%26h%3Devil&provider=city&app=emr");
        assert_eq!(Ask::read(address.split_once('?').unwrap().1), ask);
        assert_eq!(Ask::default().address("/sign-in"), "/sign-in");
        assert_eq!(Ask::read("again=aal9&provider=NO&login_hint=a%0Ab&h="), Ask::default());
        assert_eq!(Ask::read(&format!("login_hint={}", "a".repeat(257))), Ask::default());
    }

    #[test]
    fn what_is_kept_for_the_return_reads_back() {
        let kept = Return { hand_off: Some("x".into()), again: None, begun: Timestamp::from_unix_micros(7) };
        assert_eq!(Return::read(&kept.write()), Some(kept));
        assert_eq!(Return::read("h=x"), None);
    }

    #[test]
    fn one_can_only_go_back_to_this_host() {
        assert_eq!(place_here("/a?b=c").as_deref(), Some("/a?b=c"));
        for elsewhere in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "a", "/a?b c", "/a?\r\nx", "/a#b", "/a?#"]
        {
            assert_eq!(place_here(elsewhere), None, "{elsewhere}");
        }
    }
}

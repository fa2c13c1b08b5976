//! By what a person proved who they are, and the model of the key they did it with.

use std::fmt;

/// One way to prove who one is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum SignInMethod {
    /// An identity provider vouched for the person.
    Provider,
    /// An identity provider vouched for the person, by two factors of its own.
    ProviderMfa,
    /// A passkey, with user verification.
    Passkey,
    /// A temporary code that a supervisor gave out.
    Temporary,
}

impl SignInMethod {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Provider, Self::ProviderMfa, Self::Passkey, Self::Temporary];

    /// Its word in configuration, policy and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::ProviderMfa => "provider-mfa",
            Self::Passkey => "passkey",
            Self::Temporary => "temporary",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// The ways by which a person proved who they are, in one session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Methods(u8);

impl Methods {
    /// None.
    pub const NONE: Self = Self(0);

    /// These.
    #[must_use]
    pub fn of(methods: impl IntoIterator<Item = SignInMethod>) -> Self {
        methods.into_iter().fold(Self::NONE, Self::with)
    }

    /// These and one more.
    #[must_use]
    pub fn with(self, method: SignInMethod) -> Self {
        Self(self.0 | method.bit())
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn has(self, method: SignInMethod) -> bool {
        self.0 & method.bit() != 0
    }

    /// Whether any is in both.
    #[must_use]
    pub fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of [`SignInMethod::ALL`].
    pub fn iter(self) -> impl Iterator<Item = SignInMethod> {
        SignInMethod::ALL.into_iter().filter(move |method| self.has(*method))
    }

    /// Reads words with spaces between, as [`fmt::Display`] writes them; nothing for an unknown word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.split_ascii_whitespace()
            .try_fold(Self::NONE, |methods, word| SignInMethod::parse(word).map(|method| methods.with(method)))
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(SignInMethod::as_str).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The model of an authenticator, as its maker numbers it (WebAuthn Level 3 section 6.5.2). All zero where the
/// authenticator does not say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Aaguid([u8; 16]);

impl Aaguid {
    /// Wraps the 16 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads `cb69481e-8ff7-4039-93ec-0a2729a154a8`, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let mut digits = [8, 4, 4, 4, 12].into_iter();
        let mut at = bytes.iter_mut();
        for group in text.split('-') {
            if group.len() != digits.next()? || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            for pair in group.as_bytes().chunks(2) {
                *at.next()? = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
            }
        }
        digits.next().is_none().then_some(Self(bytes))
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_a_set_and_read_back() {
        for method in SignInMethod::ALL {
            assert_eq!(SignInMethod::parse(method.as_str()), Some(method));
            assert_eq!(Methods::parse(method.as_str()), Some(Methods::NONE.with(method)));
        }
        let both = Methods::of([SignInMethod::Passkey, SignInMethod::Provider, SignInMethod::Passkey]);
        assert_eq!(both.to_string(), "provider passkey");
        assert_eq!(Methods::parse("passkey provider"), Some(both));
        assert_eq!(Methods::parse(""), Some(Methods::NONE));
        assert_eq!(Methods::parse("passkey password"), None);
        assert!(both.meets(Methods::of([SignInMethod::Passkey])) && !both.meets(Methods::NONE));
        assert!(!both.has(SignInMethod::ProviderMfa));
    }

    #[test]
    fn models_read_back_and_nothing_else_is_a_model() {
        let text = "cb69481e-8ff7-4039-93ec-0a2729a154a8";
        assert_eq!(Aaguid::parse(text).unwrap().to_string(), text);
        assert_eq!(Aaguid::parse(&text.to_uppercase()), Aaguid::parse(text));
        assert_eq!(Aaguid::parse("00000000-0000-0000-0000-000000000000"), Some(Aaguid::new([0; 16])));
        for bad in [
            "",
            "cb69481e8ff7403993ec0a2729a154a8",
            "cb69481e-8ff7-4039-93ec-0a2729a154a",
            "cb69481e-8ff7-4039-93ec-0a2729a154a8-",
            "cb69481e-8ff7-4039-93ec",
            "+b69481e-8ff7-4039-93ec-0a2729a154a8",
            "cb69481e-8ff7-4039-93ec-0a2729a154é",
        ] {
            assert_eq!(Aaguid::parse(bad), None, "{bad:?}");
        }
    }
}

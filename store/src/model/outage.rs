//! The switch for outages of a provider.

/// Where a person set the switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OutageSwitch {
    /// An outage, whatever the provider does.
    On,
    /// No outage, whatever the provider does.
    Off,
    /// As the provider answers.
    #[default]
    Automatic,
}

impl OutageSwitch {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::On, Self::Off, Self::Automatic];

    /// Its word in store, command line and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Automatic => "auto",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|switch| switch.as_str() == text)
    }
}

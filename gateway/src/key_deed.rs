//! What is done with the keys that encrypt the log. The command line does it and tells the store, as it tells of a look at
//! the log; the gateway records it from there.

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyDeed {
    /// A key was added to the ring.
    Rotate,
    /// The keys of segments were wrapped anew.
    Rewrap,
    /// A key was taken out of the ring.
    Drop,
    /// A recovery key was made.
    Escrow,
    /// The keys of segments were opened with the recovery key.
    Recover,
}

impl KeyDeed {
    const ALL: [Self; 5] = [Self::Rotate, Self::Rewrap, Self::Drop, Self::Escrow, Self::Recover];

    /// Its word in the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rotate => "rotate",
            Self::Rewrap => "rewrap",
            Self::Drop => "drop",
            Self::Escrow => "escrow",
            Self::Recover => "recover",
        }
    }

    /// Its code in the store, beside those of looks at the log.
    pub fn code(self) -> String {
        format!("key-{}", self.word())
    }

    /// What a code of the store says; nothing where it is of a look at the log.
    pub fn parse(code: &str) -> Option<Self> {
        let word = code.strip_prefix("key-")?;
        Self::ALL.into_iter().find(|deed| deed.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_is_told_apart_from_a_look_at_the_log() {
        for deed in KeyDeed::ALL {
            assert_eq!(KeyDeed::parse(&deed.code()), Some(deed));
        }
        for look in ["find", "export", "key-", "key-find"] {
            assert_eq!(KeyDeed::parse(look), None, "{look}");
        }
    }
}

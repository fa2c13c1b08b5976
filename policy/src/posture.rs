//! What is known of a device's condition: attributes that an MDM or EDR reports, each true for a while only.

use std::sync::Arc;

use crate::{Device, NameProblem, PostureName, Timestamp};

/// The longest value a rule may demand, in bytes.
pub const POSTURE_VALUE_BYTES_MAX: usize = 64;

/// One attribute of a device, as a source last reported it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PostureFact {
    /// What it is about, such as `disk_encrypted`.
    pub name: PostureName,
    /// What was reported, such as `true`.
    pub value: Arc<str>,
    /// When the report is too old to be believed.
    pub fresh_until: Timestamp,
}

/// What a rule demands of a device: an attribute that must be reported, fresh, with this very value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PostureDemand {
    name: PostureName,
    value: Arc<str>,
}

/// Why a text is not a demand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostureProblem {
    /// The attribute's name is not a name.
    #[error(transparent)]
    Name(#[from] NameProblem),
    /// Nothing after `=`, more than [`POSTURE_VALUE_BYTES_MAX`], or not printable ASCII without quotes and backslashes.
    #[error(
        "`{0}` is not a value: 1 to {POSTURE_VALUE_BYTES_MAX} letters, digits and signs but quotes and backslashes"
    )]
    Value(String),
}

impl PostureDemand {
    /// Reads `disk_encrypted=true`, or `disk_encrypted` alone for the value `true`.
    ///
    /// # Errors
    /// [`PostureProblem`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PostureProblem> {
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        let name = PostureName::parse(name)?;
        let plain = |b: u8| (b.is_ascii_graphic() || b == b' ') && b != b'"' && b != b'\\';
        if !(1..=POSTURE_VALUE_BYTES_MAX).contains(&value.len()) || !value.bytes().all(plain) {
            let shown: String = value.escape_debug().take(POSTURE_VALUE_BYTES_MAX).collect();
            return Err(PostureProblem::Value(shown));
        }
        Ok(Self { name, value: Arc::from(value) })
    }

    /// The attribute.
    #[must_use]
    pub fn name(&self) -> &PostureName {
        &self.name
    }

    /// The value it must have.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl std::fmt::Display for PostureDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// How a device stands to one demand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Met,
    /// Reported once, too long ago.
    Stale,
    /// Not reported, reported otherwise, or reported in two ways at once.
    NotMet,
}

/// How a device with these attributes stands to a demand.
pub(crate) fn standing(facts: &[PostureFact], demand: &PostureDemand, at: Timestamp) -> Standing {
    let about = || facts.iter().filter(|fact| fact.name == demand.name);
    let fresh = || about().filter(|fact| at < fact.fresh_until);
    if fresh().next().is_none() {
        return if about().next().is_none() { Standing::NotMet } else { Standing::Stale };
    }
    if fresh().all(|fact| fact.value == demand.value) { Standing::Met } else { Standing::NotMet }
}

impl Device {
    /// Every attribute of its condition that is fresh and of which all sources say the same.
    pub fn believed_posture(&self, at: Timestamp) -> impl Iterator<Item = &PostureFact> {
        undisputed(&self.posture, at)
    }
}

fn undisputed(facts: &[PostureFact], at: Timestamp) -> impl Iterator<Item = &PostureFact> {
    let fresh = move || facts.iter().filter(move |fact| at < fact.fresh_until);
    fresh().filter(move |fact| fresh().all(|other| other.name != fact.name || other.value == fact.value))
}

/// Every attribute that is fresh and of which all sources say the same, as `name=value`.
pub(crate) fn believed(facts: &[PostureFact], at: Timestamp) -> impl Iterator<Item = String> {
    undisputed(facts, at).map(|fact| format!("{}={}", fact.name, fact.value))
}

/// The next moment at which one of these attributes grows stale.
pub(crate) fn next_stale(facts: &[PostureFact], at: Timestamp) -> Timestamp {
    facts.iter().map(|fact| fact.fresh_until).filter(|until| at < *until).min().unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_micros(100);

    fn fact(name: &str, value: &str, fresh_until: i64) -> PostureFact {
        let fresh_until = Timestamp::from_unix_micros(fresh_until);
        PostureFact { name: name.parse().unwrap(), value: value.into(), fresh_until }
    }

    #[test]
    fn a_demand_is_a_name_and_a_value() {
        let check = |text: &str| PostureDemand::parse(text).map(|demand| demand.to_string()).ok();
        assert_eq!(check("os_patched").as_deref(), Some("os_patched=true"));
        assert_eq!(check("edr=running").as_deref(), Some("edr=running"));
        assert_eq!(check("os=Windows 11 (24H2)=x").as_deref(), Some("os=Windows 11 (24H2)=x"));
        for bad in ["", "=true", "edr=", "Edr", "edr=\"x\"", "edr=a\\b", "edr=動作中", "edr=a\nb"] {
            assert_eq!(check(bad), None, "{bad:?}");
        }
        assert!(PostureDemand::parse(&format!("edr={}", "a".repeat(65))).is_err());
    }

    #[test]
    fn stale_and_disputed_attributes_are_never_good() {
        let demand = PostureDemand::parse("edr=running").unwrap();
        let check = |facts: &[PostureFact]| standing(facts, &demand, NOW);
        assert_eq!(check(&[]), Standing::NotMet);
        assert_eq!(check(&[fact("edr", "running", 101)]), Standing::Met);
        assert_eq!(check(&[fact("edr", "running", 100)]), Standing::Stale);
        assert_eq!(check(&[fact("edr", "stopped", 101)]), Standing::NotMet);
        assert_eq!(check(&[fact("edr", "running", 101), fact("edr", "stopped", 101)]), Standing::NotMet);
        assert_eq!(check(&[fact("edr", "running", 101), fact("edr", "stopped", 99)]), Standing::Met);
        assert_eq!(check(&[fact("os", "running", 101)]), Standing::NotMet);

        let facts =
            [fact("edr", "running", 101), fact("edr", "stopped", 102), fact("os", "11", 103), fact("x", "y", 9)];
        assert_eq!(believed(&facts, NOW).collect::<Vec<_>>(), ["os=11"]);
        assert_eq!(next_stale(&facts, NOW), Timestamp::from_unix_micros(101));
        assert_eq!(next_stale(&facts, Timestamp::from_unix_micros(103)), Timestamp::MAX);
    }
}

//! What is wrong with the gateway itself right now, so that whoever runs it sees it in the console. The gateway raises and
//! lowers it; the words are in `text/alarms.*.ftl`, what to do in docs/operate/faults.md.

use std::sync::atomic::{AtomicU32, Ordering};

/// Something that is wrong with the gateway itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// The store does not answer.
    StoreAway,
    /// The access log cannot be written.
    LogUnwritable,
    /// The access log or its disk is nearly full.
    LogNearlyFull,
    /// Nothing keeps the clock at true time.
    ClockUnsynchronised,
    /// A changed configuration was refused.
    ConfigRefused,
    /// The gateway began with the last good configuration, because the one in its file cannot be read.
    LastGoodConfig,
    /// A server certificate ends soon, or has ended.
    CertificateEnds,
    /// A server certificate that is due could not be ordered.
    CertificateNotOrdered,
    /// Hosts are served by no certificate.
    CertificateMissing,
    /// A server of an app does not answer.
    UpstreamDown,
    /// There are hardly any descriptors left.
    DescriptorsShort,
    /// There is hardly any memory left of what the gateway may take.
    MemoryShort,
    /// A part of the gateway panicked since it began.
    Panicked,
    /// Another process was to take over, and did not.
    HandoverFailed,
    /// Records cannot be found: the index does not follow the log.
    IndexBehind,
    /// More is asked than can be done: strangers are turned away.
    Overloaded,
}

impl Alarm {
    /// All there are.
    pub const ALL: [Self; 16] = [
        Self::StoreAway,
        Self::LogUnwritable,
        Self::LogNearlyFull,
        Self::ClockUnsynchronised,
        Self::ConfigRefused,
        Self::LastGoodConfig,
        Self::CertificateEnds,
        Self::CertificateNotOrdered,
        Self::CertificateMissing,
        Self::UpstreamDown,
        Self::DescriptorsShort,
        Self::MemoryShort,
        Self::Panicked,
        Self::HandoverFailed,
        Self::IndexBehind,
        Self::Overloaded,
    ];

    /// Its code, in metrics and logs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::StoreAway => "store-away",
            Self::LogUnwritable => "log-unwritable",
            Self::LogNearlyFull => "log-nearly-full",
            Self::ClockUnsynchronised => "clock-unsynchronised",
            Self::ConfigRefused => "config-refused",
            Self::LastGoodConfig => "last-good-config",
            Self::CertificateEnds => "certificate-ends",
            Self::CertificateNotOrdered => "certificate-not-ordered",
            Self::CertificateMissing => "certificate-missing",
            Self::UpstreamDown => "upstream-down",
            Self::DescriptorsShort => "descriptors-short",
            Self::MemoryShort => "memory-short",
            Self::Panicked => "panicked",
            Self::HandoverFailed => "handover-failed",
            Self::IndexBehind => "index-behind",
            Self::Overloaded => "overloaded",
        }
    }

    fn bit(self) -> u32 {
        let place = Self::ALL.iter().position(|one| *one == self).unwrap_or_default();
        1 << place
    }
}

/// Which alarms are raised; shared by whoever raises and whoever shows them.
#[derive(Debug, Default)]
pub struct Alarms(AtomicU32);

impl Alarms {
    /// Raises or lowers one; whether that is news.
    pub fn set(&self, alarm: Alarm, is_raised: bool) -> bool {
        let bit = alarm.bit();
        let before = match is_raised {
            true => self.0.fetch_or(bit, Ordering::Relaxed),
            false => self.0.fetch_and(!bit, Ordering::Relaxed),
        };
        (before & bit != 0) != is_raised
    }

    /// Whether one is raised.
    pub fn is_raised(&self, alarm: Alarm) -> bool {
        self.0.load(Ordering::Relaxed) & alarm.bit() != 0
    }

    /// All that are raised.
    pub fn raised(&self) -> impl Iterator<Item = Alarm> {
        let raised = self.0.load(Ordering::Relaxed);
        Alarm::ALL.into_iter().filter(move |alarm| raised & alarm.bit() != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;
    use crate::texts::Texts;

    #[test]
    fn each_is_raised_and_lowered_by_itself_and_news_but_once() {
        let alarms = Alarms::default();
        for alarm in Alarm::ALL {
            assert!(!alarms.set(alarm, false));
            assert!(alarms.set(alarm, true) && !alarms.set(alarm, true) && alarms.is_raised(alarm));
        }
        assert_eq!(alarms.raised().collect::<Vec<_>>(), Alarm::ALL);
        assert!(alarms.set(Alarm::Panicked, false));
        assert!(!alarms.is_raised(Alarm::Panicked) && alarms.is_raised(Alarm::MemoryShort));
    }

    #[test]
    fn each_has_words_in_both_languages() {
        let texts = Texts::new();
        for language in [Language::Japanese, Language::English] {
            for alarm in Alarm::ALL {
                let said = texts.voice(language).say(&format!("alarm-{}", alarm.code()));
                assert!(said.chars().count() > 10, "{language:?} {alarm:?}: {said}");
            }
        }
    }
}

//! How long sessions live, and what becomes of them at shared devices.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::DeviceClass;

/// How long sessions live, by device class.
#[derive(Clone, Debug)]
pub struct SessionSpans {
    /// By class.
    pub by_class: BTreeMap<DeviceClass, SessionSpan>,
    /// Without a known device.
    pub unknown_device: SessionSpan,
}

impl SessionSpans {
    /// The span for a device's class, or for none.
    #[must_use]
    pub fn of(&self, class: Option<DeviceClass>) -> SessionSpan {
        class.and_then(|class| self.by_class.get(&class).copied()).unwrap_or(self.unknown_device)
    }
}

/// How long a session lives, and what becomes of it when another person comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionSpan {
    /// Without any request.
    pub idle: Duration,
    /// In all.
    pub absolute: Duration,
    /// Whether several people use one device, one at a time.
    pub shared: bool,
    /// Without any request before it is locked; never where absent.
    pub lock: Option<Duration>,
    /// What becomes of it when another person signs in at a shared device.
    pub on_switch: OnSwitch,
    /// How long it may stay parked.
    pub parked_max: Duration,
}

impl SessionSpan {
    /// How long a session may stay parked unless told otherwise.
    pub const PARKED_MAX: Duration = Duration::from_secs(30 * 60);

    /// A session of a device that one person uses: never locked.
    #[must_use]
    pub fn lasting(idle: Duration, absolute: Duration) -> Self {
        Self { idle, absolute, shared: false, lock: None, on_switch: OnSwitch::Park, parked_max: Self::PARKED_MAX }
    }
}

/// What becomes of a session when another person signs in at a shared device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnSwitch {
    /// It waits for its person to come back.
    Park,
    /// It ends.
    End,
}

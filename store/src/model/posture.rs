//! Posture: what an MDM or EDR says of devices. Kept when it is out of time too: stale is not unknown.

use policy::{DeviceId, PostureName, PostureSourceId, Timestamp};

/// One attribute of one device, as its source told it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostureRow {
    /// The device.
    pub device: DeviceId,
    /// The attribute, such as `os_patched`.
    pub name: PostureName,
    /// Its value, such as `true`.
    pub value: String,
    /// Who told it.
    pub source: PostureSourceId,
    /// When it was so.
    pub at: Timestamp,
    /// Until when it counts as fresh.
    pub expires_at: Timestamp,
}

/// The most attributes of one device.
pub const POSTURE_NAMES_MAX: usize = 64;

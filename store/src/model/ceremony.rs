//! What was started and is taken once, and what was seen and must not be seen again.

use policy::Timestamp;

/// A started ceremony (sign-in, hand-off, WebAuthn): taken once, then gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceremony {
    /// Which kind, such as `oidc` or `hand-off`; taking asks for the same kind.
    pub kind: &'static str,
    /// Its state, serialized by whoever started it.
    pub state: String,
    /// When it is void.
    pub expires_at: Timestamp,
}

/// How many ceremonies may be under way at once.
pub const CEREMONIES_MAX: usize = 100_000;

/// How many things may be remembered at once, so that they are not accepted twice. Sign-ins that were ended while they
/// were under way do not count.
pub const REMEMBERED_MAX: usize = 100_000;

//! Which words a page may say of what was just done.

/// What a change may send on to the next page as `done`.
pub(super) const DONE: [&str; 23] = [
    "person-added",
    "person-changed",
    "person-disabled",
    "person-enabled",
    "sessions-ended",
    "session-ended",
    "key-removed",
    "invitation-revoked",
    "device-changed",
    "device-revoked",
    "device-lost",
    "certificate-revoked",
    "stock-taken",
    "outage-switched",
    "imported",
    "version-approved",
    "nothing-changed",
    "question-kept",
    "question-too-many",
    "question-forgotten",
    "review-opened",
    "line-judged",
    "review-signed",
];

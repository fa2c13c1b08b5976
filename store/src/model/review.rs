//! The periodic review of the log: a sample that was drawn, what a person found of each line, and who signed it. The
//! lines themselves stay in the log; here are their numbers alone, and nothing of a patient.

use policy::Timestamp;

/// The most lines of one review.
pub const REVIEW_ITEMS_MAX: usize = 1_000;
/// How many reviews are kept; the earliest signed ones go first.
pub const REVIEWS_MAX: usize = 10_000;

/// A review as it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReview {
    /// The first moment that it looks at.
    pub since: Timestamp,
    /// The first moment that it does not look at any more.
    pub until: Timestamp,
    /// The rules the sample was drawn by, as whoever drew it writes them.
    pub rules: String,
    /// What the draw began from: the same seed, rules and log give the same sample.
    pub seed: u64,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Who opened it, as [`Event::actor`](crate::Event::actor) says.
    pub opened_by: String,
    /// When it should be signed.
    pub due_at: Timestamp,
    /// The sample.
    pub items: Vec<NewReviewItem>,
}

/// A line of a sample as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReviewItem {
    /// The number of the line in the log.
    pub seq: u64,
    /// The rule that drew it, a word of a closed vocabulary.
    pub rule: String,
}

/// A review that is kept, without its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Its number, counted from 1 over all reviews.
    pub number: u64,
    /// As [`NewReview::since`].
    pub since: Timestamp,
    /// As [`NewReview::until`].
    pub until: Timestamp,
    /// As [`NewReview::rules`].
    pub rules: String,
    /// As [`NewReview::seed`].
    pub seed: u64,
    /// As [`NewReview::opened_at`].
    pub opened_at: Timestamp,
    /// As [`NewReview::opened_by`].
    pub opened_by: String,
    /// As [`NewReview::due_at`].
    pub due_at: Timestamp,
    /// Who signed it.
    pub signature: Option<Signature>,
    /// How far it is.
    pub tally: Tally,
}

/// Who signed a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What they say of the whole.
    pub comment: String,
}

/// How many lines of a review are judged how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub items: u64,
    /// Those judged [`Judgment::Fine`].
    pub fine: u64,
    /// Those judged [`Judgment::Ask`].
    pub asked: u64,
    /// Those judged [`Judgment::Incident`].
    pub incidents: u64,
}

impl Tally {
    /// How many nobody has judged yet.
    #[must_use]
    pub fn open(self) -> u64 {
        self.items.saturating_sub(self.fine).saturating_sub(self.asked).saturating_sub(self.incidents)
    }
}

/// A line of a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewItem {
    /// The number of the line in the log.
    pub seq: u64,
    /// The rule that drew it.
    pub rule: String,
    /// What was found of it, if anybody looked.
    pub finding: Option<ReviewFinding>,
}

/// What somebody found of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewFinding {
    /// What they say of it.
    pub judgment: Judgment,
    /// In their words.
    pub comment: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
}

/// What is said of a line that was looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Judgment {
    /// It is as it should be.
    Fine,
    /// The person must be asked.
    Ask,
    /// It is an incident.
    Incident,
}

impl Judgment {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fine, Self::Ask, Self::Incident];

    /// Its word in store, log and forms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Ask => "ask",
            Self::Incident => "incident",
        }
    }

    /// Reads it back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// What became of a signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signing {
    /// The review is signed; nothing of it changes any more.
    Done,
    /// So many lines are not judged yet.
    Open(u64),
    /// There is no such review, or it is signed already.
    NotThere,
}

//! Notices to people outside of our pages: what is told of an event in words and to programs, and what became of it.
//! Deliberately not here: who is told, and how mail and requests are sent (gateway).

mod late;
mod standing;
mod told;
mod words;

pub use late::NoticeLate;
pub use standing::{NoticeEnd, NoticeResult, NoticeStanding, NoticeWaiting};
pub use told::{By, Told, ToldFact};
pub use words::NoticeText;

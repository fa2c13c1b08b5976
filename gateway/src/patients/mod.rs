//! Whom accesses are about, for the record: what a request names before it is judged (`about`), what bodies and heads
//! name while they pass (`lookout`), and the desk where larger bodies are read beside the workers (`desk`).
//!
//! Nothing waits for this. Bodies pass as they come; up to a bound of each is copied, and looked at once both have
//! ended. Deliberately not here: how patients are found in them (the crate `patient`).

mod about;
mod desk;
mod held;
mod lookout;
mod places;
#[cfg(test)]
mod trials;
mod ward;

pub use about::About;
pub use desk::Desk;
pub use lookout::{Lookout, Watched};
pub use ward::named_ward;

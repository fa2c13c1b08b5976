//! What can never happen under a policy.
//!
//! A statement is proved for all requests by Cedar's symbolic compiler and the cvc5 solver, or answered with a request
//! that breaks it. Such a request is believed only once the usual judge allows it: the solver finds, the judge decides.
//! What a proof rests on stands in docs/decisions/0030. Deliberately not here: reading the configuration (config), and
//! anything that serves.

mod cells;
mod corner;
mod finding;
mod prove;
mod sample;
mod solver;
mod taken_for;
#[cfg(test)]
mod tests;
mod told;
mod witness;

pub use finding::{Finding, Outcome, Undecided, Witness};
pub use prove::{Around, NotLoaded, prove};
pub use solver::{Problem, Solver, solver};
pub use told::{Language, json, text};

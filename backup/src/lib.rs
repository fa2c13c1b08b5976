//! Backups of a node: everything it must not lose, in one folder that only grows.
//!
//! [`make`] copies what changed, sealed so that only a recovery key opens it, and ends with a manifest that the log's key
//! signs; without that there is no backup. [`check`] reads all of one again; [`restore`] puts one into a fresh folder,
//! whole or not at all. Deliberately not here: what a node consists of (gateway says), how the log and the store give a
//! view of one moment (audit and store do), and what the log says of a restore.

mod check;
mod entry;
mod make;
mod manifest;
mod pack;
mod place;
mod problem;
mod restore;
mod sources;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod trials;

pub use check::{Checked, check};
pub use make::{Made, Order, make};
pub use manifest::{FORMAT, Manifest};
pub use place::Place;
pub use problem::BackupProblem;
pub use restore::{Known, restore};
pub use sources::{Kind, Source, Sources};

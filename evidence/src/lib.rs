//! The log handed over to others: as DICOM audit messages, FHIR AuditEvents and CSV, and as files that prove themselves.
//!
//! A line of the log is the one truth. What it means in the health sector's words is decided once ([`meaning`]), and each
//! form writes that down ([`dicom`], [`fhir`], [`csv`]); nothing is added that the line does not say. An export
//! ([`export`]) carries the lines themselves with proofs that they stand in the log, and is checked ([`check`]) with
//! nothing but the file and the log's public key. Deliberately not here: finding lines, sending them, and who may ask.

pub mod check;
pub mod csv;
pub mod dicom;
mod digest;
pub mod export;
pub mod fhir;
pub mod meaning;
#[cfg(test)]
mod samples;
mod seqs;
mod source;
#[cfg(test)]
mod tamper;
#[cfg(test)]
mod testing;
mod xml;

pub use seqs::Seqs;
pub use source::Source;

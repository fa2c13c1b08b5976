//! Which patients a request and its answer are about.
//!
//! A route says where patients are named ([`policy::PatientSources`]); here they are found: in path, query, forms, JSON,
//! XML, FHIR, DICOM, answers' heads, and by the study that earlier answers told of ([`Studies`]). Whatever comes from
//! outside is bounded in bytes, depth and number, and what cannot be read says so instead of failing. Pure: no I/O, no
//! clock. Deliberately not here: holding bodies while they stream (gateway), and what is written down (audit).

mod body;
mod dicom;
mod dicom_json;
mod fhir;
mod fhir_search;
mod found;
mod id;
mod json;
mod paths;
mod query;
mod studies;
#[cfg(test)]
mod tests;
mod xml;

pub use body::{Body, Glance, bound, glance, read_body};
pub use found::{Found, Told};
pub use id::{common_pad, normalised};
pub use query::{Asked, of_header, of_request};
pub use studies::Studies;

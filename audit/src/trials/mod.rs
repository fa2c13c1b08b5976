//! Trials of the whole log, from the door to the files.

mod admit;
mod archive;
mod crash;
mod emergency;
mod power_cut;
mod retention;
mod tamper;

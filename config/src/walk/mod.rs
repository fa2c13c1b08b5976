//! Walks a TOML document with its places kept, so that reading goes on after a problem and every problem is found.
//! Nothing here knows the keys of `sekimori.toml`.

mod nearest;
mod report;
mod seen;
mod table;
mod units;
mod value;

pub(crate) use nearest::nearest;
pub(crate) use report::Report;
pub(crate) use seen::Seen;
pub(crate) use table::Table;
pub(crate) use value::Value;

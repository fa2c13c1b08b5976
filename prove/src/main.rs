//! `sekimori-prove`: proves the statements of a configuration.

fn main() {}

//! A pattern of a rule: reading and matching end, and a pattern without a star fits its own path alone.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{Path, PathPattern};

fuzz_target!(|texts: (&str, &str)| {
    let (pattern, path) = texts;
    let (Ok(pattern), Ok(path)) = (PathPattern::parse(pattern), Path::parse(path)) else { return };
    let fits = pattern.matches(&path);
    if !pattern.as_str().contains('*') {
        assert_eq!(fits, pattern.as_str() == path.as_str());
    }
    assert_eq!(PathPattern::parse(pattern.as_str()).map(|again| again.matches(&path)), Ok(fits));
});

//! Whatever a request names as its path is either refused or has one spelling, and that one stays as it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::Path;

fuzz_target!(|raw: &str| {
    let Ok(path) = Path::parse(raw) else { return };
    let text = path.as_str();
    assert!(text.starts_with('/') && text.len() <= policy::PATH_BYTES_MAX);
    assert!(!text.contains("//") && !text.contains('\\') && !text.contains(';'));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(text.split('/').all(|segment| segment != "." && segment != ".."));
    assert_eq!(Path::parse(text).as_ref(), Ok(&path), "a second reading changes nothing");
    assert!(path.is_below(&path));
});

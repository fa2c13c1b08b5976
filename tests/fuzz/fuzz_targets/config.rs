//! A configuration: every text gives a configuration or at least one problem, each with a line of the text.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // The files that a configuration names are opened; the fuzzer is to read no devices.
    if text.contains("dev") || text.contains("proc") || text.contains("sys") {
        return;
    }
    if let Err(problems) = config::parse(text, "sekimori.toml", Path::new("/nowhere")) {
        assert!(!problems.0.is_empty());
        let lines = text.lines().count().max(1);
        assert!(problems.0.iter().all(|problem| problem.line <= lines + 1), "{problems}");
        assert!(!problems.to_string().is_empty());
    }
});

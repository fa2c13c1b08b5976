//! A host name, from a `Host` field or the handshake, is either refused or has one spelling.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::Host;

fuzz_target!(|text: &str| {
    let alone = Host::parse(text);
    let authority = Host::parse_authority(text);
    for host in [&alone, &authority].into_iter().flatten() {
        assert!(
            host.as_str()
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        );
        assert!(!host.as_str().ends_with('.') && !host.as_str().contains(".."));
        assert_eq!(Host::parse(host.as_str()).as_ref(), Ok(host));
    }
    if let Ok(alone) = alone {
        assert_eq!(authority, Ok(alone));
    }
});

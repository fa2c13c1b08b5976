//! A file of revocation lists, as PEM or DER.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(lists) = certs::Crl::read(bytes) {
        assert!(!lists.is_empty());
    }
});

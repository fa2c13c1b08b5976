//! The sealed key of the device CA, as it lies in its file.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let _any = certs::read_sealed_key(text);
});

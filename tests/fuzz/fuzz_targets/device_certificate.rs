//! A device certificate of another CA, as PEM or DER: what is read reads the same from its own PEM.

#![no_main]

use certs::DeviceCertificate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = DeviceCertificate::read("x", bytes) {
        assert_eq!(DeviceCertificate::read("x", read.pem().as_bytes()), Ok(read));
    }
});

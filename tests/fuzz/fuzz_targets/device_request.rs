//! A request for a certificate (PKCS#10).

#![no_main]

use certs::{DeviceRequest, REQUEST_BYTES_MAX, RequestProblem};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    let read = DeviceRequest::read(der);
    if der.len() > REQUEST_BYTES_MAX {
        assert_eq!(read.unwrap_err(), RequestProblem::TooLong);
    }
});

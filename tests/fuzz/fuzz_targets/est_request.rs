//! The body of an EST enrolment: the same request, in base64.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Err(problem) = certs::est::read_request(body) {
        assert!(!problem.code().is_empty() && !problem.to_string().is_empty());
    }
});

//! The second look at the head of an HTTP/1 request: it ends, says the same whatever follows the head, and never takes
//! a head that has two lengths. The file is taken from the gateway as it is; no other part of it is needed.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../gateway/src/head.rs"]
mod head;

fuzz_target!(|bytes: &[u8]| {
    let taken = head::check(bytes);
    if head::end(bytes).is_none() {
        assert!(taken.is_err());
        return;
    }
    let more = [bytes, b"\r\nContent-Length: 1\r\n\r\n"].concat();
    assert_eq!(head::check(&more), taken, "what follows the head is not looked at");
    if taken.is_ok() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let count = |name: &str| text.lines().skip(1).filter(|line| line.starts_with(name)).count();
        assert!(count("content-length:") + count("transfer-encoding:") <= 1 && count("host:") <= 1);
    }
});

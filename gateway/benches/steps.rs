//! What a request of a browser pays for its head: `cargo bench -p gateway`. Other steps are measured where their code is:
//! session, device and assertion in identity, the decision in policy, the record in audit.

use bytes::BytesMut;
use divan::{Bencher, black_box};
use gateway::steps;
use http::HeaderMap;

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

/// As a browser in a ward sends it, with the session's cookie and two of the app's.
const HEAD: &[u8] = b"GET /fhir/Patient/00012345/Observation?_count=50 HTTP/1.1\r\n\
    Host: emr.hospital.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: application/fhir+json\r\n\
    Accept-Language: ja,en-US;q=0.9,en;q=0.8\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Cookie: __Host-sekimori=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; JSESSIONID=0123456789abcdef; theme=light\r\n\
    Referer: https://emr.hospital.example/chart\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Connection: keep-alive\r\n\r\n";
/// As an app answers it.
const ANSWER: [(&str, &str); 7] = [
    ("content-type", "application/fhir+json"),
    ("content-length", "1024"),
    ("date", "Sun, 22 Nov 2026 00:00:00 GMT"),
    ("etag", "W/\"1\""),
    ("cache-control", "no-store"),
    ("connection", "keep-alive"),
    ("set-cookie", "JSESSIONID=0123456789abcdef; Path=/; HttpOnly"),
];

fn main() {
    divan::main();
}

#[divan::bench]
fn head_checked() -> Option<usize> {
    steps::check_head(black_box(HEAD))
}

#[divan::bench]
fn head_checked_and_read(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(|| BytesMut::from(HEAD)).bench_local_values(steps::take_head);
}

#[divan::bench]
fn fields_towards_the_app(bencher: Bencher<'_, '_>) {
    let fields = || steps::take_head(BytesMut::from(HEAD)).expect("the head can be read");
    bencher.with_inputs(fields).bench_local_refs(steps::towards_upstream);
}

#[divan::bench]
fn fields_towards_the_client(bencher: Bencher<'_, '_>) {
    let fields = || {
        let mut fields = HeaderMap::new();
        for (name, value) in ANSWER {
            fields.insert(name, http::HeaderValue::from_static(value));
        }
        fields
    };
    bencher.with_inputs(fields).bench_local_refs(steps::towards_client);
}

//! Steps of the request's way that stand in private modules, for benchmarks to run by themselves: `benches/steps.rs`.
//! Nothing else uses them from here.

use bytes::BytesMut;
use http::HeaderMap;

use crate::http1::{self, Bounds};
use crate::{head, headers};

/// The defaults of `[limits]`.
const BOUNDS: Bounds = Bounds { bytes_max: 32 << 10, fields_max: 100 };

/// Whether a head can be read in one way only; how long it is.
#[must_use]
pub fn check_head(bytes: &[u8]) -> Option<usize> {
    head::check(bytes, BOUNDS.fields_max).ok().flatten().map(|checked| checked.end)
}

/// Reads a head off a buffer, as a connection does, and gives its fields.
#[must_use]
pub fn take_head(mut buffer: BytesMut) -> Option<HeaderMap> {
    let head = http1::take(&mut buffer, BOUNDS, &mut HeaderMap::new()).ok().flatten()?;
    Some(head.request.into_parts().0.headers)
}

/// Removes from a client's fields what no upstream may get.
pub fn towards_upstream(fields: &mut HeaderMap) {
    headers::towards_upstream(fields, std::iter::empty());
}

/// Removes from an app's fields what no client may get.
pub fn towards_client(fields: &mut HeaderMap) {
    headers::towards_client(fields);
}

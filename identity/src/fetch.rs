//! The HTTP client that is handed in.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Sends one request to an identity provider and reads the whole answer.
///
/// The caller's promise: a deadline, at most 1 MiB of body, no redirects, no cookies. Each request carries the
/// [`policy::ProviderId`] it is for as an extension, so that the client can trust that provider's own CA.
pub type Fetch = Arc<
    dyn Fn(
            http::Request<Vec<u8>>,
        ) -> Pin<Box<dyn Future<Output = Result<http::Response<Vec<u8>>, FetchProblem>> + Send>>
        + Send
        + Sync,
>;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchProblem {
    /// Not in time.
    #[error("no answer in time")]
    TimedOut,
    /// More than the limit.
    #[error("the answer is too large")]
    TooLarge,
    /// No connection, a TLS failure, a broken answer.
    #[error("{0}")]
    Unreachable(String),
}

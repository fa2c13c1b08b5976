//! How the library's requests reach the HTTP client that was handed in, and what its failures mean.

use std::future::Future;
use std::pin::Pin;

use openidconnect::{DiscoveryError, HttpRequest, HttpResponse};
use policy::ProviderId;
use url::{Host, Url};

use crate::{Fetch, FetchProblem};

/// The future of one request.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchProblem>> + Send>>;

/// The client as the library wants it; each request says which provider it is for.
pub(super) fn client(fetch: Fetch, provider: ProviderId) -> impl Fn(HttpRequest) -> Answer + Send + Sync {
    move |mut request| {
        request.extensions_mut().insert(provider.clone());
        fetch(request)
    }
}

/// Whether secrets may be sent to this address: https, or http to this machine if the issuer is there by http too.
pub(super) fn is_safe(endpoint: &Url, issuer: &Url) -> bool {
    match endpoint.scheme() {
        "https" => true,
        "http" => issuer.scheme() == "http" && is_loopback(issuer) && is_loopback(endpoint),
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Says what went wrong without repeating what the provider sent.
pub(super) fn reason(problem: &DiscoveryError<FetchProblem>) -> String {
    match problem {
        DiscoveryError::Request(problem) => problem.to_string(),
        DiscoveryError::Response(status, _, _) => format!("an unexpected answer with status {status}"),
        DiscoveryError::Parse(problem) => format!("an unreadable answer, at `{}`", problem.path()),
        DiscoveryError::Validation(_) => "it calls itself by another issuer".to_owned(),
        DiscoveryError::UrlParse(problem) => format!("a broken address: {problem}"),
        DiscoveryError::Other(_) | _ => "a request that could not be made".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_leave_this_machine_by_https_only() {
        let url = |text| Url::parse(text).unwrap();
        let far = url("https://idp.example.jp");
        let near = url("http://127.0.0.1:8080");
        assert!(is_safe(&url("https://token.example.jp/x"), &far));
        assert!(is_safe(&url("http://localhost:8080/x"), &near));
        assert!(is_safe(&url("https://token.example.jp/x"), &near));
        for (endpoint, issuer) in [
            ("http://idp.example.jp/x", &far),
            ("http://127.0.0.1/x", &far),
            ("http://idp.example.jp/x", &near),
            ("file:///etc/passwd", &far),
        ] {
            assert!(!is_safe(&url(endpoint), issuer), "{endpoint}");
        }
    }
}

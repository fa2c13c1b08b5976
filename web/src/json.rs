//! What our own script says to the server and hears from it: JSON, and nothing that a form could send.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Fault, PageRequest, headers};

/// Reads a body that must be JSON and say so: a page of another site cannot send that without being asked first.
pub(crate) fn read<T: DeserializeOwned>(request: &PageRequest) -> Result<T, Fault> {
    if !is_json(&request.headers) {
        return Err(Fault::NotJson);
    }
    serde_json::from_slice(&request.body).map_err(|_| Fault::BadRequest)
}

/// Writes an answer.
pub(crate) fn write(answer: &impl Serialize) -> Result<Response<Bytes>, Fault> {
    let body = serde_json::to_vec(answer).map_err(|_| Fault::Internal)?;
    Ok(headers::document(StatusCode::OK, "application/json", "no-store", Bytes::from(body)))
}

/// Whether the body says that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let Ok(kind) = kind.to_str() else { return false };
    let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let parameters = parameters.trim().to_ascii_lowercase();
    kind.trim().eq_ignore_ascii_case("application/json") && matches!(parameters.as_str(), "" | "charset=utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_json_is_json() {
        let check = |kinds: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for kind in kinds {
                headers.append(CONTENT_TYPE, HeaderValue::from_static(kind));
            }
            is_json(&headers)
        };
        assert!(check(&["application/json"]) && check(&["Application/JSON; charset=UTF-8"]));
        for bad in
            ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "text/plain; application/json"]
        {
            assert!(!check(&[bad]), "{bad}");
        }
        assert!(!check(&[]) && !check(&["application/json", "text/plain"]));
    }
}

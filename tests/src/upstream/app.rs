//! What the app does, by path:
//! `/bytes/N` N zero bytes; `/film` 1,000,000 bytes with `Range`; `/sink` counts what is posted; `/hold` never answers;
//! `/trickle` begins and then sends one byte every 20 ms; `/events` server-sent events; `/socket` a WebSocket that
//! echoes; `/trailers` an answer with trailers; `/refuse` answers 409 without reading; `/cookies` sets cookies, the
//! gateway's too; `/headers` answers fields no app should set or tell; `/save` a file to be saved; `/late-end` three
//! bytes, as announced, and a second later their end; `/busy` wants to hear nothing for two hours;
//! `/wards/NF/patients` the patients N1 and N2, who lie on that floor; `/status/N` that status; `/reception/form` a page with a form; `/clinic` what [`clinic`] says; all else is
//! echoed.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;

use super::{clinic, socket, text};
use crate::{Payload, fed, filled};

/// Where health is asked for.
pub const HEALTH: &str = "/healthy";
/// How many bytes `/film` has.
const FILM_BYTES: u64 = 1_000_000;
/// What `/reception/form` shows.
pub const FORM: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Reception</title></head><body><form \
    method=\"post\" action=\"/reception/notes\"><input id=\"note\" name=\"note\"><button id=\"send\">Send</button></form></body></html>";
const TICK: Duration = Duration::from_millis(20);

pub async fn answer(request: Request<Incoming>) -> Result<Response<Payload>, Infallible> {
    let path = request.uri().path().to_owned();
    let (page, rest) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    Ok(match page {
        "bytes" => Response::new(filled(rest.parse().expect("a number of bytes"))),
        "film" => film(&request),
        "sink" => sink(request).await,
        "clinic" => clinic::answer(request).await,
        "hold" => std::future::pending().await,
        "trickle" => ticking("application/octet-stream", "."),
        "events" => ticking("text/event-stream", "data: beat\n\n"),
        "socket" => socket::upgrade(request),
        "trailers" => trailers(request).await,
        "refuse" => with_status(409, "not that"),
        "save" => to_be_saved(),
        "late-end" => late_end(),
        "wards" if rest.ends_with("F/patients") => floor(rest.trim_end_matches("F/patients")),
        "cookies" => cookies(),
        "headers" => overbearing(),
        "busy" => busy(),
        "status" => with_status(rest.parse().expect("a status"), "as you wish"),
        "reception" if rest == "form" && request.method() == "GET" => form(),
        _ => echo(request).await,
    })
}

pub fn with_status(status: u16, body: &'static str) -> Response<Payload> {
    let mut response = Response::new(text(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

fn busy() -> Response<Payload> {
    let mut response = with_status(429, "later");
    response.headers_mut().insert("retry-after", HeaderValue::from_static("7200"));
    response
}

fn floor(number: &str) -> Response<Payload> {
    let patients = [1, 2].map(|bed| json!({ "id": format!("{number}{bed}") }));
    let mut response = Response::new(text(json!({ "patients": patients }).to_string()));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

async fn echo(request: Request<Incoming>) -> Response<Payload> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|all| all.to_bytes()).unwrap_or_default();
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let told = json!({
        "method": head.method.as_str(),
        "target": head.uri.path_and_query().map(|both| both.as_str()),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    let mut response = Response::new(text(told.to_string()));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

async fn sink(request: Request<Incoming>) -> Response<Payload> {
    let mut body = request.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Err(_) => return with_status(400, "the body broke off"),
        }
    }
    Response::new(text(bytes.to_string()))
}

fn film(request: &Request<Incoming>) -> Response<Payload> {
    let range = request.headers().get("range").and_then(|value| value.to_str().ok()).and_then(asked_range);
    let Some((from, to)) = range else {
        let mut whole = Response::new(filled(FILM_BYTES));
        whole.headers_mut().insert("accept-ranges", HeaderValue::from_static("bytes"));
        return whole;
    };
    let mut part = Response::new(filled(to - from + 1));
    *part.status_mut() = StatusCode::PARTIAL_CONTENT;
    let place = format!("bytes {from}-{to}/{FILM_BYTES}");
    part.headers_mut().insert("content-range", HeaderValue::try_from(place).expect("a header value"));
    part
}

fn asked_range(field: &str) -> Option<(u64, u64)> {
    let (from, to) = field.strip_prefix("bytes=")?.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn ticking(kind: &'static str, piece: &'static str) -> Response<Payload> {
    let (sender, body) = fed();
    tokio::spawn(async move {
        while sender.send(Frame::data(Bytes::from_static(piece.as_bytes()))).await.is_ok() {
            tokio::time::sleep(TICK).await;
        }
    });
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    response
}

fn late_end() -> Response<Payload> {
    let (sender, body) = fed();
    tokio::spawn(async move {
        sender.send(Frame::data(Bytes::from_static(b"abc"))).await.ok();
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
    let mut response = Response::new(body);
    response.headers_mut().insert("content-length", HeaderValue::from_static("3"));
    response
}

async fn trailers(request: Request<Incoming>) -> Response<Payload> {
    let (sender, body) = fed();
    let asked = request.into_body().collect().await.expect("the request's body comes to its end");
    let came = asked.trailers().and_then(|all| all.get("x-asked")).cloned();
    tokio::spawn(async move {
        sender.send(Frame::data(asked.to_bytes())).await.ok();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        if let Some(came) = came {
            trailers.insert("x-asked", came);
        }
        sender.send(Frame::trailers(trailers)).await.ok();
    });
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response.headers_mut().insert("trailer", HeaderValue::from_static("grpc-status, x-asked"));
    response
}

fn form() -> Response<Payload> {
    let mut response = Response::new(text(FORM));
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn to_be_saved() -> Response<Payload> {
    let mut response = Response::new(text("00012345,shiken"));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("text/csv"));
    headers.insert("content-disposition", HeaderValue::from_static("attachment; filename=\"patients.csv\""));
    response
}

fn cookies() -> Response<Payload> {
    let mut response = Response::new(text("baked"));
    for cookie in [
        "emr=1; Path=/; HttpOnly",
        "__Host-sekimori=stolen; Path=/; Secure",
        "__host-sekimori=stolen; Path=/; Secure",
        "__Host-sekimori-h-1=stolen; Path=/; Secure",
        "__Host-sekimori=stolen",
        " __Host-sekimori =stolen; Path=/",
        // A cookie without a name is sent back as its value alone, which is then a name and a value.
        "=__Host-sekimori=stolen; Path=/",
    ] {
        response.headers_mut().append("set-cookie", HeaderValue::from_static(cookie));
    }
    response
}

fn overbearing() -> Response<Payload> {
    let mut response = Response::new(text("as if"));
    for (name, value) in [
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=99999"),
        ("proxy-authenticate", "Basic"),
        ("strict-transport-security", "max-age=0"),
        ("server", "Apache/1.3.0"),
        ("x-powered-by", "PHP/4"),
        ("access-control-allow-origin", "*"),
        ("x-app", "kept"),
        ("content-type", "text/plain"),
    ] {
        response.headers_mut().append(name, HeaderValue::from_static(value));
    }
    response
}

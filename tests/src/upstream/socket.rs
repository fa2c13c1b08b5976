//! The app's WebSocket: over HTTP/1.1 by upgrade, with a field that names a patient; it sends back each text it gets.

use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::{Frame, Payload, WebSocket, accept_key, empty};

pub fn upgrade(mut request: Request<Incoming>) -> Response<Payload> {
    let Some(key) = request.headers().get("sec-websocket-key").and_then(|key| key.to_str().ok()) else {
        return super::app::with_status(400, "not a WebSocket");
    };
    let accept = HeaderValue::try_from(accept_key(key)).expect("base64 is a header value");
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(stream) = upgraded.await {
            echo(WebSocket::server(TokioIo::new(stream))).await;
        }
    });
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", HeaderValue::from_static("upgrade"));
    headers.insert("upgrade", HeaderValue::from_static("websocket"));
    headers.insert("sec-websocket-accept", accept);
    headers.insert("x-patient-id", HeaderValue::from_static("7"));
    response
}

async fn echo(mut socket: WebSocket<TokioIo<hyper::upgrade::Upgraded>>) {
    while let Some(frame) = socket.next().await {
        match frame {
            Frame::Text(text) => {
                if socket.send(&text).await.is_err() {
                    return;
                }
            }
            Frame::Close(_) => {
                socket.close(1000).await.ok();
                return;
            }
            Frame::Other(..) => {}
        }
    }
}

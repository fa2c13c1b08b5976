//! A request read into the domain's words, once: method, host, path, action. Whatever two servers could read
//! differently ends here.

use std::rc::Rc;

use http::header::{self, HeaderMap};
use http::{Request, Version};
use hyper::ext::Protocol;
use policy::{Action, Host, Method, Path, RequestId, Timestamp};
use web::{AnswerForm, Fault};

use crate::client_body::ClientBody;
use crate::connection::Connection;
use crate::places::Held;
use crate::telemetry::Trace;
use crate::tunnel;
use crate::vitals::OpenExchange;

/// A request that could be read.
#[derive(Debug)]
pub struct Inbound {
    /// Its id.
    pub id: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// The connection it came by.
    pub connection: Rc<Connection>,
    /// The method as sent.
    pub method: Method,
    /// The host it is addressed to; the same as the TLS name.
    pub host: Host,
    /// Its path.
    pub path: Path,
    /// Its query, without `?`.
    pub query: Option<String>,
    /// Which protocol it asks to switch to.
    pub switch: Switch,
    /// For whom a refusal would be written.
    pub form: AnswerForm,
    /// The request itself.
    pub request: Request<ClientBody>,
    /// Counts it on its connection.
    pub open: Option<OpenExchange>,
    /// Its places among what its person and its app have open.
    pub held: Option<Held>,
    /// Its trace, where it is traced.
    pub trace: Option<Rc<Trace>>,
}

/// Which protocol a request asks to switch to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Switch {
    /// None.
    No,
    /// WebSocket over HTTP/1.1 (RFC 6455).
    WebSocket,
    /// WebSocket over HTTP/2 (RFC 8441).
    WebSocketOverHttp2,
    /// The stream of a TCP app, by the same extended CONNECT.
    Tunnel,
}

/// A request that is refused before it can be judged.
#[derive(Debug)]
pub struct Unread {
    /// What goes to the client.
    pub fault: Fault,
    /// What goes into the log.
    pub code: &'static str,
    /// Its id.
    pub id: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// The host, where it could be read.
    pub host: Option<Host>,
    /// For whom the refusal is written.
    pub form: AnswerForm,
}

/// For whom a refusal of this request is written.
pub fn answer_form(headers: &HeaderMap, method: &Method) -> AnswerForm {
    if web::wants_page(headers, method) { AnswerForm::Page(web::language(headers)) } else { AnswerForm::Problem }
}

impl Inbound {
    /// Reads a request, into one place where it stays. `origin` is that of the connection's host, as browsers write it.
    ///
    /// # Errors
    /// [`Unread`]: answer and record it, forward nothing.
    pub fn read(
        request: Request<ClientBody>,
        connection: &Rc<Connection>,
        origin: &str,
        id: RequestId,
        at: Timestamp,
    ) -> Result<Box<Self>, Unread> {
        let open = connection.vitals.begin_exchange();
        let unread = |fault, code| Unread { fault, code, id, at, host: None, form: AnswerForm::Problem };
        let method = Method::parse(request.method().as_str()).ok_or_else(|| unread(Fault::BadRequest, "method"))?;
        let form = answer_form(request.headers(), &method);
        let host =
            read_host(&request, connection).map_err(|code| Unread { form, ..unread(Fault::BadRequest, code) })?;
        let bad = |fault, code| Unread { host: Some(host.clone()), form, ..unread(fault, code) };
        if connection.server_name != host {
            return Err(bad(Fault::Misdirected, "host-not-of-this-connection"));
        }
        let mut lengths = request.headers().get_all(header::CONTENT_LENGTH).iter().map(http::HeaderValue::as_bytes);
        let (length, second) = (lengths.next(), lengths.next());
        if second.is_some() {
            return Err(bad(Fault::BadRequest, "content-length-repeated"));
        }
        if length.is_some_and(|digits| digits.is_empty() || !digits.iter().all(u8::is_ascii_digit)) {
            return Err(bad(Fault::BadRequest, "content-length-unreadable"));
        }
        let switch = read_switch(&request).map_err(|code| bad(Fault::BadRequest, code))?;
        if switch != Switch::No && !comes_from_here(request.headers(), origin) {
            return Err(bad(Fault::ForeignForm, "websocket-of-another-origin"));
        }
        let path = Path::parse(request.uri().path()).map_err(|_| bad(Fault::BadRequest, "path"))?;
        let query = request.uri().query().map(str::to_owned);
        Ok(Box::new(Self {
            id,
            at,
            connection: Rc::clone(connection),
            method,
            host,
            path,
            query,
            switch,
            form,
            request,
            open: Some(open),
            held: None,
            trace: None,
        }))
    }

    /// What it would do, by its method alone.
    pub fn action(&self) -> Action {
        match self.switch {
            Switch::No => self.method.action(),
            Switch::WebSocket | Switch::WebSocketOverHttp2 | Switch::Tunnel => Action::Connect,
        }
    }
}

/// The one host a request names: `:authority` or `Host`, and where both stand they agree (RFC 9112 section 3.2,
/// RFC 9113 section 8.3.1).
fn read_host(request: &Request<ClientBody>, connection: &Connection) -> Result<Host, &'static str> {
    let uri = request.uri();
    let mut fields = request.headers().get_all(header::HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (None, _) => None,
        (Some(one), None) => Some(one.to_str().map_err(|_| "host")?),
        (Some(_), Some(_)) => return Err("host-repeated"),
    };
    if uri.scheme().is_some_and(|scheme| *scheme != http::uri::Scheme::HTTPS) {
        return Err("scheme");
    }
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let text = match (authority, field) {
        (None, None) => return Err("host-missing"),
        (Some(text), None) | (None, Some(text)) => text,
        (Some(one), Some(other)) if one.eq_ignore_ascii_case(other) => one,
        (Some(_), Some(_)) => return Err("host-contradicts-target"),
    };
    // Nearly always the very name of the connection, written as browsers write it: then it was read once already.
    if text == connection.introduction.host || text == connection.server_name.as_str() {
        return Ok(connection.server_name.clone());
    }
    Host::parse_authority(text).map_err(|_| "host")
}

/// Whether a WebSocket handshake comes from a page of the very host it asks for (RFC 6455 section 10.2): browsers send
/// cookies along with a foreign page's WebSocket, and no `SameSite` holds back a neighbouring host. Programs that send
/// no `Origin` have no cookies that a page could abuse.
fn comes_from_here(headers: &HeaderMap, origin: &str) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(one), None) => one.as_bytes() == origin.as_bytes(),
        (Some(_), Some(_)) => false,
    }
}

/// Which protocol is asked for. `CONNECT` is refused but for WebSocket over HTTP/2
/// and for the streams of TCP apps, which the route refuses on the hosts of others; an `Upgrade` to
/// anything but WebSocket is left out, as RFC 9110 section 7.8 allows.
fn read_switch(request: &Request<ClientBody>) -> Result<Switch, &'static str> {
    let protocol = request.extensions().get::<Protocol>();
    if request.method() == http::Method::CONNECT {
        return match protocol {
            Some(protocol) if protocol.as_str() == "websocket" => Ok(Switch::WebSocketOverHttp2),
            Some(protocol) if protocol.as_str() == tunnel::PROTOCOL => Ok(Switch::Tunnel),
            Some(_) | None => Err("connect"),
        };
    }
    let headers = request.headers();
    let names = |name: header::HeaderName, token: &str| {
        headers.get_all(name).iter().any(|value| {
            value.to_str().is_ok_and(|text| text.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
        })
    };
    let upgrades = request.version() == Version::HTTP_11
        && request.method() == http::Method::GET
        && headers.contains_key(header::UPGRADE)
        && names(header::UPGRADE, "websocket")
        && names(header::CONNECTION, "upgrade");
    if !upgrades {
        return Ok(Switch::No);
    }
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    if has_body { Err("websocket-with-body") } else { Ok(Switch::WebSocket) }
}

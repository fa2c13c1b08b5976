//! Connections to upstreams that wait for the next request. Each worker has its own, so no request takes a lock.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use hyper::client::conn::{http1, http2};

use crate::body::RequestBody;

/// How long a connection may wait before it is not used again.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How many connections to one upstream may wait.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// Waiting connections, by upstream.
#[derive(Default)]
pub struct Pool {
    waiting: RefCell<HashMap<u64, Waiting>>,
}

#[derive(Default)]
struct Waiting {
    http1: Vec<(http1::SendRequest<RequestBody>, Instant)>,
    http2: Option<http2::SendRequest<RequestBody>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} upstreams)", self.waiting.borrow().len())
    }
}

impl Pool {
    /// Takes a waiting HTTP/1.1 connection, newest first.
    pub fn take_http1(&self, upstream: u64, now: Instant) -> Option<http1::SendRequest<RequestBody>> {
        let mut waiting = self.waiting.borrow_mut();
        let connections = &mut waiting.get_mut(&upstream)?.http1;
        while let Some((sender, since)) = connections.pop() {
            if now.saturating_duration_since(since) > IDLE_MAX {
                connections.clear();
                return None;
            }
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    /// The shared HTTP/2 connection.
    pub fn http2(&self, upstream: u64) -> Option<http2::SendRequest<RequestBody>> {
        let waiting = self.waiting.borrow();
        waiting.get(&upstream)?.http2.clone().filter(|sender| !sender.is_closed())
    }

    /// Shares a new HTTP/2 connection.
    pub fn share_http2(&self, upstream: u64, sender: http2::SendRequest<RequestBody>) {
        self.waiting.borrow_mut().entry(upstream).or_default().http2 = Some(sender);
    }

    /// Forgets the shared HTTP/2 connection, which failed.
    pub fn forget_http2(&self, upstream: u64) {
        if let Some(waiting) = self.waiting.borrow_mut().get_mut(&upstream) {
            waiting.http2 = None;
        }
    }

    /// Closes what waits for upstreams that are not in force, and what waited too long.
    pub fn sweep(&self, in_force: impl Fn(u64) -> bool, now: Instant) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|upstream, _| in_force(*upstream));
        for upstream in waiting.values_mut() {
            upstream
                .http1
                .retain(|(sender, since)| !sender.is_closed() && now.saturating_duration_since(*since) <= IDLE_MAX);
        }
    }
}

/// An HTTP/1.1 connection that is lent to one exchange. Dropped, it is closed: only an exchange that was read and sent
/// to the end gives it back.
pub struct Lease {
    sender: http1::SendRequest<RequestBody>,
    upstream: u64,
    pool: Rc<Pool>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.upstream)
    }
}

impl Lease {
    /// Lends a connection.
    pub fn new(sender: http1::SendRequest<RequestBody>, upstream: u64, pool: Rc<Pool>) -> Self {
        Self { sender, upstream, pool }
    }

    /// The connection.
    pub fn sender(&mut self) -> &mut http1::SendRequest<RequestBody> {
        &mut self.sender
    }

    /// Lets the connection wait for the next exchange.
    pub fn give_back(self) {
        if self.sender.is_closed() {
            return;
        }
        let mut waiting = self.pool.waiting.borrow_mut();
        let connections = &mut waiting.entry(self.upstream).or_default().http1;
        if connections.len() < IDLE_CONNECTIONS_MAX {
            connections.push((self.sender, Instant::now()));
        }
    }
}

//! Connections to upstreams that wait for the next request. Each worker has its own, so no request takes a lock.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use hyper::client::conn::http2;

use crate::body::RequestBody;
use crate::upstream::http1::Connection;

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
    http1: Vec<(Connection, Instant)>,
    http2: Option<http2::SendRequest<RequestBody>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} upstreams)", self.waiting.borrow().len())
    }
}

impl Pool {
    /// Takes a waiting HTTP/1.1 connection, newest first.
    pub fn take_http1(&self, upstream: u64, now: Instant) -> Option<Connection> {
        let mut waiting = self.waiting.borrow_mut();
        let connections = &mut waiting.get_mut(&upstream)?.http1;
        while let Some((mut connection, since)) = connections.pop() {
            if now.saturating_duration_since(since) > IDLE_MAX {
                connections.clear();
                return None;
            }
            if connection.is_quiet() {
                return Some(connection);
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
                .retain_mut(|(waiting, since)| now.saturating_duration_since(*since) <= IDLE_MAX && waiting.is_quiet());
        }
    }
}

/// Where a connection waits between exchanges. Only an exchange that was read and sent to the end brings it back.
pub struct Home {
    pool: Rc<Pool>,
    upstream: u64,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Home({})", self.upstream)
    }
}

impl Home {
    /// The place of connections to an upstream.
    pub fn new(pool: Rc<Pool>, upstream: u64) -> Self {
        Self { pool, upstream }
    }

    /// Lets a connection wait for the next exchange.
    pub fn take_back(self, connection: Connection) {
        let mut waiting = self.pool.waiting.borrow_mut();
        let connections = &mut waiting.entry(self.upstream).or_default().http1;
        if connections.len() < IDLE_CONNECTIONS_MAX {
            connections.push((connection, Instant::now()));
        }
    }
}

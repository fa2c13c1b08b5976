//! Whether an upstream answers: asked from the control plane every few seconds, and noted at once when a request fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::snapshot::{AppRoute, Server};
use crate::upstream::dial::Dialer;
use crate::upstream::probe;

/// How often an upstream is asked.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(3);

/// Whether one upstream answers.
#[derive(Debug)]
pub struct Answers(AtomicBool);

impl Default for Answers {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Answers {
    /// Whether it answered when last asked. True before it was asked.
    pub fn yes(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes whether it answered; says so when that changed.
    pub fn note(&self, answers: bool) -> bool {
        self.0.swap(answers, Ordering::Relaxed) != answers
    }
}

/// Asks every upstream of an app once. The port of a TCP app is not asked: to its server, a connection that says
/// nothing is an attack, or fills its log.
pub async fn probe_app(route: &AppRoute, dialer: &Dialer) {
    if route.app.tcp().is_some() {
        return;
    }
    for server in &route.servers {
        let answered = probe_server(route, server, dialer).await;
        let answers = answered.is_ok();
        if server.answers.note(answers) {
            match answered {
                Ok(()) => tracing::info!(app = %route.app.id, upstream = %server.authority, "upstream answers again"),
                Err(reason) => {
                    tracing::error!(app = %route.app.id, upstream = %server.authority, %reason, "upstream does not answer");
                }
            }
        }
    }
}

/// Asks one upstream: its health path where it has one, else only for a connection.
///
/// # Errors
/// What went wrong, in words.
pub async fn probe_server(route: &AppRoute, server: &Server, dialer: &Dialer) -> Result<(), String> {
    match &route.app.health_path {
        None => dialer
            .stream(&server.host, server.port, server.tls.as_ref())
            .await
            .map(drop)
            .map_err(|problem| problem.to_string()),
        Some(path) => probe::get(route, server, path, dialer).await,
    }
}

//! Which tunnels are open, so that another line can go on where one was cut: whichever worker takes that line.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::{AppId, RequestId, SessionId};
use tokio::sync::{mpsc, oneshot};

use super::Line;

/// How many tunnels may be open at once.
const TUNNELS_MAX: usize = 512;

/// All open tunnels.
#[derive(Clone, Default)]
pub struct Tunnels(Arc<Mutex<HashMap<RequestId, Entry>>>);

struct Entry {
    secret: [u8; 32],
    app: AppId,
    session: Option<SessionId>,
    lines: mpsc::Sender<GoOn>,
}

/// Another line wants to go on.
#[derive(Debug)]
pub struct GoOn {
    /// Up to where the client has the bytes of the other side.
    pub received: u64,
    /// Where the tunnel says up to where it has the client's; dropped where it cannot go on.
    pub accepted: oneshot::Sender<u64>,
    /// The line, once the client was answered.
    pub line: oneshot::Receiver<Line>,
}

/// A place among the open tunnels, until dropped.
pub struct Place {
    tunnels: Tunnels,
    id: RequestId,
    /// What the client proves with that a line is its tunnel's.
    pub secret: String,
    /// Lines that go on.
    pub lines: mpsc::Receiver<GoOn>,
}

impl Tunnels {
    /// Takes a place for a tunnel. `None` where too many are open.
    pub fn open(&self, id: RequestId, app: AppId, session: Option<SessionId>) -> Option<Place> {
        let mut random = [0; 32];
        rand::fill(&mut random).ok()?;
        let secret = URL_SAFE_NO_PAD.encode(random);
        let (sender, lines) = mpsc::channel(1);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= TUNNELS_MAX {
            return None;
        }
        open.insert(id, Entry { secret: hash(&secret), app, session, lines: sender });
        Some(Place { tunnels: self.clone(), id, secret, lines })
    }

    /// Where to go on with a tunnel: only with its secret, for the same app and in the same session.
    pub fn find(&self, id: &str, secret: &str, app: &AppId, session: Option<SessionId>) -> Option<mpsc::Sender<GoOn>> {
        let id = RequestId::parse(id)?;
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = open.get(&id)?;
        let is_its = verify_slices_are_equal(&entry.secret, &hash(secret)).is_ok();
        (is_its && entry.app == *app && entry.session == session).then(|| entry.lines.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tunnels.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnels(..)")
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.id)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(digest(&SHA256, secret.as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Timestamp;

    fn id(number: u32) -> RequestId {
        RequestId::new(Timestamp::from_unix_micros(1), u128::from(number))
    }

    fn app(id: &str) -> AppId {
        AppId::parse(id).unwrap()
    }

    #[test]
    fn only_its_secret_app_and_session_find_a_tunnel_and_only_while_it_is_open() {
        let tunnels = Tunnels::default();
        let session = Some(SessionId::new(1));
        let place = tunnels.open(id(1), app("shell"), session).unwrap();
        let find = |id: &str, secret: &str, of: &str, session| tunnels.find(id, secret, &app(of), session).is_some();
        let named = id(1).to_string();
        let secret = place.secret.clone();
        assert!(find(&named, &secret, "shell", session));
        assert!(!find(&named, "x", "shell", session));
        assert!(!find(&named, &secret, "pacs", session));
        assert!(!find(&named, &secret, "shell", Some(SessionId::new(2))));
        assert!(!find(&named, &secret, "shell", None));
        assert!(!find(&id(2).to_string(), &secret, "shell", session));
        assert!(!find("nothing", &secret, "shell", session));
        drop(place);
        assert!(!find(&named, &secret, "shell", session));
    }

    #[test]
    fn no_more_than_the_bound_are_open() {
        let tunnels = Tunnels::default();
        let mut all: Vec<_> = (0..u32::try_from(TUNNELS_MAX).unwrap())
            .map(|number| tunnels.open(id(number), app("shell"), None).unwrap())
            .collect();
        assert!(tunnels.open(id(9_999), app("shell"), None).is_none());
        all.pop();
        assert!(tunnels.open(id(9_999), app("shell"), None).is_some());
    }
}

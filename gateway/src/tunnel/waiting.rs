//! Which tunnels are open, so that another line can go on where one was cut: whichever worker takes that line.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::Session;
use policy::{Access, AppId, Device, DeviceId, From, RequestId, SessionId, UserId};
use tokio::sync::{mpsc, oneshot};

use super::Line;

/// How many tunnels may be open at once.
const TUNNELS_MAX: usize = 512;
/// How many of them one holder may have, so that nobody takes all.
const OF_ONE_MAX: usize = 64;

/// All open tunnels.
#[derive(Clone, Default)]
pub struct Tunnels(Arc<Mutex<HashMap<RequestId, Entry>>>);

struct Entry {
    secret: [u8; 32],
    app: AppId,
    holder: Holder,
    lines: mpsc::Sender<GoOn>,
}

/// Whose a tunnel is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    person: Option<UserId>,
    session: Option<SessionId>,
    device: Option<DeviceId>,
    address: IpAddr,
}

impl Holder {
    /// Whose the tunnel of this access is.
    pub fn of(access: &Access, session: Option<&Session>) -> Self {
        Self {
            person: session.map(|session| session.who.user.clone()),
            session: session.map(Session::id),
            device: access.device.as_ref().map(|device| device.id.clone()),
            address: access.from.address,
        }
    }

    /// Whether this one may go on with the other's tunnel: from wherever, but in its session and on its device.
    fn may_go_on(&self, other: &Self) -> bool {
        (self.session, &self.device) == (other.session, &other.device)
    }

    /// Whether both are one as far as tunnels are counted: by person, else by device, else by address.
    fn is_one(&self, other: &Self) -> bool {
        self.person == other.person
            && (self.person.is_some()
                || self.device == other.device && (self.device.is_some() || self.address == other.address))
    }
}

/// Another line wants to go on.
#[derive(Debug)]
pub struct GoOn {
    /// Up to where the client has the bytes of the other side.
    pub received: u64,
    /// Where it comes from now.
    pub from: From,
    /// The device, as it is known now.
    pub device: Option<Arc<Device>>,
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
    /// Takes a place for a tunnel. `None` where too many are open, or too many of this holder's.
    pub fn open(&self, id: RequestId, app: AppId, holder: Holder) -> Option<Place> {
        let mut random = [0; 32];
        rand::fill(&mut random).ok()?;
        let secret = URL_SAFE_NO_PAD.encode(random);
        let (sender, lines) = mpsc::channel(1);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = open.values().filter(|entry| entry.holder.is_one(&holder)).count();
        if open.len() >= TUNNELS_MAX || of_one >= OF_ONE_MAX {
            return None;
        }
        open.insert(id, Entry { secret: hash(&secret), app, holder, lines: sender });
        Some(Place { tunnels: self.clone(), id, secret, lines })
    }

    /// Where to go on with a tunnel: only with its secret, for the same app, in the same session and on the same device.
    pub fn find(&self, id: &str, secret: &str, app: &AppId, holder: &Holder) -> Option<mpsc::Sender<GoOn>> {
        let id = RequestId::parse(id)?;
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = open.get(&id)?;
        let is_its = verify_slices_are_equal(&entry.secret, &hash(secret)).is_ok();
        (is_its && entry.app == *app && holder.may_go_on(&entry.holder)).then(|| entry.lines.clone())
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

    fn holder(session: Option<u64>, device: Option<&str>, address: &str) -> Holder {
        Holder {
            person: session.map(|number| UserId::parse(&format!("u-{number}")).unwrap()),
            session: session.map(SessionId::new),
            device: device.map(|id| DeviceId::parse(id).unwrap()),
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn only_its_secret_app_session_and_device_find_a_tunnel_and_only_while_it_is_open() {
        let tunnels = Tunnels::default();
        let its = holder(Some(1), Some("laptop"), "10.0.0.1");
        let place = tunnels.open(id(1), app("shell"), its.clone()).unwrap();
        let find =
            |id: &str, secret: &str, of: &str, holder: &Holder| tunnels.find(id, secret, &app(of), holder).is_some();
        let named = id(1).to_string();
        let secret = place.secret.clone();
        assert!(find(&named, &secret, "shell", &its));
        assert!(find(&named, &secret, "shell", &holder(Some(1), Some("laptop"), "192.0.2.1")), "from elsewhere");
        assert!(!find(&named, "x", "shell", &its));
        assert!(!find(&named, &secret, "pacs", &its));
        assert!(!find(&named, &secret, "shell", &holder(Some(2), Some("laptop"), "10.0.0.1")));
        assert!(!find(&named, &secret, "shell", &holder(None, Some("laptop"), "10.0.0.1")));
        assert!(!find(&named, &secret, "shell", &holder(Some(1), Some("other"), "10.0.0.1")));
        assert!(!find(&named, &secret, "shell", &holder(Some(1), None, "10.0.0.1")));
        assert!(!find(&id(2).to_string(), &secret, "shell", &its));
        assert!(!find("nothing", &secret, "shell", &its));
        drop(place);
        assert!(!find(&named, &secret, "shell", &its));
    }

    #[test]
    fn nobody_takes_all_of_them() {
        let tunnels = Tunnels::default();
        let cases = [
            [holder(Some(1), Some("laptop"), "10.0.0.1"), holder(Some(2), Some("laptop"), "10.0.0.1")],
            [holder(None, Some("laptop"), "10.0.0.1"), holder(None, Some("other"), "10.0.0.1")],
            [holder(None, None, "10.0.0.1"), holder(None, None, "10.0.0.2")],
        ];
        for [one, other] in cases {
            let count = u32::try_from(OF_ONE_MAX).unwrap();
            let _all: Vec<_> =
                (0..count).map(|number| tunnels.open(id(number), app("shell"), one.clone()).unwrap()).collect();
            assert!(tunnels.open(id(count), app("pacs"), one.clone()).is_none(), "{one:?}");
            assert!(tunnels.open(id(count), app("shell"), other).is_some(), "{one:?}");
        }
    }

    #[test]
    fn somebody_who_signs_in_again_has_no_more_of_them() {
        let tunnels = Tunnels::default();
        let of = |session: u64, device| Holder {
            session: Some(SessionId::new(session)),
            ..holder(Some(1), Some(device), "10.0.0.1")
        };
        let count = u32::try_from(OF_ONE_MAX).unwrap();
        let open = |number: u32| tunnels.open(id(number), app("shell"), of(u64::from(number % 4), "laptop"));
        let _all: Vec<_> = (0..count).map(|number| open(number).unwrap()).collect();
        assert!(tunnels.open(id(count), app("shell"), of(9, "another")).is_none());
    }

    #[test]
    fn no_more_than_the_bound_are_open() {
        let tunnels = Tunnels::default();
        let of = |number| holder(Some(u64::from(number)), None, "10.0.0.1");
        let mut all: Vec<_> = (0..u32::try_from(TUNNELS_MAX).unwrap())
            .map(|number| tunnels.open(id(number), app("shell"), of(number)).unwrap())
            .collect();
        assert!(tunnels.open(id(9_999), app("shell"), of(9_999)).is_none());
        all.pop();
        assert!(tunnels.open(id(9_999), app("shell"), of(9_999)).is_some());
    }
}

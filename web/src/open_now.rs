//! What is open at this moment under grants: streams, tunnels, downloads. The gateway enters them; the console shows
//! them. Deliberately not here: ending them. A grant that is over is a fact, by which each is judged again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use policy::{Access, GrantId};

/// What is open at this moment under grants.
#[derive(Debug, Default)]
pub struct OpenNow {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<OpenOne>>>,
}

/// One thing that is open.
#[derive(Debug)]
pub(crate) struct OpenOne {
    /// What was asked when it was opened.
    pub(crate) access: Access,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl OpenOne {
    /// Bytes so far, from the person and to them.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.bytes_in.load(Ordering::Relaxed), self.bytes_out.load(Ordering::Relaxed))
    }
}

/// Keeps one thing in the list until dropped.
#[derive(Debug)]
pub struct OpenEntry {
    list: Arc<OpenNow>,
    key: u64,
    one: Arc<OpenOne>,
}

impl OpenNow {
    /// Enters what is open under a grant; nothing for what needs none. As many are in it as are open.
    #[must_use]
    pub fn enter(self: &Arc<Self>, access: &Access) -> Option<OpenEntry> {
        access.grant.as_ref()?;
        let one = OpenOne { access: access.clone(), bytes_in: AtomicU64::new(0), bytes_out: AtomicU64::new(0) };
        let (key, one) = (self.next.fetch_add(1, Ordering::Relaxed), Arc::new(one));
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&one));
        Some(OpenEntry { list: Arc::clone(self), key, one })
    }

    /// What is open under a grant, oldest first.
    pub(crate) fn under(&self, grant: &GrantId) -> Vec<Arc<OpenOne>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_its = |one: &&Arc<OpenOne>| one.access.grant.as_ref().is_some_and(|its| its.id == *grant);
        open.values().filter(is_its).cloned().collect()
    }
}

impl OpenEntry {
    /// Tells how many bytes have passed.
    pub fn moved(&self, bytes_in: u64, bytes_out: u64) {
        self.one.bytes_in.store(bytes_in, Ordering::Relaxed);
        self.one.bytes_out.store(bytes_out, Ordering::Relaxed);
    }
}

impl Drop for OpenEntry {
    fn drop(&mut self) {
        self.list.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::{Action, AppId, From, Grant, Host, Method, Path, RequestId, Timestamp};

    fn access(grant: Option<&str>) -> Access {
        Access {
            request: RequestId::new(Timestamp::from_unix_micros(0), 0),
            at: Timestamp::from_unix_micros(0),
            app: AppId::parse("emr").unwrap(),
            action: Action::Read,
            class: None,
            method: Method::parse("GET").unwrap(),
            host: Host::parse("emr.example.jp").unwrap(),
            path: Path::parse("/").unwrap(),
            who: None,
            device: None,
            from: From { address: "127.0.0.1".parse().unwrap(), zone: policy::ZoneId::parse("inside").unwrap() },
            grant: grant.map(|id| Grant::named(GrantId::parse(id).unwrap())),
        }
    }

    #[test]
    fn what_is_open_is_listed_under_its_grant_until_it_ends() {
        let list = Arc::new(OpenNow::default());
        let own = GrantId::parse("g-1").unwrap();
        assert!(list.enter(&access(None)).is_none(), "what rests on no grant is nobody's business");
        let one = list.enter(&access(Some("g-1"))).unwrap();
        let _other = list.enter(&access(Some("g-2"))).unwrap();
        one.moved(3, 4);
        let open = list.under(&own);
        assert_eq!(open.iter().map(|one| one.bytes()).collect::<Vec<_>>(), [(3, 4)]);
        drop(one);
        assert!(list.under(&own).is_empty());
    }
}

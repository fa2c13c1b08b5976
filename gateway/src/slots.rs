//! How many connections may be open: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limit::network_of;

/// Slots for open connections, shared by all workers.
#[derive(Debug)]
pub struct Slots {
    all: Arc<Semaphore>,
    per_address_max: usize,
    open: Gauge,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's slot, given back when dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// So many in all, so many from one address (IPv6: one /64); `open` shows how many there are.
    pub fn new(all_max: usize, per_address_max: usize, open: Gauge) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(all_max.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { all, per_address_max, open, by_address: Mutex::default() })
    }

    /// Takes a slot, if there is one.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let address = network_of(address);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_address.entry(address).or_default();
        if *open >= self.per_address_max {
            return None;
        }
        *open += 1;
        self.open.inc();
        Some(Slot { slots: Arc::clone(self), address, _permit: permit })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.open.dec();
        let mut by_address = self.slots.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_address.get_mut(&self.address) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_bounded_in_all_and_per_address() {
        let slots = Slots::new(3, 2, Gauge::default());
        let (here, there): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = slots.take(here).unwrap();
        let _second = slots.take(here).unwrap();
        assert!(slots.take(here).is_none());
        let _third = slots.take(there).unwrap();
        assert!(slots.take(there).is_none());
        drop(first);
        assert!(slots.take(here).is_some());
        assert_eq!(slots.by_address.lock().unwrap().len(), 2);
    }
}

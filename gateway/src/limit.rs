//! How often one address and one account may ask (governor). Keys are bounded: past the bound everyone waits until
//! idle keys are forgotten, every second, so that a flood of addresses cannot fill the memory.
//!
//! Where several nodes serve, what one account may ask is shared among them: each gives its part, so that all together
//! never give more. What one address may ask holds for each node.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use config::Limits;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use policy::UserId;

/// The most keys remembered at once, of each kind.
const KEYS_MAX: usize = 100_000;
/// A burst may be so many times the rate of a second.
const BURST_SECONDS: u32 = 10;
/// Proofs a minute that are begun for one account. Only callers who hold a session of that account count against it,
/// or for a name that was only typed, callers from one network: a stranger never uses up what its person may ask.
const PROOFS_PER_MINUTE_ACCOUNT: u32 = 30;
/// What a refused caller is told to wait where nothing better is known.
const WAIT_WHEN_FULL: Duration = Duration::from_secs(10);

/// For whom a proof is begun.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Account {
    /// The person of the caller's own session.
    Own(UserId),
    /// The digest of a name that a caller typed, and the network it was typed from.
    Named(u64, IpAddr),
}

impl Account {
    /// A name as it was typed, which may be anybody's.
    pub fn named(name: &[u8], address: IpAddr) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self::Named(hasher.finish(), network_of(address))
    }
}

/// The limiters, shared by all workers.
#[derive(Debug)]
pub struct Limiter {
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    accounts: DefaultKeyedRateLimiter<UserId>,
    sign_ins: DefaultKeyedRateLimiter<IpAddr>,
    proofs: DefaultKeyedRateLimiter<Account>,
    clock: DefaultClock,
    full: AtomicBool,
    /// How many nodes share what an account may ask: so much one request of an account costs here.
    nodes: AtomicU32,
}

impl Limiter {
    /// Makes the limiters.
    pub fn new(limits: &Limits) -> Self {
        Self::of(
            limits.requests_per_second_address,
            limits.requests_per_second_account,
            limits.sign_ins_per_minute_address,
        )
    }

    /// With these rates of addresses and accounts a second, and of sign-ins a minute.
    fn of(addresses: u32, accounts: u32, sign_ins: u32) -> Self {
        Self {
            addresses: RateLimiter::keyed(per_second(addresses)),
            accounts: RateLimiter::keyed(per_second(accounts)),
            sign_ins: RateLimiter::keyed(Quota::per_minute(at_least_one(sign_ins))),
            proofs: RateLimiter::keyed(Quota::per_minute(at_least_one(PROOFS_PER_MINUTE_ACCOUNT))),
            clock: DefaultClock::default(),
            full: AtomicBool::new(false),
            nodes: AtomicU32::new(1),
        }
    }

    /// From now on so many nodes share what an account may ask.
    pub fn share(&self, nodes: usize) {
        self.nodes.store(u32::try_from(nodes).unwrap_or(u32::MAX).max(1), Ordering::Relaxed);
    }

    /// Counts a request of an address.
    ///
    /// # Errors
    /// How long to wait.
    pub fn address(&self, address: IpAddr) -> Result<(), Duration> {
        if self.full.load(Ordering::Relaxed) {
            return Err(WAIT_WHEN_FULL);
        }
        self.check(&self.addresses, &network_of(address))
    }

    /// Counts a request of an account.
    ///
    /// # Errors
    /// How long to wait.
    pub fn account(&self, user: &UserId) -> Result<(), Duration> {
        self.check_shared(&self.accounts, user)
    }

    /// Counts a sign-in attempt of an address.
    ///
    /// # Errors
    /// How long to wait.
    pub fn sign_in(&self, address: IpAddr) -> Result<(), Duration> {
        self.check(&self.sign_ins, &network_of(address))
    }

    /// Counts a proof that is begun for an account.
    ///
    /// # Errors
    /// How long to wait.
    pub fn proof(&self, account: &Account) -> Result<(), Duration> {
        self.check_shared(&self.proofs, account)
    }

    fn check<K: Hash + Eq + Clone>(&self, limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Duration> {
        match limiter.check_key(key) {
            Ok(()) => Ok(()),
            Err(not_until) => Err(not_until.wait_time_from(self.clock.now())),
        }
    }

    fn check_shared<K: Hash + Eq + Clone>(
        &self,
        limiter: &DefaultKeyedRateLimiter<K>,
        key: &K,
    ) -> Result<(), Duration> {
        let nodes = NonZeroU32::new(self.nodes.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN);
        match limiter.check_key_n(key, nodes) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(self.clock.now())),
            // So many nodes share so little that a part of it is less than one request.
            Err(_) => self.check(limiter, key),
        }
    }

    /// Forgets whoever has not asked lately. Called every second by the control plane.
    pub fn prune(&self) {
        for limiter in [&self.addresses, &self.sign_ins] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        self.accounts.retain_recent();
        self.accounts.shrink_to_fit();
        self.proofs.retain_recent();
        self.proofs.shrink_to_fit();
        let keys = self.addresses.len().max(self.accounts.len()).max(self.proofs.len());
        self.full.store(keys > KEYS_MAX, Ordering::Relaxed);
    }
}

fn per_second(rate: u32) -> Quota {
    Quota::per_second(at_least_one(rate)).allow_burst(at_least_one(rate.saturating_mul(BURST_SECONDS)))
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

/// The address itself; of IPv6 the /64, because one host owns all of it.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => v6
            .to_ipv4_mapped()
            .map_or_else(|| IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))), IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv6_network_is_one_caller() {
        let near: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::ffff:1".parse().unwrap();
        let other: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        assert_eq!(network_of(near), network_of(same));
        assert_ne!(network_of(near), network_of(other));
        assert_eq!(network_of("::ffff:10.0.0.1".parse().unwrap()), "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_stranger_does_not_use_up_what_a_person_may_ask() {
        let proofs = RateLimiter::keyed(Quota::per_minute(at_least_one(1)));
        let (stranger, home): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let person = Account::Own(UserId::parse("u-1").unwrap());
        assert!(proofs.check_key(&Account::named(b"n.sato", stranger)).is_ok());
        assert!(proofs.check_key(&Account::named(b"n.sato", stranger)).is_err());
        assert!(proofs.check_key(&Account::named(b"n.sato", home)).is_ok());
        assert!(proofs.check_key(&person).is_ok());
        assert!(proofs.check_key(&person).is_err());
    }

    #[test]
    fn nodes_share_what_an_account_may_ask_and_not_what_an_address_may() {
        let limiter = Limiter::of(100, 1, 10);
        limiter.share(2);
        let (one, two) = (UserId::parse("u-1").unwrap(), UserId::parse("u-2").unwrap());
        let asked = |user: &UserId| (0..20).filter(|_| limiter.account(user).is_ok()).count();
        assert_eq!(asked(&one), 5, "half of the ten of a burst");
        limiter.share(1);
        assert_eq!(asked(&two), 10);
        limiter.share(1_000);
        let three = UserId::parse("u-3").unwrap();
        assert_eq!(asked(&three), 10, "a part too small to be one counts whole");
        let address = "192.0.2.1".parse().unwrap();
        limiter.share(2);
        assert!((0..20).all(|_| limiter.address(address).is_ok()));
    }
}

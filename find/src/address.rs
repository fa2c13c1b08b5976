//! Addresses that are asked for: one, or all that begin alike.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use crate::FindProblem;

/// One address, or all of a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses(IpNet);

impl Addresses {
    /// Whether an address is one of them.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// The one address, where it is one.
    pub(crate) fn only(&self) -> Option<IpAddr> {
        (self.0.prefix_len() == self.0.max_prefix_len()).then(|| self.0.addr())
    }
}

impl FromStr for Addresses {
    type Err = FindProblem;

    /// Reads `10.1.2.3`, `10.1.2.0/24`, or the beginning of an address: `10.1.`
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let one = text.parse::<IpAddr>().map(IpNet::from).ok();
        let network = || text.parse::<IpNet>().map(|network| network.trunc()).ok();
        one.or_else(network).or_else(|| beginning(text)).map(Self).ok_or_else(|| FindProblem::Question {
            what: "address",
            value: text.to_owned(),
            remedy: "write `10.1.2.3`, `10.1.2.0/24` or `10.1.`",
        })
    }
}

/// The addresses that begin with one, two or three whole numbers.
fn beginning(text: &str) -> Option<IpNet> {
    let numbers: Vec<u8> = text.strip_suffix('.')?.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    let bits = u8::try_from(numbers.len()).ok().filter(|count| (1..=3).contains(count))? * 8;
    let mut octets = [0; 4];
    octets.iter_mut().zip(&numbers).for_each(|(octet, number)| *octet = *number);
    Ipv4Net::new(Ipv4Addr::from(octets), bits).ok().map(IpNet::V4)
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only() {
            Some(address) => address.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_a_network_or_the_beginning_of_an_address_can_be_asked_for() {
        let read = |text: &str| text.parse::<Addresses>().map(|read| read.to_string()).ok();
        assert_eq!(read("10.1.2.3").as_deref(), Some("10.1.2.3"));
        assert_eq!(read("10.1.2.3/16").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(read("10.1.").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(read("2001:db8::/32").as_deref(), Some("2001:db8::/32"));
        for wrong in ["", "10", "10.1", "10.1.2.3.", "10.300.", "10..", "ward", "10.1.2.0/33", "１０.1."] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let addresses: Addresses = "10.1.".parse().unwrap();
        assert!(addresses.has("10.1.9.9".parse().unwrap()) && !addresses.has("10.2.0.0".parse().unwrap()));
    }
}

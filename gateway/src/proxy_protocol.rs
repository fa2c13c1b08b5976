//! Who a connection through a balancer is from: the PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt).
//!
//! Believed only from the balancers that `proxy_protocol_from` of a listener names, and demanded of them. Read strictly:
//! what is not exactly as the protocol says closes the connection, for an address that is guessed is worse than none.
//! Deliberately not here: version 1, which is text without a length.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The part of a header whose length is fixed.
const FIXED_BYTES: usize = 16;
/// The longest rest: addresses and the fields that balancers add. Those of TLS and clouds take a few hundred bytes.
const REST_BYTES_MAX: usize = 2_048;
/// A field that holds a checksum of the whole header.
const CHECKSUM: u8 = 0x03;

/// Who a connection is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// This client.
    Client(IpAddr),
    /// The balancer itself: it looks whether we are well.
    Balancer,
}

/// Why a header is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// It begins otherwise: version 1, or no header at all.
    #[error("it does not begin as version 2 of the PROXY protocol does")]
    Signature,
    /// Another version or command.
    #[error("its version or command is unknown")]
    Command,
    /// A client that came by something else than TCP over IP.
    #[error("it does not tell of TCP over IPv4 or IPv6")]
    Family,
    /// Too long, or too short for what it tells.
    #[error("its length does not fit what it tells")]
    Length,
    /// Fields that do not fill the rest.
    #[error("its fields do not fill the rest of it")]
    Fields,
    /// A checksum that does not hold.
    #[error("its checksum does not hold")]
    Checksum,
    /// An address that no client has.
    #[error("it tells of an address that no client has")]
    Address,
}

/// Reads the header from a connection, and not a byte more.
///
/// # Errors
/// [`Malformed`] as `InvalidData`, or what the connection says; either way it is to be closed.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Origin> {
    let malformed = |why: Malformed| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut fixed = [0; FIXED_BYTES];
    stream.read_exact(&mut fixed).await?;
    let mut rest = vec![0; rest_bytes(&fixed).map_err(malformed)?];
    stream.read_exact(&mut rest).await?;
    origin(&fixed, &rest).map_err(malformed)
}

/// How long the rest of a header is.
fn rest_bytes(fixed: &[u8; FIXED_BYTES]) -> Result<usize, Malformed> {
    let Some((signature, [version_and_command, _family, high, low])) = fixed.split_first_chunk::<12>() else {
        return Err(Malformed::Signature);
    };
    if *signature != SIGNATURE {
        return Err(Malformed::Signature);
    }
    if !matches!(version_and_command, 0x20 | 0x21) {
        return Err(Malformed::Command);
    }
    let bytes = usize::from(u16::from_be_bytes([*high, *low]));
    if bytes > REST_BYTES_MAX { Err(Malformed::Length) } else { Ok(bytes) }
}

/// Whom a whole header names.
fn origin(fixed: &[u8; FIXED_BYTES], rest: &[u8]) -> Result<Origin, Malformed> {
    if rest_bytes(fixed)? != rest.len() {
        return Err(Malformed::Length);
    }
    let [.., version_and_command, family, _, _] = *fixed;
    if version_and_command == 0x20 {
        // Whatever else it tells is to be skipped.
        return Ok(Origin::Balancer);
    }
    let (address, fields) = match family {
        0x11 => {
            let (addresses, fields) = rest.split_first_chunk::<12>().ok_or(Malformed::Length)?;
            let [a, b, c, d, ..] = *addresses;
            (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), fields)
        }
        0x21 => {
            let (addresses, fields) = rest.split_first_chunk::<36>().ok_or(Malformed::Length)?;
            let (source, _) = addresses.split_first_chunk::<16>().ok_or(Malformed::Length)?;
            (IpAddr::V6(Ipv6Addr::from(*source)).to_canonical(), fields)
        }
        _ => return Err(Malformed::Family),
    };
    look_at_fields(fixed, rest, fields)?;
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(Malformed::Address);
    }
    Ok(Origin::Client(address))
}

/// Looks whether the fields fill the rest, and at the checksum among them, if there is one.
fn look_at_fields(fixed: &[u8], rest: &[u8], mut fields: &[u8]) -> Result<(), Malformed> {
    while !fields.is_empty() {
        let ([kind, high, low], after) = fields.split_first_chunk().ok_or(Malformed::Fields)?;
        let bytes = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, others) = after.split_at_checked(bytes).ok_or(Malformed::Fields)?;
        if *kind == CHECKSUM {
            let told = u32::from_be_bytes(value.try_into().map_err(|_| Malformed::Fields)?);
            // Over the whole header, with nothing where the checksum itself stands.
            let before = rest.len() - others.len() - bytes;
            let zeroed = rest.iter().enumerate().map(
                |(at, byte)| {
                    if (before..before + bytes).contains(&at) { 0 } else { *byte }
                },
            );
            if crc32c(fixed.iter().copied().chain(zeroed)) != told {
                return Err(Malformed::Checksum);
            }
        }
        fields = others;
    }
    Ok(())
}

/// CRC-32C (Castagnoli; RFC 3720 appendix B.4).
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend(rest);
        header
    }

    fn v4(source: [u8; 4]) -> Vec<u8> {
        [&source[..], &[10, 0, 0, 1], &[0x30, 0x39, 1, 0xbb]].concat()
    }

    fn v6(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &[0; 16], &[0x30, 0x39, 1, 0xbb]].concat()
    }

    fn field(kind: u8, value: &[u8]) -> Vec<u8> {
        let bytes = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[kind], &bytes[..], value].concat()
    }

    fn checksummed(addresses: &[u8]) -> Vec<u8> {
        let mut whole = header(0x21, 0x11, &[addresses, &field(CHECKSUM, &[0; 4])].concat());
        let sum = crc32c(whole.iter().copied()).to_be_bytes();
        let at = whole.len() - 4;
        whole[at..].copy_from_slice(&sum);
        whole
    }

    /// What is read of these bytes, and how many of them are left.
    fn read_all(bytes: &[u8]) -> (Result<Origin, Option<Malformed>>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut left = bytes;
        let told = runtime.block_on(read(&mut left));
        let why = |error: io::Error| error.get_ref().and_then(|why| why.downcast_ref::<Malformed>()).copied();
        (told.map_err(why), left.len())
    }

    #[test]
    fn a_client_is_named_and_what_follows_is_left_alone() {
        let follows = b"\x16\x03\x01".as_slice();
        let client = |text: &str| Ok(Origin::Client(text.parse().unwrap()));
        let with = field(0x01, b"h2");
        for (bytes, told) in [
            (header(0x21, 0x11, &v4([192, 0, 2, 7])), client("192.0.2.7")),
            (header(0x21, 0x21, &v6("2001:db8::7")), client("2001:db8::7")),
            (header(0x21, 0x21, &v6("::ffff:192.0.2.7")), client("192.0.2.7")),
            (
                header(0x21, 0x11, &[v4([192, 0, 2, 7]), with.clone(), field(0x04, &[0; 9])].concat()),
                client("192.0.2.7"),
            ),
            (checksummed(&v4([192, 0, 2, 7])), client("192.0.2.7")),
            (header(0x20, 0x00, &[]), Ok(Origin::Balancer)),
            (header(0x20, 0x11, &v4([192, 0, 2, 7])), Ok(Origin::Balancer)),
        ] {
            assert_eq!(read_all(&[&bytes, follows].concat()), (told, follows.len()), "{bytes:x?}");
        }
    }

    #[test]
    fn whatever_is_not_exactly_a_header_is_none() {
        use Malformed::{Address, Checksum, Command, Family, Fields, Length, Signature};
        let good = v4([192, 0, 2, 7]);
        let mut wrong_sum = checksummed(&good);
        wrong_sum[17] ^= 1;
        for (bytes, why) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n".to_vec(), Signature),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaa".to_vec(), Signature),
            (header(0x11, 0x11, &good), Command),
            (header(0x22, 0x11, &good), Command),
            (header(0x21, 0x00, &good), Family),
            (header(0x21, 0x12, &good), Family),
            (header(0x21, 0x31, &[0; 216]), Family),
            (header(0x21, 0x11, &good[..11]), Length),
            (header(0x21, 0x21, &good), Length),
            (header(0x21, 0x11, &[0; 3_000]), Length),
            (header(0x20, 0x00, &[0; 3_000]), Length),
            (header(0x21, 0x11, &[good.clone(), vec![1]].concat()), Fields),
            (header(0x21, 0x11, &[good.clone(), vec![1, 0, 9, 0]].concat()), Fields),
            (header(0x21, 0x11, &[good.clone(), field(CHECKSUM, &[1, 2])].concat()), Fields),
            (wrong_sum, Checksum),
            (header(0x21, 0x11, &v4([0, 0, 0, 0])), Address),
            (header(0x21, 0x11, &v4([224, 0, 0, 1])), Address),
            (header(0x21, 0x11, &v4([255, 255, 255, 255])), Address),
            (header(0x21, 0x21, &v6("::")), Address),
        ] {
            assert_eq!(read_all(&bytes).0, Err(Some(why)), "{bytes:x?}");
        }
    }

    #[test]
    fn a_header_that_breaks_off_is_none() {
        let whole = header(0x21, 0x11, &v4([192, 0, 2, 7]));
        for bytes in 0..whole.len() {
            assert_eq!(read_all(&whole[..bytes]).0, Err(None), "{bytes}");
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_the_books() {
        assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
        assert_eq!(crc32c([0; 32].into_iter()), 0x8a91_36aa);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_stumble_and_none_are_read_beyond_the_header(
            head in any::<[u8; 4]>(),
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [&SIGNATURE[..], &head, &rest].concat();
            let (told, left) = read_all(&bytes);
            if told.is_ok() {
                let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
                prop_assert_eq!(left, rest.len() - length);
            }
        }

        #[test]
        fn a_header_reads_back_as_what_it_was_written_for(
            source in any::<[u8; 4]>(),
            fields in prop::collection::vec((4u8.., prop::collection::vec(any::<u8>(), 0..20)), 0..4),
        ) {
            let address = Ipv4Addr::from(source);
            prop_assume!(!address.is_unspecified() && !address.is_multicast() && !address.is_broadcast());
            let fields: Vec<u8> = fields.iter().flat_map(|(kind, value)| field(*kind, value)).collect();
            let bytes = header(0x21, 0x11, &[v4(source), fields].concat());
            prop_assert_eq!(read_all(&bytes), (Ok(Origin::Client(IpAddr::V4(address))), 0));
        }

        #[test]
        fn one_changed_bit_of_a_checksummed_header_is_seen(bit in 0usize..(16 + 12 + 7) * 8) {
            let mut bytes = checksummed(&v4([192, 0, 2, 7]));
            bytes[bit / 8] ^= 1 << (bit % 8);
            let told = read_all(&bytes).0;
            // The bit that makes it the balancer's own, the family beside a skipped rest, and what makes the checksum
            // another field, which may then say anything.
            let becomes_other = bit / 8 == 12 || bit / 8 == 28;
            prop_assert!(becomes_other || told.is_err(), "{:?}", told);
        }
    }
}

//! Numbers in as few bits as they need: by blocks, each the distance from its smallest.

/// Numbers of one block.
const BLOCK: usize = 1024;
/// The most bits that one reading of eight bytes can hold wherever it begins.
const EASY_BITS: u32 = 56;

/// Writes numbers, after how many there are.
pub(crate) fn pack(numbers: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(numbers.len()).unwrap_or(u32::MAX).to_le_bytes());
    let mut numbers = numbers.fuse();
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.clear();
        block.extend(numbers.by_ref().take(BLOCK));
        let (Some(least), Some(most)) = (block.iter().min().copied(), block.iter().max().copied()) else { return };
        let bits = u64::BITS - (most - least).leading_zeros();
        out.extend_from_slice(&least.to_le_bytes());
        out.extend(bits.to_le_bytes().first());
        let (mut held, mut count) = (0_u128, 0);
        for number in &block {
            held |= u128::from(number - least) << count;
            count += bits;
            while count >= u64::BITS {
                out.extend_from_slice(&low(held).to_le_bytes());
                held >>= u64::BITS;
                count -= u64::BITS;
            }
        }
        out.extend(low(held).to_le_bytes().iter().take(count.div_ceil(8) as usize));
    }
}

/// Reads what [`pack`] wrote, each made into what is wanted of it; nothing where that is not what it is.
pub(crate) fn unpack<N>(bytes: &[u8], make: impl Fn(u64) -> N) -> Option<Vec<N>> {
    let (count, mut rest) = bytes.split_first_chunk::<4>()?;
    let mut left = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    // Nothing is taken for granted of a number that may be damaged: nine bytes hold a block at least.
    let mut numbers = Vec::with_capacity(left.min(rest.len().div_ceil(9).saturating_mul(BLOCK)));
    while left > 0 {
        let (least, after) = rest.split_first_chunk::<8>()?;
        let (bits, after) = after.split_first()?;
        let (least, bits, of_block) = (u64::from_le_bytes(*least), u32::from(*bits), left.min(BLOCK));
        if bits > u64::BITS {
            return None;
        }
        let (packed, after) = after.split_at_checked((of_block * bits as usize).div_ceil(8))?;
        spread(packed, (least, bits, of_block), &make, &mut numbers);
        rest = after;
        left -= of_block;
    }
    rest.is_empty().then_some(numbers)
}

/// Adds the numbers of a block.
fn spread<N>(packed: &[u8], (least, bits, count): (u64, u32, usize), make: &impl Fn(u64) -> N, numbers: &mut Vec<N>) {
    if bits == 0 {
        numbers.extend((0..count).map(|_| make(least)));
        return;
    }
    let mask = u64::MAX >> (u64::BITS - bits);
    let at = |number: usize| {
        let bit = number * bits as usize;
        let here = packed.get(bit / 8..).unwrap_or_default();
        let shift = (bit % 8) as u32;
        if let Some(eight) = here.first_chunk::<8>().filter(|_| bits <= EASY_BITS) {
            return (u64::from_le_bytes(*eight) >> shift) & mask;
        }
        let held = here.iter().take(9).rev().fold(0_u128, |held, byte| (held << 8) | u128::from(*byte));
        low(held >> shift) & mask
    };
    numbers.extend((0..count).map(|number| make(least.wrapping_add(at(number)))));
}

/// The lower half.
fn low(wide: u128) -> u64 {
    (wide & u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(
            wide in prop::collection::vec(any::<u64>(), 0..40),
            bits in 0_u32..64,
            count in 0_usize..3_000,
        ) {
            let narrow: Vec<u64> = (0..count as u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> bits).collect();
            for numbers in [wide, narrow] {
                let mut bytes = Vec::new();
                pack(numbers.iter().copied(), &mut bytes);
                prop_assert_eq!(unpack(&bytes, |number| number), Some(numbers));
                for end in [bytes.len().saturating_sub(1), bytes.len() / 2, 3] {
                    if end < bytes.len() {
                        prop_assert_eq!(unpack(&bytes[..end], |number| number), None);
                    }
                }
            }
        }

        #[test]
        fn whatever_it_reads_it_ends(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _numbers = unpack(&bytes, |number| number);
        }
    }

    #[test]
    fn small_distances_take_few_bytes() {
        let mut bytes = Vec::new();
        pack((0..1_000_u32).map(|n| 1_000_000_000_000 + u64::from(n % 2)), &mut bytes);
        assert_eq!(bytes.len(), 4 + 9 + 125);
    }
}

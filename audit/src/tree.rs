//! The Merkle tree over the log's lines (RFC 6962 section 2.1), kept as the right edge of its C2SP tlog-tiles:
//! per level at most 255 hashes, whatever the size of the log.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// Hashes in a full tile.
pub(crate) const TILE_WIDTH: usize = 256;

/// A SHA-256 hash.
pub(crate) type Hash = [u8; 32];

/// Lines up to this long are hashed in one step, from a copy behind the byte that marks a leaf. Most are.
const SHORT_BYTES: usize = 1_023;

/// The hash of a leaf: the line's bytes without the newline.
pub(crate) fn leaf_hash(line: &[u8]) -> Hash {
    let mut marked = [0; SHORT_BYTES + 1];
    if let Some(place) = marked.get_mut(1..=line.len()) {
        place.copy_from_slice(line);
        return to_hash(digest(&SHA256, marked.get(..=line.len()).unwrap_or_default()).as_ref());
    }
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(line);
    to_hash(context.finish().as_ref())
}

/// The hash of an inner node.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    if let Some((to_left, to_right)) = bytes.get_mut(1..).and_then(|both| both.split_at_mut_checked(left.len())) {
        to_left.copy_from_slice(left);
        to_right.copy_from_slice(right);
    }
    to_hash(digest(&SHA256, &bytes).as_ref())
}

fn to_hash(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap_or([0; 32])
}

/// The root of a perfect subtree, from the hashes of its lowest row (a power of two of them).
pub(crate) fn perfect_root(row: &[Hash]) -> Hash {
    let mut row = row.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).filter_map(|pair| Some(node_hash(pair.first()?, pair.last()?))).collect();
    }
    row.first().copied().unwrap_or([0; 32])
}

/// A tile that became full: it never changes again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FullTile {
    pub(crate) level: u8,
    pub(crate) index: u64,
    pub(crate) hashes: Vec<Hash>,
}

/// The right edge of a tree that grows leaf by leaf.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tree {
    size: u64,
    // Invariant: level l holds floor(size / 256^l) mod 256 hashes.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// A tree whose right edge is known: `levels[l]` are the hashes of the partial tile at level l.
    pub(crate) fn from_edge(size: u64, levels: Vec<Vec<Hash>>) -> Self {
        Self { size, levels }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; tiles that became full are pushed to `full`, lowest level first.
    pub(crate) fn push(&mut self, leaf: Hash, full: &mut Vec<FullTile>) {
        self.size += 1;
        let mut hash = leaf;
        let mut tiles_at_level = self.size;
        for level in 0_u8.. {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::with_capacity(TILE_WIDTH));
            }
            let Some(row) = self.levels.get_mut(usize::from(level)) else { return };
            row.push(hash);
            if row.len() < TILE_WIDTH {
                return;
            }
            tiles_at_level /= TILE_WIDTH as u64;
            hash = perfect_root(row);
            let hashes = std::mem::replace(row, Vec::with_capacity(TILE_WIDTH));
            full.push(FullTile { level, index: tiles_at_level - 1, hashes });
        }
    }

    /// The hashes of the lowest partial tile.
    pub(crate) fn lowest(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// The partial tiles of the right edge that are not empty: level, index, hashes.
    pub(crate) fn partial_tiles(&self) -> impl Iterator<Item = (u8, u64, &[Hash])> {
        let mut index = self.size;
        (0_u8..).zip(&self.levels).filter_map(move |(level, row)| {
            index /= TILE_WIDTH as u64;
            (!row.is_empty()).then_some((level, index, row.as_slice()))
        })
    }

    /// The root hash; of an empty tree the hash of nothing.
    pub(crate) fn root(&self) -> Hash {
        let mut peaks = Vec::new();
        for row in self.levels.iter().rev() {
            let mut rest = row.as_slice();
            while !rest.is_empty() {
                let peak = 1_usize << rest.len().ilog2();
                let (perfect, after) = rest.split_at_checked(peak).unwrap_or((rest, &[]));
                peaks.push(perfect_root(perfect));
                rest = after;
            }
        }
        let Some(last) = peaks.pop() else { return to_hash(digest(&SHA256, &[]).as_ref()) };
        peaks.iter().rev().fold(last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 6962 section 2.1, word for word.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => to_hash(digest(&SHA256, &[]).as_ref()),
            [only] => *only,
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                node_hash(&naive_root(&leaves[..half]), &naive_root(&leaves[half..]))
            }
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn roots_are_those_of_the_certificate_transparency_reference_tests() {
        let leaves: [&[u8]; 8] = [
            b"",
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            b"`abcdefghijklmno",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::default();
        assert_eq!(hex(&tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in leaves.iter().zip(roots) {
            tree.push(leaf_hash(leaf), &mut Vec::new());
            assert_eq!(hex(&tree.root()), root);
        }
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_that_the_specification_names() {
        let mut tree = Tree::default();
        let mut full = Vec::new();
        for n in 0_u32..70_000 {
            let mut leaf = [0; 32];
            leaf[..4].copy_from_slice(&n.to_be_bytes());
            tree.push(leaf, &mut full);
        }
        assert_eq!(full.iter().filter(|tile| tile.level == 0).count(), 273);
        assert_eq!(full.iter().filter(|tile| tile.level == 1).map(|tile| tile.index).collect::<Vec<_>>(), [0]);
        let partial: Vec<_> = tree.partial_tiles().map(|(level, index, row)| (level, index, row.len())).collect();
        assert_eq!(partial, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn the_root_is_the_naive_one_at_every_size(size in 0_usize..1_500, seed in any::<u64>()) {
            let leaves: Vec<Hash> = (0..size).map(|n| leaf_hash(format!("{seed} {n}").as_bytes())).collect();
            let mut tree = Tree::default();
            let mut full = Vec::new();
            for leaf in &leaves {
                tree.push(*leaf, &mut full);
            }
            prop_assert_eq!(tree.root(), naive_root(&leaves));
            for tile in &full {
                if tile.level == 0 {
                    let start = tile.index as usize * TILE_WIDTH;
                    prop_assert_eq!(&tile.hashes[..], &leaves[start..start + TILE_WIDTH]);
                }
            }
        }
    }
}

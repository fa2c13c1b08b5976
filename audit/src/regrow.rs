//! Growing the Merkle tree again when a log is opened: from the full tiles that the last checkpoint covers and the
//! lines after them, or, where a tile is missing, from all lines.

use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::recover::End;
use crate::sealer::Cursor;
use crate::segment::Segment;
use crate::tree::{Hash, TILE_WIDTH, Tree, leaf_hash, perfect_root};
use crate::{LogProblem, tile};

/// The tree over all lines, and where it ends in the files. It is checked against the checkpoint.
pub(crate) fn regrow(
    directory: &Path,
    segments: &[Segment],
    end: &End,
    signed: Option<&Checkpoint>,
) -> Result<(Tree, Cursor), LogProblem> {
    if let Some(tree) = signed.and_then(|signed| from_tiles(directory, signed.size))
        && let Some(grown) = grow(directory, segments, end, signed, tree)?
    {
        return Ok(grown);
    }
    grow(directory, segments, end, signed, Tree::default())?.ok_or_else(|| {
        let signed_size = signed.map_or(0, |signed| signed.size);
        LogProblem::damaged(directory, format!("the first {signed_size} lines are not those that were signed"))
    })
}

/// The tree of the full lowest tiles below `size`; `None` where one that it needs is missing.
fn from_tiles(directory: &Path, size: u64) -> Option<Tree> {
    let width = TILE_WIDTH as u64;
    let mut levels: Vec<Vec<Hash>> = vec![Vec::new()];
    let mut tiles = size / width;
    for level in 0_u8.. {
        if tiles == 0 {
            break;
        }
        let first = tiles - tiles % width;
        let row: Option<Vec<Hash>> = (first..tiles)
            .map(|index| tile::read(directory, level, index, TILE_WIDTH).map(|hashes| perfect_root(&hashes)))
            .collect();
        levels.push(row?);
        tiles /= width;
    }
    Some(Tree::from_edge(size - size % width, levels))
}

/// Adds the lines after the tree; `None` where it does not have the signed root at the signed size.
fn grow(
    directory: &Path,
    segments: &[Segment],
    end: &End,
    signed: Option<&Checkpoint>,
    mut tree: Tree,
) -> Result<Option<(Tree, Cursor)>, LogProblem> {
    let differs = |tree: &Tree| signed.is_some_and(|signed| signed.size == tree.size() && signed.root != tree.root());
    let mut cursor = Cursor { segment: end.segment.first, byte: 0 };
    let newest_before = segments.iter().rposition(|segment| segment.first <= tree.size()).unwrap_or(0);
    if differs(&tree) {
        return Ok(None);
    }
    let mut full = Vec::new();
    for segment in segments.iter().skip(newest_before) {
        cursor = Cursor { segment: segment.first, byte: 0 };
        let mut number = segment.first;
        let mut lines = segment.lines(0)?;
        while number < end.next {
            let Some(raw) = lines.next()?.filter(|raw| raw.ended) else { break };
            if number == tree.size() {
                tree.push(leaf_hash(raw.text), &mut full);
                if differs(&tree) {
                    return Ok(None);
                }
            }
            number += 1;
            cursor.byte += raw.bytes();
        }
        for tile in full.drain(..) {
            tile::write_full(directory, tile.level, tile.index, &tile.hashes)
                .map_err(|error| LogProblem::disk(&directory.join("tile"), &error))?;
        }
    }
    Ok((tree.size() == end.next).then_some((tree, cursor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_from_tiles_has_the_root_it_had() {
        let folder = crate::testing::Folder::new();
        let mut tree = Tree::default();
        let mut full = Vec::new();
        let mut at_edge = Vec::new();
        for n in 0..70_000_u32 {
            tree.push(leaf_hash(&n.to_be_bytes()), &mut full);
            if tree.size() == 69_888 {
                at_edge.push(tree.root());
            }
        }
        for tile in &full {
            crate::tile::write_full(folder.path(), tile.level, tile.index, &tile.hashes).unwrap();
        }
        let again = from_tiles(folder.path(), 70_000).unwrap();
        assert_eq!(again.size(), 69_888);
        assert_eq!(again.root(), at_edge[0]);
        std::fs::remove_file(folder.path().join("tile/0/272")).unwrap();
        assert!(from_tiles(folder.path(), 70_000).is_none());
    }
}

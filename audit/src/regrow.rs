//! Growing the Merkle tree again when a log is opened: from the full tiles before the newest segment and the lines after
//! them, or, where a tile is missing or wrong, from all lines. Tiles that are not as the lines say are made again.

use std::fs::File;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::reader::SegmentLines;
use crate::recover::End;
use crate::sealer::Cursor;
use crate::segment::{self, Segment};
use crate::tree::{FullTile, Hash, TILE_WIDTH, Tree, leaf_hash, perfect_root};
use crate::{LogProblem, Reader, deleted, disk, tile};

/// The tree over all lines, and where it ends in the files. It is checked against the checkpoint; only then are tiles
/// changed, so that those of a log that was tampered with still tell where.
pub(crate) fn regrow(
    reader: &Reader,
    file_system: &File,
    segments: &[Segment],
    end: &End,
    signed: Option<&Checkpoint>,
) -> Result<(Tree, Cursor), LogProblem> {
    let directory = reader.directory();
    let archived = segment::archived_end(segments);
    let newest = signed.map_or(0, |signed| signed.size.min(end.segment.first));
    if let Some(tree) = from_tiles(directory, newest, archived) {
        // Those of two segments at most.
        let mut lost = Vec::new();
        let grown = grow(reader, segments, end, signed, tree, &mut |full| {
            lost.extend((!is_kept(directory, &full, signed)).then_some(full));
            Ok(())
        })?;
        if let Some(grown) = grown {
            lost.iter().try_for_each(|full| write(directory, full))?;
            return keep(directory, file_system, !lost.is_empty()).map(|()| grown);
        }
    }
    let unfit = || {
        let signed_size = signed.map_or(0, |signed| signed.size);
        LogProblem::damaged(directory, format!("the first {signed_size} lines are not those that were signed"))
    };
    let kept = deleted::read(directory)?.map(|deleted| deleted.tree).unwrap_or_default();
    grow(reader, segments, end, signed, kept.clone(), &mut |_| Ok(()))?.ok_or_else(unfit)?;
    let grown = grow(reader, segments, end, signed, kept, &mut |full| {
        // The lowest tiles of archived lines are not kept.
        let is_gone = full.level == 0 && (full.index + 1) * TILE_WIDTH as u64 <= archived;
        if is_gone || is_kept(directory, &full, signed) { Ok(()) } else { write(directory, &full) }
    })?;
    keep(directory, file_system, true)?;
    grown.ok_or_else(unfit)
}

/// Whether a tile is on disk for sure: the checkpoint covers it, and it is as it should be. What can be read of a later
/// one may be in memory alone.
fn is_kept(directory: &Path, full: &FullTile, signed: Option<&Checkpoint>) -> bool {
    let leaves = (TILE_WIDTH as u64).saturating_pow(u32::from(full.level) + 1);
    signed.is_some_and(|signed| (full.index + 1).saturating_mul(leaves) <= signed.size)
        && tile::read(directory, full.level, full.index, TILE_WIDTH).is_some_and(|hashes| hashes == full.hashes)
}

fn write(directory: &Path, full: &FullTile) -> Result<(), LogProblem> {
    tile::write_full(directory, full.level, full.index, &full.hashes)
        .map_err(|error| LogProblem::disk(&directory.join("tile"), &error))
}

/// Syncs tiles that were made again: the last checkpoint may cover them, and the sealer takes them for kept.
fn keep(directory: &Path, file_system: &File, made: bool) -> Result<(), LogProblem> {
    if !made {
        return Ok(());
    }
    tracing::info!("tiles of the audit log were made again from its lines");
    disk::sync_file_system(file_system).map_err(|error| LogProblem::disk(&directory.join("tile"), &error))
}

/// The tree over the lines before `size`, up to a whole number of lowest tiles; `None` where a tile that it needs is
/// missing. Of lines before `archived` the lowest tiles may be gone: the hash of such a tile stands in the one above it.
pub(crate) fn from_tiles(directory: &Path, size: u64, archived: u64) -> Option<Tree> {
    let width = TILE_WIDTH as u64;
    let mut levels: Vec<Vec<Hash>> = vec![Vec::new()];
    let mut tiles = size / width;
    for level in 0_u8.. {
        if tiles == 0 {
            break;
        }
        let first = tiles - tiles % width;
        let mut above = None;
        let row: Option<Vec<Hash>> = (first..tiles)
            .map(|index| {
                let own = tile::read(directory, level, index, TILE_WIDTH).map(|hashes| perfect_root(&hashes));
                let may_be_gone = level == 0 && (index + 1) * width <= archived;
                own.or_else(|| {
                    may_be_gone.then_some(())?;
                    let wide = usize::try_from(tiles % width).unwrap_or(0);
                    let row: &Option<Vec<Hash>> =
                        above.get_or_insert_with(|| tile::read_wide(directory, level + 1, tiles / width, wide));
                    row.as_ref()?.get(usize::try_from(index - first).ok()?).copied()
                })
            })
            .collect();
        levels.push(row?);
        tiles /= width;
    }
    Some(Tree::from_edge(size - size % width, levels))
}

/// Adds the lines after the tree, and hands on the tiles that become full; `None` where it does not have the signed root at the signed size.
fn grow(
    reader: &Reader,
    segments: &[Segment],
    end: &End,
    signed: Option<&Checkpoint>,
    mut tree: Tree,
    take: &mut impl FnMut(FullTile) -> Result<(), LogProblem>,
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
        let (mut lines, mut number) = SegmentLines::open(reader, segment, tree.size())?;
        while number < end.next {
            let Some(raw) = lines.next()?.filter(|raw| raw.ended) else { break };
            if number == tree.size() {
                tree.push(leaf_hash(raw.text), &mut full);
                if differs(&tree) {
                    return Ok(None);
                }
                full.drain(..).try_for_each(&mut *take)?;
            }
            number += 1;
            cursor.byte += raw.bytes();
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
        let again = from_tiles(folder.path(), 70_000, 0).unwrap();
        assert_eq!(again.size(), 69_888);
        assert_eq!(again.root(), at_edge[0]);
        std::fs::remove_file(folder.path().join("tile/0/272")).unwrap();
        assert!(from_tiles(folder.path(), 70_000, 0).is_none());
    }
}

//! Tiles on disk, laid out as C2SP tlog-tiles says: `tile/<level>/x001/x234/067[.p/<width>]`, 32 bytes a hash.
//!
//! A tile is written without a sync of its own; at tens of thousands of lines a second that would cost more than the
//! lines. What holds after a power cut:
//! - Tiles that a checkpoint covers, partial ones too, are on disk: the sealer syncs the file system once before it puts
//!   the checkpoint in place, and removes partial tiles only after that. So `verify` may be strict about them.
//! - Later ones may be missing, short or wrong, full ones also for whoever looks while they are written. Nobody needs them:
//!   whoever reads takes the narrowest tile that is wide enough. Opening the log makes full ones again from the lines, whatever
//!   is there, and removes partial ones: the next checkpoint has others, and would vouch for these.
//! - Where that sync fails nobody knows which tiles were lost: the sealer goes back to the last checkpoint, and does the same.
//! - Against disks that forget what they said was synced, opening the log compares all tiles of the newest segment with
//!   its lines, and mends them once the lines are known to be those that were signed.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::tree::{Hash, TILE_WIDTH};

/// The path of a tile below the log's directory. Width [`TILE_WIDTH`] is a full tile.
pub(crate) fn path(level: u8, index: u64, width: usize) -> PathBuf {
    let mut name = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        name = format!("x{:03}/{name}", rest % 1_000);
        rest /= 1_000;
    }
    let partial = if width < TILE_WIDTH { format!(".p/{width}") } else { String::new() };
    PathBuf::from(format!("tile/{level}/{name}{partial}"))
}

/// Reads a tile's hashes; `None` where it is missing or not `width` hashes long.
pub(crate) fn read(directory: &Path, level: u8, index: u64, width: usize) -> Option<Vec<Hash>> {
    let bytes = std::fs::read(directory.join(path(level, index, width))).ok()?;
    let hashes: Vec<Hash> = bytes.chunks_exact(32).filter_map(|chunk| chunk.try_into().ok()).collect();
    (bytes.len() == width * 32).then_some(hashes)
}

/// Reads the first `width` hashes of a tile, where it is that wide or has become full since.
pub(crate) fn read_at_least(directory: &Path, level: u8, index: u64, width: usize) -> Option<Vec<Hash>> {
    read(directory, level, index, width).or_else(|| {
        let mut full = read(directory, level, index, TILE_WIDTH)?;
        full.truncate(width);
        Some(full)
    })
}

/// Reads the first `width` hashes of a tile from whatever version of it is that wide.
pub(crate) fn read_wide(directory: &Path, level: u8, index: u64, width: usize) -> Option<Vec<Hash>> {
    read_at_least(directory, level, index, width).or_else(|| {
        let folder = directory.join(path(level, index, TILE_WIDTH)).with_extension("p");
        let widths = std::fs::read_dir(folder).ok()?.flatten();
        let widths = widths.filter_map(|entry| width_of(&entry.file_name()));
        let mut wider: Vec<usize> = widths.filter(|wide| *wide >= width).collect();
        // The narrowest first: wider ones may be beyond the checkpoint.
        wider.sort_unstable();
        let mut hashes = wider.into_iter().find_map(|wide| read(directory, level, index, wide))?;
        hashes.truncate(width);
        Some(hashes)
    })
}

/// How wide a partial tile is, by its name.
pub(crate) fn width_of(name: &OsStr) -> Option<usize> {
    name.to_str()?.parse().ok()
}

/// Removes a full tile of the lowest level.
pub(crate) fn remove_lowest(directory: &Path, index: u64) -> io::Result<()> {
    disk::remove(&directory.join(path(0, index, TILE_WIDTH)))
}

/// Writes a full tile. The partial tiles that it replaces stay until it is synced.
pub(crate) fn write_full(directory: &Path, level: u8, index: u64, hashes: &[Hash]) -> io::Result<()> {
    disk::put(&directory.join(path(level, index, TILE_WIDTH)), hashes.as_flattened())
}

/// The tiles that are partial in a tree of `size` leaves: level, index, width.
pub(crate) fn edge(size: u64) -> impl Iterator<Item = (u8, u64, usize)> {
    let full = TILE_WIDTH as u64;
    let rows = std::iter::successors(Some(size), move |row| Some(row / full)).take_while(|row| *row > 0);
    let tiles = (0_u8..).zip(rows).map(move |(level, row)| (level, row / full, row % full));
    tiles.filter(|(_, _, width)| *width > 0).map(|(level, index, width)| (level, index, width as usize))
}

/// Removes the partial tiles that a full one replaces.
pub(crate) fn remove_partial(directory: &Path, level: u8, index: u64) -> io::Result<()> {
    match std::fs::remove_dir_all(directory.join(path(level, index, TILE_WIDTH)).with_extension("p")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the partial tiles that trees of more than `signed` and at most `size` leaves may have left.
pub(crate) fn remove_partial_after(directory: &Path, signed: u64, size: u64) -> io::Result<()> {
    let full = TILE_WIDTH as u64;
    let rows = std::iter::successors(Some((signed, size)), move |(signed, size)| Some((signed / full, size / full)));
    for (level, (signed, size)) in (0_u8..).zip(rows.take_while(|(_, size)| *size > 0)) {
        let (edge, kept) = (signed / full, signed % full);
        remove_wider(&directory.join(path(level, edge, TILE_WIDTH)).with_extension("p"), kept)?;
        (edge + 1..=size / full).try_for_each(|index| remove_partial(directory, level, index))?;
    }
    Ok(())
}

/// Removes from a folder of partial tiles those wider than `kept`, and what was to become one.
fn remove_wider(folder: &Path, kept: u64) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        if width_of(&name).is_none_or(|width| width as u64 > kept) {
            disk::remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// Writes a partial tile. It is whole or not there: it may be the last of its width.
pub(crate) fn write_partial(directory: &Path, level: u8, index: u64, hashes: &[Hash]) -> io::Result<()> {
    disk::put_whole(&directory.join(path(level, index, hashes.len())), hashes.as_flattened())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let check = |index, width, expected: &str| assert_eq!(path(3, index, width), PathBuf::from(expected));
        check(1_234_067, 256, "tile/3/x001/x234/067");
        check(0, 256, "tile/3/000");
        check(999, 1, "tile/3/999.p/1");
        check(1_000, 255, "tile/3/x001/000.p/255");
    }

    #[test]
    fn the_edge_is_where_the_tree_has_partial_tiles() {
        for size in [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000] {
            let (mut tree, mut full) = (crate::tree::Tree::default(), Vec::new());
            (0..size).for_each(|_| tree.push([0; 32], &mut full));
            let partial = tree.partial_tiles().map(|(level, index, row)| (level, index, row.len()));
            assert_eq!(edge(size).collect::<Vec<_>>(), partial.collect::<Vec<_>>(), "{size}");
        }
    }
}

//! Tiles on disk, laid out as C2SP tlog-tiles says: `tile/<level>/x001/x234/067[.p/<width>]`, 32 bytes a hash.

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

/// Writes a full tile so that it survives a power cut, and removes the partial tiles it replaces.
pub(crate) fn write_full(directory: &Path, level: u8, index: u64, hashes: &[Hash]) -> io::Result<()> {
    let file = directory.join(path(level, index, TILE_WIDTH));
    disk::replace(&file, hashes.as_flattened())?;
    match std::fs::remove_dir_all(file.with_extension("p")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a partial tile. It is not synced: opening the log makes it again from the lines.
pub(crate) fn write_partial(directory: &Path, level: u8, index: u64, hashes: &[Hash]) -> io::Result<()> {
    let file = directory.join(path(level, index, hashes.len()));
    if let Some(folder) = file.parent() {
        disk::make_directory(folder)?;
    }
    std::fs::write(file, hashes.as_flattened())
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
}

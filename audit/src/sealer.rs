//! The thread that seals: hashes what was written, writes tiles, signs checkpoints. It follows the log at its own pace
//! and holds nobody up; where it lags too far it reads the files again. What is promised of tiles: see [`tile`].

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::checkpoint::{self, Checkpoint};
use crate::core::Core;
use crate::segment::{self, Segment};
use crate::signed_note::Signer;
use crate::tail::Tail;
use crate::tree::{FullTile, Tree, leaf_hash};
use crate::{LogProblem, disk, tile};

/// How often it looks for new lines while there are none, and while there are: what is hashed at once is a time for
/// which requests wait where there is one processor.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const BUSY_LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// How often the newest checkpoint is replaced, at most.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// How often a checkpoint goes to the history, beside those at rotation and stop.
const HISTORY_INTERVAL: Duration = Duration::from_secs(60);
/// How long it waits for the lines of a checkpoint to be synced.
const SYNC_TIMEOUT: Duration = Duration::from_secs(2);

/// Follows the log and seals it.
#[derive(Debug)]
pub(crate) struct Sealer {
    core: Arc<Core>,
    signer: Signer,
    origin: String,
    /// Any file of the log's file system, by which all of it is synced.
    disk: File,
    tree: Tree,
    cursor: Cursor,
    /// Where the tree had come to when all its tiles were last known to be on disk.
    safe: (Tree, Cursor),
    /// Whether tiles after that may be lost, so that it must go back.
    in_doubt: bool,
    /// Taken from the appender, and given back when it is hashed.
    tail: Tail,
    /// First lines of segments that the tree has not reached.
    rotations: VecDeque<u64>,
    /// Full tiles that are not written yet.
    full: Vec<FullTile>,
    checkpointed: u64,
    last_checkpoint: Option<Instant>,
    last_history: Option<Instant>,
}

/// Where in the files the tree has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cursor {
    /// The segment, by its first line.
    pub(crate) segment: u64,
    /// The byte in it where the next line begins.
    pub(crate) byte: u64,
}

/// Why a checkpoint is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Occasion {
    /// Its time has come.
    Due,
    /// A segment or the log ends here: it also goes to the history.
    End,
}

impl Sealer {
    pub(crate) fn new(
        core: Arc<Core>,
        signer: Signer,
        origin: String,
        disk: File,
        (tree, cursor): (Tree, Cursor),
        checkpointed: u64,
    ) -> Self {
        core.signed.store(checkpointed, Ordering::Release);
        Self {
            core,
            signer,
            origin,
            disk,
            safe: (tree.clone(), cursor),
            tree,
            cursor,
            in_doubt: false,
            tail: Tail::default(),
            rotations: VecDeque::new(),
            full: Vec::new(),
            checkpointed,
            last_checkpoint: None,
            last_history: None,
        }
    }

    /// The key that checks what this sealer signs.
    pub(crate) fn public_key(&self) -> String {
        self.signer.verifier().to_text()
    }

    /// Runs until the log stops, and seals its last line.
    pub(crate) fn run(mut self, is_over: impl Fn() -> bool) {
        loop {
            // Read before following: what is written until `is_over` is sealed.
            let over = is_over();
            let occasion = if over { Occasion::End } else { Occasion::Due };
            let before = self.tree.size();
            let outcome = self.follow().and_then(|()| self.seal(occasion));
            self.core.set_seal_problem(outcome.err());
            if over {
                return;
            }
            let is_busy = self.tree.size() > before;
            std::thread::park_timeout(if is_busy { BUSY_LOOK_INTERVAL } else { LOOK_INTERVAL });
        }
    }

    /// Hashes everything that was written.
    fn follow(&mut self) -> Result<(), LogProblem> {
        let mut tail = std::mem::take(&mut self.tail);
        self.core.appender().take_tail(&mut tail);
        let outcome = self.follow_tail(&tail);
        self.tail = tail;
        outcome
    }

    fn follow_tail(&mut self, tail: &Tail) -> Result<(), LogProblem> {
        self.expect_rotations(tail.rotations.iter().copied());
        if self.in_doubt {
            self.go_back()?;
        }
        self.catch_up(tail.first)?;
        for line in tail.text.split_inclusive(|byte| *byte == b'\n') {
            self.push(line.strip_suffix(b"\n").unwrap_or(line));
        }
        self.write_full_tiles()
    }

    /// Segments begin with these lines; those that are known already are left out.
    fn expect_rotations(&mut self, firsts: impl Iterator<Item = u64>) {
        for first in firsts {
            if first > self.rotations.back().copied().unwrap_or(self.cursor.segment) {
                self.rotations.push_back(first);
            }
        }
    }

    /// Tiles may be lost: goes back to where none are, to make the later ones again from the files.
    fn go_back(&mut self) -> Result<(), LogProblem> {
        let directory = &self.core.directory;
        let segments = segment::list(directory)?;
        tile::remove_partial_after(directory, self.checkpointed, self.tree.size())
            .map_err(|error| LogProblem::disk(&directory.join("tile"), &error))?;
        (self.tree, self.cursor) = self.safe.clone();
        self.full.clear();
        self.rotations.clear();
        self.expect_rotations(segments.iter().map(|segment| segment.first));
        self.in_doubt = false;
        Ok(())
    }

    /// Reads from the files the lines before `end` that were not handed over.
    fn catch_up(&mut self, end: u64) -> Result<(), LogProblem> {
        while self.tree.size() < end {
            self.enter_segment();
            let segment = Segment::new(&self.core.directory, self.cursor.segment);
            let before = self.tree.size();
            let mut lines = segment.lines(self.cursor.byte)?;
            while self.tree.size() < end && self.rotations.front() != Some(&self.tree.size()) {
                let Some(line) = lines.next()?.filter(|line| line.ended) else { break };
                self.push(line.text);
            }
            if self.tree.size() == before {
                return Err(LogProblem::damaged(&segment.path, format!("line {before} of the log is not there")));
            }
        }
        Ok(())
    }

    fn push(&mut self, line: &[u8]) {
        self.enter_segment();
        self.tree.push(leaf_hash(line), &mut self.full);
        self.cursor.byte += line.len() as u64 + 1;
    }

    /// Where a segment begins at the next line: seals the one before, goes on in this one.
    fn enter_segment(&mut self) {
        if self.rotations.front() == Some(&self.tree.size()) {
            self.rotations.pop_front();
            let outcome = self.write_full_tiles().and_then(|()| self.seal(Occasion::End));
            self.core.set_seal_problem(outcome.err());
            self.cursor = Cursor { segment: self.tree.size(), byte: 0 };
        }
    }

    fn write_full_tiles(&mut self) -> Result<(), LogProblem> {
        let directory = &self.core.directory;
        let mut written = 0;
        let outcome = self.full.iter().try_for_each(|full| {
            tile::write_full(directory, full.level, full.index, &full.hashes)?;
            written += 1;
            Ok(())
        });
        self.full.drain(..written);
        outcome.map_err(|error: std::io::Error| LogProblem::disk(&directory.join("tile"), &error))
    }

    /// Signs a checkpoint over everything that was hashed, where there is a reason to.
    fn seal(&mut self, occasion: Occasion) -> Result<(), LogProblem> {
        let size = self.tree.size();
        let waited = self.last_checkpoint.is_none_or(|last| last.elapsed() >= CHECKPOINT_INTERVAL);
        let wanted = match occasion {
            // The first one after opening also writes partial tiles again that were lost.
            Occasion::Due => waited && (size > self.checkpointed || (self.last_checkpoint.is_none() && size > 0)),
            Occasion::End => size > 0,
        };
        if !wanted {
            return Ok(());
        }
        self.wait_until_synced(size)?;
        self.keep_tiles()?;
        let directory = &self.core.directory;
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root: self.tree.root() };
        let note = checkpoint.sign(&self.signer);
        checkpoint::write_newest(directory, &note)
            .map_err(|error| LogProblem::disk(&checkpoint::newest_path(directory), &error))?;
        let before = std::mem::replace(&mut self.checkpointed, size);
        self.core.signed.store(size, Ordering::Release);
        self.last_checkpoint = Some(Instant::now());
        let history_waited = self.last_history.is_none_or(|last| last.elapsed() >= HISTORY_INTERVAL);
        if history_waited || occasion == Occasion::End {
            checkpoint::add_to_history(directory, &note)
                .map_err(|error| LogProblem::disk(&checkpoint::history_path(directory), &error))?;
            self.last_history = Some(Instant::now());
        }
        self.remove_partial_tiles(before)
    }

    /// Makes every tile of the tree survive a power cut.
    fn keep_tiles(&mut self) -> Result<(), LogProblem> {
        let directory = &self.core.directory;
        let problem = |error: &std::io::Error| LogProblem::disk(&directory.join("tile"), error);
        if self.in_doubt {
            return Err(problem(&std::io::Error::other("tiles must be made again first")));
        }
        let kept: Vec<_> = tile::edge(self.checkpointed).collect();
        for (level, index, hashes) in self.tree.partial_tiles() {
            // Those that the last checkpoint covers are not put in place again: that could lose them.
            let is_kept = || tile::read(directory, level, index, hashes.len()).is_some_and(|known| known == hashes);
            if kept.contains(&(level, index, hashes.len())) && is_kept() {
                continue;
            }
            tile::write_partial(directory, level, index, hashes).map_err(|error| problem(&error))?;
        }
        #[cfg(test)]
        let synced = self.core.appender().faults.before_tile_sync().and_then(|()| disk::sync_file_system(&self.disk));
        #[cfg(not(test))]
        let synced = disk::sync_file_system(&self.disk);
        // The system reports a failed write once: the next sync would succeed over what was lost.
        self.in_doubt = synced.is_err();
        synced.map_err(|error| problem(&error))?;
        self.safe = (self.tree.clone(), self.cursor);
        Ok(())
    }

    /// Removes the partial tiles of the checkpoint over `before` lines that the newest covers as full ones.
    fn remove_partial_tiles(&self, before: u64) -> Result<(), LogProblem> {
        let directory = &self.core.directory;
        let edge: Vec<(u8, u64)> = tile::edge(self.checkpointed).map(|(level, index, _)| (level, index)).collect();
        let replaced = tile::edge(before).filter(|(level, index, _)| !edge.contains(&(*level, *index)));
        for (level, index, _) in replaced {
            tile::remove_partial(directory, level, index)
                .map_err(|error| LogProblem::disk(&directory.join("tile"), &error))?;
        }
        Ok(())
    }

    /// A checkpoint may not say more than the disk holds.
    fn wait_until_synced(&self, size: u64) -> Result<(), LogProblem> {
        let start = Instant::now();
        loop {
            if let Some(outcome) = self.core.gate.outcome(size) {
                return outcome;
            }
            if start.elapsed() > SYNC_TIMEOUT {
                return Err(LogProblem::Disk {
                    place: self.core.directory.display().to_string(),
                    reason: "the disk takes too long to sync".to_owned(),
                });
            }
            self.core.gate.wish();
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

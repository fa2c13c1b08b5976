//! Files of the index that are changed under whoever has them open.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::answers::{check, reader};
use super::follower::{many_acts, wait_until};
use super::paper::{self, Folder};
use crate::{Index, Question};

/// The end of a file, which says what it is, stays.
const FOOTER_BYTES: usize = 200;

/// Takes out of an index which stories have which word. The engine panics when it comes to that.
fn damage(index: &Path) {
    for entry in std::fs::read_dir(index).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "idx") {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
            file.write_all_at(&vec![0; length.saturating_sub(FOOTER_BYTES)], 0).unwrap();
        }
    }
}

#[test]
fn a_follower_whose_engine_gives_up_says_so_and_goes_on() {
    let folder = Folder::new();
    let lines = paper::lines(&many_acts(200));
    folder.append(&lines);
    let index = Index::open(&folder.index()).unwrap();
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    let all = index.stories();
    damage(&folder.index());
    let follower = index.follow(reader(&folder)).unwrap();
    wait_until(|| index.trouble().is_some_and(|trouble| trouble.contains("the engine gave up on it")));
    // It is still there: what is asked of it is done.
    index.ask_to_build_anew().unwrap();
    wait_until(|| !index.core().is_asked_to_begin_anew() && index.trouble().is_none() && index.stories() == all);
    check(&index, &Question { limit: 1_000, ..Question::default() }, &lines);
    drop(follower);
}

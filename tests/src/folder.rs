//! A folder that goes away with its test, and stays when the test fails, so that one can look.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A new empty folder.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one.
    #[must_use]
    pub fn new() -> Self {
        Self::new_on(&std::env::temp_dir())
    }

    /// Makes one below a folder of the test's choice, such as one on another disk.
    #[must_use]
    pub fn new_on(disk: &Path) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // What an earlier test of the same process number left behind is not taken for this one's.
        let free = (0..).map(|again| format!("sekimori-test-{}-{number}-{again}", std::process::id()));
        let path = free.map(|name| disk.join(name)).find(|path| fs::create_dir(path).is_ok() || !path.exists());
        let path = path.expect("there is always another number");
        assert!(path.is_dir(), "a folder for the test can be made below {}", disk.display());
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it, with the folders above it.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.join(name);
        fs::create_dir_all(file.parent().expect("a file has a folder")).expect("the folder can be made");
        fs::write(&file, text).expect("the file can be written");
        file
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left for you to look at: {}", self.0.display());
        } else {
            fs::remove_dir_all(&self.0).ok();
        }
    }
}

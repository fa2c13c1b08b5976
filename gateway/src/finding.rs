//! Finding in the log while the gateway runs: the index that follows it, and what auditors look at.
//!
//! An index that cannot be opened stops nothing: the log is written, the pages say that there is no index, and a line on
//! standard error says why. Deliberately not here: how it is asked (find) and shown (web).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit::Reader;
use config::Config;
use find::{FindProblem, Follower, Index};
use tracing::error;
use web::LogView;

use crate::nodes::Channel;

/// The index that follows the log; it stops following when this is dropped.
#[derive(Debug)]
pub struct Finding {
    /// What auditors look at; one for the program, whatever configuration is in force.
    pub view: Arc<LogView>,
    /// The index, where there is one.
    pub index: Option<Index>,
    follower: Option<Follower>,
}

/// The folder of the index in the state directory.
#[must_use]
pub fn index_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("index")
}

impl Finding {
    /// Opens the index and begins to follow the log.
    #[must_use]
    pub fn start(config: &Config) -> Self {
        match Self::open(config) {
            Ok((index, reader, follower)) => Self {
                view: Arc::new(Self::view(config, Some((index.clone(), reader)))),
                index: Some(index),
                follower: Some(follower),
            },
            Err(problem) => {
                error!(%problem, "nothing can be found in the log: its index cannot be used");
                Self { view: Arc::new(Self::view(config, None)), index: None, follower: None }
            }
        }
    }

    /// Ends following. Where another process waits to go on with this one's sockets, what the index has in memory only is
    /// not written first: that process reads it in the log while it serves.
    pub fn end(self, is_handed_over: bool) {
        if is_handed_over && let Some(follower) = self.follower {
            follower.leave();
        }
    }

    /// The log beside those of the other nodes, where there are others.
    fn view(config: &Config, book: Option<(Index, Reader)>) -> LogView {
        let view = LogView::new(book);
        let Some(nodes) = &config.nodes else { return view };
        let names = nodes.names.iter().map(|name| name.as_str().into()).collect();
        view.among(names, nodes.own.as_str(), Channel::of(config).map(|way| way as _))
    }

    fn open(config: &Config) -> Result<(Index, Reader, Follower), FindProblem> {
        let index = Index::open(&index_dir(&config.state_dir))?;
        let reader: Reader = (&config.audit).into();
        let follower = index.follow(reader.clone())?;
        Ok((index, reader, follower))
    }
}

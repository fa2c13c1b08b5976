//! The index as a whole, over real files, against a plain scan of the log.

mod answers;
mod crash;
mod follower;
mod paper;
mod scan;

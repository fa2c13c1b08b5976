//! The index as a whole, over real files, against a plain scan of the log.

mod answers;
mod crash;
mod damage;
mod follower;
mod paper;
mod scan;

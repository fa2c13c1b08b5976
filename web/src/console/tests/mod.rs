//! The console as its people use it: who may see and do what, what changes, and what is recorded of it.

mod changes;
mod damage;
mod log;
mod maintenance;
mod nodes;
mod office;
mod pages;
mod policy;
mod recording;
mod rights;
mod scope;

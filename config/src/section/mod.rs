//! One file for each section of `sekimori.toml`: its keys, their bounds and their defaults.
//! Each asks for all of its keys before it gives up on any, so that every problem is found.

pub(crate) mod app;
pub(crate) mod app_route;
pub(crate) mod audit;
pub(crate) mod break_glass;
pub(crate) mod certificate;
pub(crate) mod class;
pub(crate) mod console;
pub(crate) mod devices;
pub(crate) mod directory;
pub(crate) mod expect;
pub(crate) mod facility;
pub(crate) mod feed;
pub(crate) mod gateway;
pub(crate) mod header;
pub(crate) mod hours;
pub(crate) mod limits;
pub(crate) mod listener;
pub(crate) mod maintenance;
pub(crate) mod names;
pub(crate) mod notice;
pub(crate) mod operations;
pub(crate) mod outage;
pub(crate) mod passkeys;
pub(crate) mod patients;
pub(crate) mod policy;
pub(crate) mod posture;
pub(crate) mod provider;
pub(crate) mod roles;
pub(crate) mod rule;
pub(crate) mod rule_set;
pub(crate) mod sessions;
pub(crate) mod shield;
pub(crate) mod statements;
pub(crate) mod tcp_app;
pub(crate) mod upstream;

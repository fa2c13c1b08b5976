//! Every access written before it happens.
//!
//! [`Recorder::admit`] writes the opening line of an access to the log and only then hands out what may be done, as
//! [`Admitted`]; the [`Receipt`] that comes with it writes the closing line. The lines are the leaves of a Merkle
//! tree whose root is signed every second, so that [`verify`] finds a changed byte offline. Deliberately not here:
//! who may do what (policy), what is done (gateway), and searching.
//!
//! Nothing can be forwarded that was not recorded. Once, in order, compiles; forging, copying and reusing do not:
//!
//! ```
//! fn once(one: audit::Admitted<String>, outcome: audit::Outcome) -> String {
//!     let (act, receipt) = one.open();
//!     receipt.close(outcome);
//!     act
//! }
//! ```
//! ```compile_fail
//! fn forge(receipt: audit::Receipt) -> audit::Admitted<()> { audit::Admitted { act: (), receipt } }
//! ```
//! ```compile_fail
//! fn forge(permit: policy::Permit) -> audit::Receipt { audit::Receipt { permit } }
//! ```
//! ```compile_fail
//! fn forge() -> audit::Receipt { Default::default() }
//! ```
//! ```compile_fail
//! fn copy(one: &audit::Admitted<()>) -> audit::Admitted<()> { one.clone() }
//! ```
//! ```compile_fail
//! fn copy(one: &audit::Receipt) -> audit::Receipt { one.clone() }
//! ```
//! ```compile_fail
//! fn reuse(one: audit::Admitted<()>) { let _first = one.open(); let _second = one.open(); }
//! ```
//! ```compile_fail
//! fn close_twice(receipt: audit::Receipt, one: audit::Outcome, two: audit::Outcome) {
//!     receipt.close(one);
//!     receipt.close(two);
//! }
//! ```
//! ```compile_fail
//! fn keep_the_act(one: &audit::Admitted<String>) -> &String { &one.act }
//! ```

mod admitted;
mod append;
mod archive;
mod archiver;
mod batch;
mod blocks;
mod bundle;
mod checkpoint;
mod copy;
mod core;
mod cosign;
mod cross;
mod data_key;
mod deleted;
mod disk;
mod entry;
mod escrow;
mod event;
mod export;
mod fact;
mod fold;
mod gate;
mod glance;
mod health;
mod held;
mod history;
mod json;
mod keeper;
mod kept;
mod kernel_clock;
mod keys;
mod leaves;
mod line;
mod log;
mod once;
mod open_count;
mod outcome;
mod peers;
mod people;
mod piece;
mod problem;
mod proof;
mod reader;
mod receipt;
mod recorded;
mod recorder;
mod recover;
mod regrow;
mod ring;
mod round;
mod seal;
mod sealer;
mod search;
mod segment;
mod signed_note;
mod spool;
mod tail;
mod tape;
#[cfg(test)]
mod testing;
mod tile;
mod together;
mod tree;
#[cfg(test)]
mod trials;
mod upkeep;
mod verify;
mod walk;
mod watch;

pub use admitted::{Admitted, Unrecorded};
pub use blocks::Blocks;
pub use copy::{CopiedBytes, LogCopy};
pub use cross::{Crossed, cross_check};
pub use entry::{Entry, EntryKind, Story, StoryOutcome};
pub use escrow::{RecoveryKey, RecoverySecret};
pub use event::Event;
pub use export::{export_jsonl, tail};
pub use fact::Note;
pub use glance::{Glance, Text};
pub use health::LogHealth;
pub use kept::{Standing, stands};
pub use kernel_clock::{ClockReading, ClockState, kernel_clock};
pub use keys::{Keys, RecoveredKeys, key_use, recover, rewrap};
pub use log::{Log, Recovery};
pub use once::Once;
pub use outcome::{About, End, Outcome};
pub use peers::{PeerFault, PeerSeen, PeerStep, follow_peer, keep_cosigned, keep_peer, peer_seen};
pub use piece::{PIECE_BYTES_MAX, PIECE_SEAL_BYTES, PieceKey};
pub use problem::LogProblem;
pub use proof::{Frontier, Prover, Subtree, line_hash, verify_consistency, verify_inclusion};
pub use reader::{Line, Lines, Reader};
pub use receipt::Receipt;
pub use recorded::{Recorded, RecordedAccess, recorded};
pub use recorder::Recorder;
pub use ring::KeyRing;
pub use seal::{LogKey, LogSigner, SignedRoot, newest_checkpoint};
pub use search::{FoundLines, Search, search};
pub use tape::{
    Colour, Command, Frame, Part, PatientsIn, Player, Recording, Recordings, Run, Stand, Tape, TapeHeader, TapeProblem,
    Tapes,
};
pub use verify::{Finding, Verified, verify};

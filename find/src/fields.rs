//! What the index keeps of a story. Nothing is stored to be shown: lines are read in the log.
//!
//! What many stories have alike is one text (`alike.rs`), kept as a column; a mark of the party, with the stories that have
//! it, leads to them. Patients are kept as terms, for finding, and as a column, for counting. Terms are kept whole,
//! without positions and norms.

use tantivy::schema::{
    FAST, Field, IndexRecordOption, NumericOptions, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};

use crate::calendar::{day_text, hour_text, month_text};
use crate::{By, Calendar};

/// The fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// When it began: milliseconds since the epoch.
    pub(crate) at: Field,
    /// The number of its first line.
    pub(crate) begin: Field,
    /// How many lines further its closing line stands; 0 where there is none.
    pub(crate) span: Field,
    /// The last 32 bits of its request's id.
    pub(crate) code: Field,
    /// The mark of who asked, from where: it leads to the stories of a party.
    pub(crate) party_mark: Field,
    /// Who asked, from where.
    pub(crate) party: Field,
    /// What was done, and how it went.
    pub(crate) deed: Field,
    /// Only while an access is open: its first line and its id, by which it is taken out when it closes.
    pub(crate) open: Field,
    pub(crate) patient: Field,
    pub(crate) study: Field,
    /// Words of the path and of the reason.
    pub(crate) word: Field,
}

impl Fields {
    /// The fields, numbered in the order in which a story has them, and their schema. A change here makes the index be
    /// built anew.
    pub(crate) fn new() -> (Self, Schema) {
        let mut schema = Schema::builder();
        let fields = Self {
            at: number(&mut schema, AT),
            begin: number(&mut schema, BEGIN),
            span: number(&mut schema, SPAN),
            code: number(&mut schema, CODE),
            party_mark: schema.add_u64_field("party-mark", NumericOptions::default().set_indexed()),
            party: schema.add_text_field(PARTY, TextOptions::default().set_fast("raw")),
            deed: schema.add_text_field(DEED, TextOptions::default().set_fast("raw")),
            open: schema.add_text_field("open", terms()),
            patient: counted(&mut schema, PATIENT),
            study: schema.add_text_field("study", terms()),
            word: schema.add_text_field("word", terms()),
        };
        (fields, schema.build())
    }
}

/// The columns that are read by name.
pub(crate) const AT: &str = "at";
pub(crate) const BEGIN: &str = "begin";
pub(crate) const SPAN: &str = "span";
pub(crate) const CODE: &str = "code";
pub(crate) const PARTY: &str = "party";
pub(crate) const DEED: &str = "deed";
const PATIENT: &str = "patient";

/// What is looked at to count by something.
pub(crate) enum Counts {
    /// The terms of a column.
    Terms(&'static str),
    /// The names in the texts of a column.
    Names(&'static str),
    /// Moments: into which hour or day of the calendar one falls, and how that is written.
    Moments {
        /// The number of the hour or day since the epoch.
        place: fn(&Calendar, u64) -> i64,
        /// What of its name is told apart.
        name: fn(i64) -> String,
    },
}

/// What is looked at to count by this.
pub(crate) fn counts(by: By) -> Counts {
    match by {
        By::Hour => Counts::Moments { place: Calendar::hour, name: hour_text },
        By::Day => Counts::Moments { place: Calendar::day, name: day_text },
        By::Month => Counts::Moments { place: Calendar::day, name: month_text },
        By::Role | By::Person | By::Device | By::Address => Counts::Names(PARTY),
        By::App | By::Action | By::Class | By::Outcome | By::Reason | By::Rule | By::Event => Counts::Names(DEED),
        By::Patient => Counts::Terms(PATIENT),
    }
}

fn number(schema: &mut SchemaBuilder, name: &str) -> Field {
    schema.add_u64_field(name, FAST)
}

fn terms() -> TextOptions {
    let whole = TextFieldIndexing::default().set_tokenizer("raw").set_fieldnorms(false);
    TextOptions::default().set_indexing_options(whole.set_index_option(IndexRecordOption::Basic))
}

fn counted(schema: &mut SchemaBuilder, name: &str) -> Field {
    schema.add_text_field(name, terms().set_fast("raw"))
}

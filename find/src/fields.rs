//! What the index keeps of a story. Nothing is stored to be shown: lines are read in the log.
//!
//! Names are kept twice, in two forms: as terms with the stories that have them, for finding, and as a column with the
//! term of each story, for counting. Terms are kept whole, without positions and norms.

use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, SchemaBuilder, TextFieldIndexing, TextOptions};

use crate::calendar::{day_text, hour_text, month_text};
use crate::{By, Calendar};

/// The fields.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    /// When it began: milliseconds since the epoch.
    pub(crate) at: Field,
    /// The number of its first line.
    pub(crate) begin: Field,
    /// How many lines further its closing line stands; 0 where there is none.
    pub(crate) span: Field,
    /// The last 32 bits of its request's id.
    pub(crate) code: Field,
    pub(crate) patient: Field,
    pub(crate) study: Field,
    /// Every name of the person, and of whoever did it.
    pub(crate) who: Field,
    /// The one name by which persons are counted.
    pub(crate) person: Field,
    pub(crate) device: Field,
    pub(crate) app: Field,
    pub(crate) action: Field,
    pub(crate) class: Field,
    pub(crate) outcome: Field,
    pub(crate) reason: Field,
    pub(crate) rule: Field,
    pub(crate) role: Field,
    pub(crate) grant: Field,
    pub(crate) address: Field,
    pub(crate) event: Field,
    pub(crate) session: Field,
    pub(crate) revision: Field,
    /// Departments: of the person and of the device, and all that they are a part of.
    pub(crate) unit: Field,
    pub(crate) word: Field,
    /// Only while an access is open: its first line and its id, by which it is taken out when it closes.
    pub(crate) open: Field,
}

impl Fields {
    /// The fields and their schema. A change here makes the index be built anew.
    pub(crate) fn new() -> (Self, Schema) {
        let mut schema = Schema::builder();
        let mut found = |name| schema.add_text_field(name, terms());
        let (study, who, grant) = (found("study"), found("who"), found("grant"));
        let (session, revision, word, open) = (found("session"), found("revision"), found("word"), found("open"));
        let unit = found("unit");
        let fields = Self {
            at: number(&mut schema, AT),
            begin: number(&mut schema, BEGIN),
            span: number(&mut schema, SPAN),
            code: number(&mut schema, CODE),
            person: schema.add_text_field("person", TextOptions::default().set_fast("raw")),
            patient: counted(&mut schema, "patient"),
            device: counted(&mut schema, "device"),
            app: counted(&mut schema, "app"),
            action: counted(&mut schema, "action"),
            class: counted(&mut schema, "class"),
            outcome: counted(&mut schema, "outcome"),
            reason: counted(&mut schema, "reason"),
            rule: counted(&mut schema, "rule"),
            role: counted(&mut schema, "role"),
            address: counted(&mut schema, ADDRESS),
            event: counted(&mut schema, "event"),
            study,
            who,
            grant,
            session,
            revision,
            unit,
            word,
            open,
        };
        (fields, schema.build())
    }
}

/// The columns that are read by name.
pub(crate) const AT: &str = "at";
pub(crate) const BEGIN: &str = "begin";
pub(crate) const SPAN: &str = "span";
pub(crate) const CODE: &str = "code";
pub(crate) const ADDRESS: &str = "address";

/// What is looked at to count by something.
pub(crate) enum Counts {
    /// The terms of a column.
    Terms(&'static str),
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
        By::Role
        | By::App
        | By::Action
        | By::Class
        | By::Outcome
        | By::Reason
        | By::Person
        | By::Device
        | By::Patient
        | By::Rule
        | By::Event
        | By::Address => Counts::Terms(by.as_str()),
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

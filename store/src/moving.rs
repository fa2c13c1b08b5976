//! Moving everything from one store to another, row by row, and comparing both at the end. While it goes on nobody else
//! has either of them open, and until it is done neither the new one nor, from then on, the old one can be opened.

use aws_lc_rs::digest::{Context, SHA256};
use policy::Timestamp;
use tokio::sync::watch;

use crate::relational::{Bounds, Relational};
use crate::sql::{Connection, Params as _, Row, ToValue as _, Value};
use crate::statements::notes;
use crate::tables::{TABLES, Table};
use crate::{Answer, Postgres, Sqlite, StoreProblem};

/// What the notes begin with that tell of the store itself; they are not carried.
const OF_ITSELF: &str = "store:";
/// The note of a store that was moved elsewhere.
const MOVED: &str = "store:moved";
/// The note of a store into which something is being moved.
const UNFINISHED: &str = "store:unfinished";
/// The notes of a store that is not in use, the one that tells most first.
pub(crate) const MARKS: [&str; 2] = [MOVED, UNFINISHED];

/// A store that nobody else has open.
#[derive(Debug)]
pub enum Alone {
    /// In a file.
    Sqlite(Sqlite),
    /// In a database.
    Postgres(Postgres),
}

/// What a table holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableSum {
    /// The table.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over all of them.
    pub digest: [u8; 32],
}

/// Why nothing was moved. The store that was to be moved is as it was; what was written into the other is of no use.
#[derive(Debug, thiserror::Error)]
pub enum MoveProblem {
    /// One of them did not answer, or could not.
    #[error(transparent)]
    Store(#[from] StoreProblem),
    /// The store to move into holds something.
    #[error("the store to move into is not empty: `{table}` has rows")]
    NotEmpty {
        /// Where.
        table: &'static str,
    },
    /// They differ where they should be alike.
    #[error("`{table}` differs between the stores after it was carried over")]
    Differs {
        /// Where.
        table: &'static str,
    },
}

/// Carries everything over, compares both row by row, and says what each table holds. `to_where` is what the store that
/// was left says from then on to whoever opens it.
///
/// # Errors
/// [`MoveProblem`].
pub async fn move_all(from: &Alone, to: &Alone, to_where: &str, at: Timestamp) -> Result<Vec<TableSum>, MoveProblem> {
    for table in TABLES {
        let is_empty = to.read(move |c| Ok(page(c, table, None)?.is_empty())).await?;
        if !is_empty {
            return Err(MoveProblem::NotEmpty { table: table.name });
        }
    }
    to.write(move |c| notes::set_note(c, UNFINISHED, &at.to_string())).await?;
    let mut sums = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        carry(from, to, table).await?;
        let (here, there) = (sum(from, table).await?, sum(to, table).await?);
        if here != there {
            return Err(MoveProblem::Differs { table: table.name });
        }
        sums.push(here);
    }
    to.write(|c| forget(c, UNFINISHED)).await?;
    let told = format!("{to_where} ({at})");
    from.write(move |c| notes::set_note(c, MOVED, &told)).await?;
    Ok(sums)
}

/// What each table of a store holds.
///
/// # Errors
/// [`StoreProblem`].
pub async fn sums(of: &Alone) -> Result<Vec<TableSum>, StoreProblem> {
    let mut sums = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        sums.push(sum(of, table).await?);
    }
    Ok(sums)
}

/// That the store is in use: it was not moved elsewhere, and nothing is being moved into it.
pub(crate) fn look_for_marks(c: &Connection) -> Result<(), StoreProblem> {
    MARKS.into_iter().try_for_each(|mark| notes::note(c, mark)?.map_or(Ok(()), |value| Err(marked(mark, &value))))
}

/// Why a store with one of [`MARKS`] is not in use.
pub(crate) fn marked(mark: &str, value: &str) -> StoreProblem {
    StoreProblem::Unavailable(if mark == MOVED {
        format!("it was moved to {value}; name that one in [store]")
    } else {
        "a move into it did not come to its end; make an empty one and move again".to_owned()
    })
}

fn forget(c: &Connection, note: &'static str) -> Result<(), StoreProblem> {
    c.prepare_cached("delete from notes where key = ?1")?.execute([note]).map(|_| ())
}

async fn carry(from: &Alone, to: &Alone, table: &'static Table) -> Result<(), StoreProblem> {
    let mut after = None;
    loop {
        let rows = from.read(move |c| page(c, table, after)).await?;
        after = last_key(table, &rows)?;
        if after.is_none() {
            break;
        }
        to.write(move |c| rows.into_iter().filter(|row| is_carried(table, row)).try_for_each(|row| put(c, table, row)))
            .await?;
    }
    if table.is_numbered {
        let last = from.read(move |c| c.last_number(table)).await?;
        to.write(move |c| c.go_on_after(table, last)).await?;
    }
    Ok(())
}

/// The next rows of a table after a key.
fn page(c: &Connection, table: &Table, after: Option<Vec<Value>>) -> Result<Vec<Row>, StoreProblem> {
    let key = quoted(table.key.iter().copied());
    let after = after.unwrap_or_default();
    let places: Vec<String> = (1..=after.len()).map(|place| format!("?{place}")).collect();
    let condition = if after.is_empty() { "true".to_owned() } else { format!("({key}) > ({})", places.join(", ")) };
    let (name, page) = (table.name, table.page);
    let sql = format!("select * from {name} where {condition} order by {key} limit {page}");
    c.prepare_cached(&sql)?.rows(after.bound())
}

fn last_key(table: &Table, rows: &[Row]) -> Result<Option<Vec<Value>>, StoreProblem> {
    let Some(last) = rows.last() else { return Ok(None) };
    let key = table.key.iter().map(|column| last.value(column)).collect::<Result<_, _>>()?;
    Ok(Some(key))
}

/// What a store tells of itself stays with it.
fn is_carried(table: &Table, row: &Row) -> bool {
    table.name != "notes" || !row.get::<_, String>("key").is_ok_and(|key| key.starts_with(OF_ITSELF))
}

fn put(c: &Connection, table: &Table, row: Row) -> Result<(), StoreProblem> {
    let columns = quoted(row.columns().iter().map(String::as_str));
    let places: Vec<String> = (1..=row.columns().len()).map(|place| format!("?{place}")).collect();
    let sql = format!("insert into {} ({columns}) values ({})", table.name, places.join(", "));
    c.prepare_cached(&sql)?.execute(row.into_values()).map(|_| ())
}

fn quoted<'c>(columns: impl Iterator<Item = &'c str>) -> String {
    columns.map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ")
}

async fn sum(of: &Alone, table: &'static Table) -> Result<TableSum, StoreProblem> {
    let (mut digest, mut rows, mut after) = (Context::new(&SHA256), 0, None);
    loop {
        let read = of.read(move |c| page(c, table, after)).await?;
        after = last_key(table, &read)?;
        if after.is_none() {
            break;
        }
        for row in read.iter().filter(|row| is_carried(table, row)) {
            add_row(&mut digest, row);
            rows += 1;
        }
    }
    if table.is_numbered {
        add(&mut digest, &of.read(move |c| c.last_number(table)).await?.to_value());
    }
    let mut sum = TableSum { table: table.name, rows, digest: [0; 32] };
    sum.digest.copy_from_slice(digest.finish().as_ref());
    Ok(sum)
}

/// Columns in the order of their names: each back end has its own.
fn add_row(digest: &mut Context, row: &Row) {
    let mut columns: Vec<(&String, &Value)> = row.columns().iter().zip(row.values()).collect();
    columns.sort_by_key(|(name, _)| *name);
    for (name, value) in columns {
        add(digest, &name.to_value());
        add(digest, value);
    }
}

/// The kind and the length first, so that nothing reads as something else.
fn add(digest: &mut Context, value: &Value) {
    let (kind, bytes): (u8, &[u8]) = match value {
        Value::Null => (0, &[]),
        Value::Number(number) => {
            digest.update(&[1]);
            return digest.update(&number.to_be_bytes());
        }
        Value::Text(text) => (2, text.as_bytes()),
        Value::Bytes(bytes) => (3, bytes),
    };
    digest.update(&[kind]);
    digest.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    digest.update(bytes);
}

impl Relational for Alone {
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'_, T> {
        match self {
            Self::Sqlite(store) => store.write(change),
            Self::Postgres(store) => store.write(change),
        }
    }

    fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'_, T> {
        match self {
            Self::Sqlite(store) => store.read(question),
            Self::Postgres(store) => store.read(question),
        }
    }

    fn bounds(&self) -> Bounds {
        match self {
            Self::Sqlite(store) => store.bounds(),
            Self::Postgres(store) => store.bounds(),
        }
    }

    fn rung(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

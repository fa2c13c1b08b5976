//! Every table that is carried from one store to another, and how its rows are told apart. What triggers count follows
//! by itself; tests compare this list with what both back ends really have.

/// One table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The columns that tell its rows apart, by which they are ordered.
    pub(crate) key: &'static [&'static str],
    /// Whether the store itself numbers its rows, by the first of these.
    pub(crate) is_numbered: bool,
    /// Rows that are carried at once.
    pub(crate) page: usize,
}

/// Rows that are carried at once, where they are not large.
const PAGE: usize = 500;

const fn table(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, is_numbered: false, page: PAGE }
}

const fn numbered(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, is_numbered: true, page: PAGE }
}

/// All of them, each after those that its rows refer to.
pub(crate) const TABLES: &[Table] = &[
    table("people", &["id"]),
    table("devices", &["id"]),
    table("device_certificates", &["fingerprint"]),
    table("posture", &["device", "name"]),
    table("credentials", &["id"]),
    table("invitations", &["id"]),
    table("sessions", &["id"]),
    table("tokens", &["hash"]),
    table("ceremonies", &["secret"]),
    table("remembered", &["kind", "key"]),
    numbered("events", &["sequence"]),
    table("notes", &["key"]),
    Table { page: 4, ..numbered("policy_revisions", &["number"]) },
    Table { page: 4, ..table("policy_replays", &["number"]) },
    numbered("saved_questions", &["id"]),
    numbered("reviews", &["number"]),
    table("review_items", &["review", "seq"]),
    numbered("grants", &["number"]),
    Table { page: 4, ..table("plan_files", &["grant"]) },
    numbered("maintenance_lines", &["number"]),
    table("vendors", &["person"]),
];

/// Tables that are not carried: what triggers count, and the version of the tables themselves.
#[cfg(test)]
pub(crate) const LEFT: &[&str] = &["ceremonies_open", "remembered_now", "schema_version", "sqlite_sequence"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sqlite;
    use crate::relational::Relational;

    #[tokio::test]
    async fn no_table_of_the_embedded_store_is_forgotten() {
        let store = Sqlite::in_memory().unwrap();
        let kept = store
            .read(|c| {
                let sql =
                    "select name, sql like '%autoincrement%' from sqlite_master where type = 'table' order by name";
                c.prepare_cached(sql)?.rows(())?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
            })
            .await;
        let mut kept: Vec<(String, bool)> = kept.unwrap();
        kept.retain(|(name, _)| !LEFT.contains(&name.as_str()));
        let mut listed: Vec<(String, bool)> =
            TABLES.iter().map(|table| (table.name.to_owned(), table.is_numbered)).collect();
        listed.sort();
        assert_eq!(kept, listed);
    }
}

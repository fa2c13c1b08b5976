//! `[[certificate]]`: server certificates. Here the files must only be readable; certs reads them.

use crate::CertificateFiles;
use crate::files::Files;
use crate::walk::{Seen, Table};

/// None are needed where the gateway orders them itself.
pub(crate) fn read(root: &Table<'_>, files: &Files<'_>, are_ordered: bool) -> Option<Vec<CertificateFiles>> {
    if are_ordered && root.value("certificate").is_none() {
        return Some(Vec::new());
    }
    let example = "`[[certificate]]` with `certificate = \"tls/chain.pem\"` and `key = \"tls/key.pem\"`";
    let tables = root.needed("certificate", example, |value| {
        let tables = value.tables()?;
        if tables.is_empty() { value.wrong("is an empty list", "name at least one") } else { Some(tables) }
    })?;
    let mut seen = Seen::default();
    tables.into_iter().map(|table| read_one(&table, files, &mut seen)).collect::<Vec<_>>().into_iter().collect()
}

fn read_one(table: &Table<'_>, files: &Files<'_>, seen: &mut Seen) -> Option<CertificateFiles> {
    let certificate = table.needed("certificate", "`certificate = \"tls/chain.pem\"`", |value| {
        let path = files.readable(&value)?;
        seen.claim(&value, &path.display().to_string(), "name each certificate once")?;
        Some(path)
    });
    let key = table.needed("key", "`key = \"tls/key.pem\"`", |value| files.readable_secret(&value));
    table.finish();
    Some(CertificateFiles { certificate: certificate?, key: key? })
}

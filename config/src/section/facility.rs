//! `[facility]`: the institution.

use crate::Facility;
use crate::walk::{Table, Value};

pub(crate) fn read(table: &Table<'_>) -> Option<Facility> {
    let name = table.needed("name", "`name = \"さくら病院\"`", |value| value.text().map(str::to_owned));
    let code = table.optional("code", |value| facility_code(&value));
    table.finish();
    Some(Facility { name: name?, code: code? })
}

/// 医療機関コード in ten digits: prefecture (01 to 47), 点数表, then seven digits.
fn facility_code(value: &Value<'_>) -> Option<String> {
    let code = value.text()?;
    let digits = code.len() == 10 && code.bytes().all(|byte| byte.is_ascii_digit());
    let prefecture = code.get(..2).and_then(|text| text.parse::<u8>().ok());
    if digits && prefecture.is_some_and(|number| (1..=47).contains(&number)) {
        return Some(code.to_owned());
    }
    value.wrong(
        format!("`{code}` is not a 医療機関コード"),
        "write ten digits: prefecture (01 to 47), 点数表 (1 or 3), and the seven digits of the institution",
    )
}

//! A table of people or devices (CSV). The file is taken from identity as it is; no other part of it is needed.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "identity uses all of it")]
#[path = "../../../identity/src/csv.rs"]
mod csv;

const COLUMNS: [csv::Column; 3] = [
    csv::Column { name: "login", ja: "ログイン名", required: true },
    csv::Column { name: "name", ja: "氏名", required: false },
    csv::Column { name: "roles", ja: "職種", required: false },
];

fuzz_target!(|text: &str| {
    match csv::Table::read(text, &COLUMNS) {
        Ok(table) => {
            let rows = &table.rows;
            assert!(rows.iter().all(|row| row.line > 1 && table.cell(row, "login").is_some()));
            assert!(rows.windows(2).all(|pair| pair[0].line < pair[1].line));
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            let lines = text.matches(['\n', '\r']).count() + 1;
            assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line) && problem.column >= 1));
        }
    }
});

//! `[classes]`: information classes (情報区分) beside those that ship, and other names for those.

use std::collections::BTreeMap;

use policy::{BuiltInClass, InfoClass};

use super::names::{self, NAME_REMEDY};
use crate::Names;
use crate::declared::Declared;
use crate::walk::{Table, Value};

pub(crate) fn read(table: &Table<'_>) -> Option<BTreeMap<InfoClass, Names>> {
    let mut classes: BTreeMap<_, _> = BuiltInClass::ALL.into_iter().map(|one| (one.class(), named(one))).collect();
    let read_one = |(key, value): (&str, Value<'_>)| {
        let class = match InfoClass::parse(key) {
            Ok(class) => Some(class),
            Err(problem) => value.wrong(problem.to_string(), NAME_REMEDY),
        };
        let names = names::read(&value);
        Some((class?, names?))
    };
    let own: Option<Vec<_>> = table.entries().into_iter().map(read_one).collect::<Vec<_>>().into_iter().collect();
    classes.extend(own?);
    Some(classes)
}

fn named(class: BuiltInClass) -> Names {
    Names { ja: class.ja().to_owned(), en: class.en().to_owned() }
}

/// The name of a class that there is.
pub(crate) fn name(value: &Value<'_>, declared: &Declared) -> Option<InfoClass> {
    let class = value.parse(InfoClass::parse, NAME_REMEDY)?;
    declared.class(value, class.as_str())?;
    Some(class)
}

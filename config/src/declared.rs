//! The names a configuration defines, gathered before anything refers to them: a name counts as defined even where
//! the rest of its definition is wrong, so that one slip is not shown as many.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use crate::walk::{Value, nearest};

/// Names that rules and providers may refer to.
pub(crate) struct Declared {
    roles: Names,
    classes: Names,
    rule_sets: Names,
    apps: Names,
    zones: Names,
    listeners: Names,
}

/// Names of one kind.
struct Names {
    names: BTreeSet<String>,
    kind: &'static str,
    how: &'static str,
}

impl Declared {
    pub(crate) fn new(document: &DeTable<'_>) -> Self {
        let roles = match document.get("roles").map(|value| value.get_ref()) {
            Some(DeValue::Table(roles)) => roles.keys().map(|role| role.get_ref().to_string()).collect(),
            Some(_) | None => BTreeSet::new(),
        };
        let own_classes = match document.get("classes").map(|value| value.get_ref()) {
            Some(DeValue::Table(classes)) => classes.keys().map(|class| class.get_ref().to_string()).collect(),
            Some(_) | None => BTreeSet::new(),
        };
        let shipped = policy::BuiltInClass::ALL.map(|class| class.as_str().to_owned());
        Self {
            classes: Names {
                names: own_classes.into_iter().chain(shipped).collect(),
                kind: "information class",
                how: "add it to `[classes]`",
            },
            rule_sets: Names {
                names: texts(document, "rule_set", "id"),
                kind: "rule set",
                how: "define it with `[[rule_set]]`",
            },
            roles: Names { names: roles, kind: "role", how: "add it to `[roles]`" },
            apps: Names { names: texts(document, "app", "id"), kind: "app", how: "define it with `[[app]]`" },
            zones: Names {
                names: texts(document, "listener", "zone"),
                kind: "zone",
                how: "give it to a `[[listener]]`",
            },
            listeners: Names {
                // A listener without a name has that of its zone.
                names: texts(document, "listener", "name")
                    .into_iter()
                    .chain(texts(document, "listener", "zone"))
                    .collect(),
                kind: "listener",
                how: "give it to a `[[listener]]` as its `name`",
            },
        }
    }

    /// Every app there is.
    pub(crate) fn apps(&self) -> impl Iterator<Item = &str> {
        self.apps.names.iter().map(String::as_str)
    }

    /// Adds a problem where a role is not defined.
    pub(crate) fn role(&self, value: &Value<'_>, name: &str) -> Option<()> {
        self.roles.check(value, name)
    }

    /// Adds a problem where an information class is not defined.
    pub(crate) fn class(&self, value: &Value<'_>, name: &str) -> Option<()> {
        self.classes.check(value, name)
    }

    /// Adds a problem where a rule set is not defined.
    pub(crate) fn rule_set(&self, value: &Value<'_>, name: &str) -> Option<()> {
        self.rule_sets.check(value, name)
    }

    /// Adds a problem where an app is not defined.
    pub(crate) fn app(&self, value: &Value<'_>, name: &str) -> Option<()> {
        self.apps.check(value, name)
    }

    /// Adds a problem where no listener has this name.
    pub(crate) fn listener(&self, value: &Value<'_>, name: &str) -> Option<()> {
        self.listeners.check(value, name)
    }

    /// Adds a problem where no listener stands in a zone.
    pub(crate) fn zone(&self, value: &Value<'_>, name: &str) -> Option<()> {
        self.zones.check(value, name)
    }
}

impl Names {
    fn check(&self, value: &Value<'_>, name: &str) -> Option<()> {
        if self.names.contains(name) {
            return Some(());
        }
        let remedy = match nearest(name, self.names.iter().map(String::as_str)) {
            Some(meant) => format!("write `{meant}`, or {}", self.how),
            None => self.how.to_owned(),
        };
        value.dangling(format!("{} `{name}` is not defined", self.kind), remedy)
    }
}

/// The texts under one key of every table of a list.
fn texts(document: &DeTable<'_>, tables: &str, key: &str) -> BTreeSet<String> {
    let Some(DeValue::Array(tables)) = document.get(tables).map(|value| value.get_ref()) else {
        return BTreeSet::new();
    };
    let text_of = |table: &DeValue<'_>| table.get(key).and_then(|value| value.get_ref().as_str().map(str::to_owned));
    tables.iter().filter_map(|table| text_of(table.get_ref())).collect()
}

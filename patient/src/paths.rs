//! Pointers followed through a document while it is read: which of its values are ids.

use policy::{Pointer, PointerStep};

use crate::found::Found;
use crate::json::{Events, Kind};

/// Several pointers at one place of a document, and at every place above it.
#[derive(Debug)]
pub(crate) struct Paths<'p> {
    pointers: Vec<&'p Pointer>,
    /// For each level as many words as there are pointers: which steps may come next.
    levels: Vec<u64>,
}

impl<'p> Paths<'p> {
    /// At the beginning of a document.
    pub(crate) fn new(pointers: Vec<&'p Pointer>) -> Self {
        let levels = pointers.iter().map(|pointer| settled(pointer, 1)).collect();
        Self { pointers, levels }
    }

    /// Goes to a member, element or place in a list; says whether a pointer ends there.
    pub(crate) fn enter(&mut self, name: &str) -> bool {
        let count = self.pointers.len();
        let start = self.levels.len().saturating_sub(count);
        let mut arrives = false;
        for (number, pointer) in self.pointers.iter().enumerate() {
            let before = self.levels.get(start + number).copied().unwrap_or(0);
            let after = settled(pointer, stepped(pointer, before, name));
            arrives |= after & (1 << pointer.steps().len()) != 0;
            self.levels.push(after);
        }
        arrives
    }

    /// Goes back up.
    pub(crate) fn leave(&mut self) {
        self.levels.truncate(self.levels.len().saturating_sub(self.pointers.len()));
    }

    /// Whether a pointer would end at this name below, without going there.
    pub(crate) fn would_arrive(&mut self, name: &str) -> bool {
        let arrives = self.enter(name);
        self.leave();
        arrives
    }
}

/// One step further by a name.
fn stepped(pointer: &Pointer, before: u64, name: &str) -> u64 {
    let mut after = 0;
    for (place, step) in pointer.steps().iter().enumerate().filter(|(place, _)| before & (1 << place) != 0) {
        match step {
            PointerStep::Name(wanted) if **wanted == *name => after |= 1 << (place + 1),
            PointerStep::Name(_) => {}
            PointerStep::Any => after |= 1 << (place + 1),
            PointerStep::Deep => after |= 1 << place,
        }
    }
    after
}

/// With the steps behind `**`, which may also stand for nothing.
fn settled(pointer: &Pointer, mut places: u64) -> u64 {
    for (place, step) in pointer.steps().iter().enumerate() {
        if *step == PointerStep::Deep && places & (1 << place) != 0 {
            places |= 1 << (place + 1);
        }
    }
    places
}

/// Takes ids out of JSON at pointers. A pointer to a list takes its members.
#[derive(Debug)]
pub(crate) struct AtPointers<'p, 'f, 'i> {
    paths: Paths<'p>,
    found: &'f mut Found<'i>,
    /// One for each object and list that is open: where in it we are.
    places: Vec<Place>,
    /// Whether a pointer ends at the value that comes next.
    arrives: bool,
}

#[derive(Debug)]
enum Place {
    Object,
    List { next: usize, is_pointed_at: bool },
}

impl<'p, 'f, 'i> AtPointers<'p, 'f, 'i> {
    pub(crate) fn new(pointers: Vec<&'p Pointer>, found: &'f mut Found<'i>) -> Self {
        Self { paths: Paths::new(pointers), found, places: Vec::new(), arrives: false }
    }

    /// Goes to the next member of a list, where we are in one.
    fn before_value(&mut self) {
        if let Some(Place::List { next, is_pointed_at }) = self.places.last_mut() {
            let (name, inherited) = (next.to_string(), *is_pointed_at);
            *next += 1;
            self.arrives = self.paths.enter(&name) || inherited;
        }
    }

    fn after_value(&mut self) {
        if !self.places.is_empty() {
            self.paths.leave();
        }
        self.arrives = false;
    }
}

impl Events for AtPointers<'_, '_, '_> {
    fn begin(&mut self, kind: Kind) {
        self.before_value();
        let is_pointed_at = std::mem::take(&mut self.arrives);
        self.places.push(match kind {
            Kind::Object => Place::Object,
            Kind::List => Place::List { next: 0, is_pointed_at },
        });
    }

    fn key(&mut self, name: &str) {
        self.arrives = self.paths.enter(name);
    }

    fn text(&mut self, text: &str) {
        self.before_value();
        if self.arrives {
            self.found.patient(text);
        }
        self.after_value();
    }

    fn other(&mut self) {
        self.before_value();
        self.after_value();
    }

    fn end(&mut self) {
        self.places.pop();
        self.after_value();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use policy::PatientIds;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::json;

    fn found(pointers: &[&str], document: &str) -> Vec<String> {
        let pointers: Vec<_> = pointers.iter().map(|text| Pointer::parse(text).unwrap()).collect();
        let ids = PatientIds::default();
        let mut found = Found::new(&ids);
        json::read(document.as_bytes(), &mut AtPointers::new(pointers.iter().collect(), &mut found));
        found.finish().0.ids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pointer_takes_what_it_points_at_and_nothing_else() {
        let document =
            r#"{"a":{"id":"1","x":{"id":"2"}},"list":[{"id":3},{"id":"4"},{"no":"5"}],"id":"6","n":[["7"]]}"#;
        assert_eq!(found(&["/a/id"], document), ["1"]);
        assert_eq!(found(&["/list/*/id"], document), ["3", "4"]);
        assert_eq!(found(&["/list/1/id"], document), ["4"]);
        assert_eq!(found(&["/**/id"], document), ["1", "2", "3", "4", "6"]);
        assert_eq!(found(&["/a/**/id"], document), ["1", "2"]);
        assert_eq!(found(&["/id", "/a/x/id"], document), ["2", "6"]);
        assert_eq!(found(&["/n/0"], document), ["7"], "a list at the pointer");
        assert_eq!(found(&["/a"], document), [""; 0], "an object is no id");
        assert_eq!(found(&["/none"], document), [""; 0]);
    }

    #[test]
    fn a_list_of_ids_is_its_members() {
        assert_eq!(found(&["/ids"], r#"{"ids":["1","2",{"x":"3"},null,4]}"#), ["1", "2", "4"]);
        assert_eq!(found(&["/*"], r#"["1","2"]"#), ["1", "2"]);
    }

    /// What a pointer points at, by walking a whole document.
    fn pointed(value: &Value, steps: &[PointerStep], out: &mut BTreeSet<String>) {
        let Some((step, rest)) = steps.split_first() else { return take(value, out) };
        if *step == PointerStep::Deep {
            pointed(value, rest, out);
        }
        let mut members: Vec<(String, &Value)> = Vec::new();
        members.extend(value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value)));
        let list = value.as_array().into_iter().flatten().enumerate();
        members.extend(list.map(|(place, value)| (place.to_string(), value)));
        for (name, value) in members {
            match step {
                PointerStep::Name(wanted) if **wanted == *name => pointed(value, rest, out),
                PointerStep::Name(_) => {}
                PointerStep::Any => pointed(value, rest, out),
                PointerStep::Deep => pointed(value, steps, out),
            }
        }
    }

    fn take(value: &Value, out: &mut BTreeSet<String>) {
        out.extend(value.as_str().map(str::to_owned));
        out.extend(value.as_u64().map(|number| number.to_string()));
        value.as_array().into_iter().flatten().for_each(|one| take(one, out));
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (0..1_000_u64).prop_map(Value::from),
            "x[0-9]{3}".prop_map(Value::from),
            Just(Value::Null),
            Just(Value::Bool(true)),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn pointers_take_what_a_walk_over_the_whole_document_finds(
            document in document(),
            steps in prop::collection::vec(prop_oneof!["[a-c]", "[0-3]", Just("*".to_owned()), Just("**".to_owned())], 0..4),
            last in prop_oneof!["[a-c]", Just("*".to_owned())],
        ) {
            let text = format!("/{}", steps.iter().chain([&last]).cloned().collect::<Vec<_>>().join("/"));
            let pointer = Pointer::parse(&text).unwrap();
            let mut expected = BTreeSet::new();
            pointed(&document, pointer.steps(), &mut expected);
            let taken: BTreeSet<String> = found(&[&text], &document.to_string()).into_iter().collect();
            prop_assert_eq!(taken, expected, "{} in {}", text, document);
        }
    }
}

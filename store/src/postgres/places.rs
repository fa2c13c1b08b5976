//! Where values go into a statement: `?1` and `:name`, as statements are written, to `$1`, as PostgreSQL wants it.

use crate::StoreProblem;
use crate::sql::{Bound, Value};

/// A statement in PostgreSQL's spelling, and which names its places have, if they have any.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) text: String,
    names: Vec<String>,
}

impl Places {
    /// Reads a statement. What stands in quotes is left alone.
    pub(super) fn of(sql: &str) -> Self {
        let (mut text, mut names) = (String::with_capacity(sql.len()), Vec::new());
        let mut rest = sql;
        let mut quote = None;
        while let Some(sign) = rest.chars().next() {
            let after = rest.get(sign.len_utf8()..).unwrap_or_default();
            let name: &str = match sign {
                ':' if quote.is_none() && !text.ends_with(':') => word(after),
                _ => "",
            };
            if !name.is_empty() {
                let known = names.iter().position(|one| one == name).unwrap_or_else(|| {
                    names.push(name.to_owned());
                    names.len() - 1
                });
                text.push_str(&format!("${}", known + 1));
                rest = after.get(name.len()..).unwrap_or_default();
                continue;
            }
            match (sign, quote) {
                ('\'' | '"', None) => quote = Some(sign),
                (sign, Some(open)) if sign == open => quote = None,
                (_, None | Some(_)) => {}
            }
            text.push(if sign == '?' && quote.is_none() { '$' } else { sign });
            rest = after;
        }
        Self { text, names }
    }

    /// The values in the order of their places.
    pub(super) fn fill(&self, bound: Bound) -> Result<Vec<Value>, StoreProblem> {
        match bound {
            Bound::Numbered(values) => Ok(values),
            Bound::Named(mut values) => {
                let mut take = |name: &String| {
                    let found = values.iter_mut().find(|(given, _)| given.strip_prefix(':') == Some(name));
                    let missing = || StoreProblem::Corrupt(format!("a statement was not given `{name}`"));
                    found.map(|(_, value)| std::mem::replace(value, Value::Null)).ok_or_else(missing)
                };
                self.names.iter().map(&mut take).collect()
            }
        }
    }
}

/// The word that a text begins with.
fn word(text: &str) -> &str {
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return "";
    }
    let end = text.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{named_params, params};

    #[track_caller]
    fn check(sql: &str, text: &str, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(Places::of(sql), Places { text: text.to_owned(), names });
    }

    #[test]
    fn places_are_numbered_and_quotes_left_alone() {
        check(
            "select ?1, ?12 where a = '?1 :a' and \"b?\" = ?2",
            "select $1, $12 where a = '?1 :a' and \"b?\" = $2",
            &[],
        );
        check("set a = :a, b = :b_at where a <> :a", "set a = $1, b = $2 where a <> $1", &["a", "b_at"]);
        check("x::jsonb, 'it''s :a', :a", "x::jsonb, 'it''s :a', $1", &["a"]);
        check(r"like ?1 escape '\'", r"like $1 escape '\'", &[]);
        check("病棟 = ?1", "病棟 = $1", &[]);
    }

    #[test]
    fn values_go_to_their_places() {
        let places = Places::of("set a = :a, b = :b where a <> :a");
        let filled = places.fill(named_params! { ":b": 2_i64, ":a": 1_i64 }).unwrap();
        assert!(filled == [Value::Number(1), Value::Number(2)]);
        assert!(places.fill(named_params! { ":b": 2_i64 }).is_err(), "one is missing");
        assert!(Places::of("?1").fill(params![1_i64]).unwrap() == [Value::Number(1)]);
    }
}

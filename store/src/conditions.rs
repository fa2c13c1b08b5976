//! What a question asks for, where each part of it may be left out.

use crate::sql::Value;

/// Conditions that must all hold, and their values in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// One more. Each `?` in it stands for the value.
    pub(crate) fn also(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.texts.push(condition.replace('?', &format!("?{}", self.values.len())));
    }

    /// What stands behind `where`, and the values.
    pub(crate) fn into_parts(self) -> (String, Vec<Value>) {
        let text = if self.texts.is_empty() { "true".to_owned() } else { self.texts.join(" and ") };
        (text, self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_has_a_value_of_its_own_and_none_asks_for_everything() {
        assert_eq!(Conditions::default().into_parts().0, "true");
        let mut conditions = Conditions::default();
        conditions.also("a = ?", 1_i64);
        conditions.also("(b < ? or c > ?)", 2_i64);
        let (text, values) = conditions.into_parts();
        assert_eq!((text.as_str(), values.len()), ("a = ?1 and (b < ?2 or c > ?2)", 2));
    }
}

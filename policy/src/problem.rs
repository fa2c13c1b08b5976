//! What can be wrong with a policy as written, told so that it can be mended.

use crate::RuleId;

/// Something in the policy that cannot be taken as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}; {remedy}")]
pub struct PolicyProblem {
    /// Where.
    pub place: PolicyPlace,
    /// What is wrong: lower case, no full stop.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// A place in the policy as people wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyPlace {
    /// A row of the table.
    #[error("rule `{0}`")]
    Rule(RuleId),
    /// A place in a Cedar file; line and column are counted from 1.
    #[error("{name}:{line}:{column}")]
    File {
        /// The file's name as configured.
        name: String,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
}

impl PolicyPlace {
    /// The place of a byte in a file's text.
    pub(crate) fn in_file(name: &str, text: &str, byte: usize) -> Self {
        let before = text.char_indices().take_while(|(at, _)| *at < byte);
        let (line, column) = before.fold((1, 1), |(line, column), (_, c)| match c {
            '\n' => (line + 1, 1),
            _ => (line, column + 1),
        });
        Self::File { name: name.to_owned(), line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let text = "// 規則\npermit";
        let place = |byte| PolicyPlace::in_file("x.cedar", text, byte).to_string();
        assert_eq!(place(0), "x.cedar:1:1");
        assert_eq!(place(6), "x.cedar:1:5");
        assert_eq!(place(10), "x.cedar:2:1");
        assert_eq!(place(999), "x.cedar:2:7");
    }
}

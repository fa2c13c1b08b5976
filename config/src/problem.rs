//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

/// Something in the configuration that cannot be taken as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named to us.
    pub file: String,
    /// The line, counted from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// The column, counted from 1 in characters; 0 where the file as a whole is meant.
    pub column: usize,
    /// The key, such as `app[emr].host`; empty where no key is meant.
    pub key: String,
    /// What is wrong: lower case, no full stop.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.reason, self.remedy)
    }
}

impl std::error::Error for Problem {}

/// Every problem of a configuration, in the order of the file; never empty. Prints one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_print_one_a_line_with_place_key_reason_and_remedy() {
        let whole = Problem {
            file: "sekimori.toml".into(),
            line: 0,
            column: 0,
            key: String::new(),
            reason: "cannot be read: permission denied".into(),
            remedy: "let the gateway's user read it".into(),
        };
        let one = Problem { line: 7, column: 3, key: "app[emr].host".into(), ..whole.clone() };
        assert_eq!(
            Problems(vec![whole, one]).to_string(),
            "sekimori.toml: cannot be read: permission denied; let the gateway's user read it\n\
             sekimori.toml:7: app[emr].host: cannot be read: permission denied; let the gateway's user read it"
        );
    }
}

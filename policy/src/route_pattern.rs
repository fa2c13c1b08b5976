//! The paths of a route, segment by segment.

use std::fmt;

use crate::{Path, PathProblem};

/// Segments of a path: literal ones, `*` or `{name}` for any one, `{patient}` for the one that names the patient,
/// `{study}` for the one that names an image study, `{ward}` for the one that names a ward, and `**` last for whatever
/// follows, also nothing.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoutePattern {
    text: String,
    segments: Vec<Segment>,
}

/// One segment of a pattern.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Segment {
    /// This very one, spelt as paths are.
    Literal(Box<str>),
    /// Any one.
    Any,
    /// Any one, which names the patient.
    Patient,
    /// Any one, which is a Study Instance UID.
    Study,
    /// Any one, which names a ward.
    Ward,
    /// Whatever follows.
    Rest,
}

/// Why a text is not a route's pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutePatternProblem {
    /// A segment that no path can have.
    #[error(transparent)]
    Path(#[from] PathProblem),
    /// Not spelt as requests will have it.
    #[error("`{0}` is not written as requests will have it")]
    Spelling(String),
    /// `*` or a brace among other characters.
    #[error("`{0}` is neither a whole segment nor `*`, `**` or `{{name}}`")]
    Mixed(String),
    /// `**` before the end.
    #[error("`**` may stand at the end alone")]
    RestBeforeEnd,
    /// `{patient}` twice.
    #[error("`{{patient}}` stands twice")]
    TwoPatients,
    /// `{study}` twice.
    #[error("`{{study}}` stands twice")]
    TwoStudies,
    /// `{ward}` twice.
    #[error("`{{ward}}` stands twice")]
    TwoWards,
    /// A slash at its end, which fits nothing that the same without it does not.
    #[error("ends with `/`")]
    SlashAtEnd,
}

impl RoutePattern {
    /// Reads a pattern such as `/fhir/Patient/{patient}/*`.
    ///
    /// # Errors
    /// [`RoutePatternProblem`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, RoutePatternProblem> {
        let Some(rest) = text.strip_prefix('/') else { return Err(PathProblem::NotAbsolute.into()) };
        if text.len() > crate::PATH_BYTES_MAX {
            return Err(PathProblem::TooLong.into());
        }
        let mut segments = Vec::new();
        if !rest.is_empty() {
            if rest.ends_with('/') {
                return Err(RoutePatternProblem::SlashAtEnd);
            }
            for part in rest.split('/') {
                if segments.last() == Some(&Segment::Rest) {
                    return Err(RoutePatternProblem::RestBeforeEnd);
                }
                segments.push(segment(part)?);
            }
        }
        let times = |one: &Segment| segments.iter().filter(|segment| *segment == one).count();
        if times(&Segment::Patient) > 1 {
            return Err(RoutePatternProblem::TwoPatients);
        }
        if times(&Segment::Study) > 1 {
            return Err(RoutePatternProblem::TwoStudies);
        }
        if times(&Segment::Ward) > 1 {
            return Err(RoutePatternProblem::TwoWards);
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it tells which patient it is about.
    #[must_use]
    pub fn names_patient(&self) -> bool {
        self.segments.contains(&Segment::Patient)
    }

    /// Whether it tells which image study it is about.
    #[must_use]
    pub fn names_study(&self) -> bool {
        self.segments.contains(&Segment::Study)
    }

    /// Whether it tells which ward it is about.
    #[must_use]
    pub fn names_ward(&self) -> bool {
        self.segments.contains(&Segment::Ward)
    }

    /// A path that fits it.
    #[must_use]
    pub fn example(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => text.to_string(),
            Segment::Any | Segment::Patient | Segment::Study | Segment::Ward | Segment::Rest => "1".to_owned(),
        };
        format!("/{}", self.segments.iter().map(segment).collect::<Vec<_>>().join("/"))
    }

    /// Whether every path that fits the other fits this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let mut others = other.segments.iter();
        for segment in &self.segments {
            match (segment, others.next()) {
                (Segment::Rest, _) => return true,
                (
                    Segment::Any | Segment::Patient | Segment::Study | Segment::Ward,
                    Some(Segment::Literal(_) | Segment::Any | Segment::Patient | Segment::Study | Segment::Ward),
                ) => {}
                (Segment::Literal(one), Some(Segment::Literal(two))) if one == two => {}
                (Segment::Literal(_) | Segment::Any | Segment::Patient | Segment::Study | Segment::Ward, _) => {
                    return false;
                }
            }
        }
        others.next().is_none()
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

fn segment(part: &str) -> Result<Segment, RoutePatternProblem> {
    match part {
        "*" => return Ok(Segment::Any),
        "**" => return Ok(Segment::Rest),
        "{patient}" => return Ok(Segment::Patient),
        "{study}" => return Ok(Segment::Study),
        "{ward}" => return Ok(Segment::Ward),
        "" => return Err(PathProblem::EmptySegment.into()),
        _ => {}
    }
    let name = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')) {
        return Ok(Segment::Any);
    }
    if part.contains(['*', '{', '}']) {
        return Err(RoutePatternProblem::Mixed(part.to_owned()));
    }
    let canonical = Path::parse(&format!("/{part}"))?;
    match canonical.as_str().strip_prefix('/') {
        Some(same) if same == part => Ok(Segment::Literal(part.into())),
        Some(_) | None => Err(RoutePatternProblem::Spelling(part.to_owned())),
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_whole_segments_and_nothing_else_is_one() {
        for good in ["/", "/**", "/fhir/Patient/{patient}/*", "/a/{b}/{c_1}/**", "/Patient/$everything", "/a.b-c~d"] {
            assert_eq!(RoutePattern::parse(good).unwrap().as_str(), good);
        }
        let problem = |text: &str| RoutePattern::parse(text).unwrap_err();
        assert_eq!(problem("fhir"), PathProblem::NotAbsolute.into());
        assert_eq!(problem("/a//b"), PathProblem::EmptySegment.into());
        assert_eq!(problem("/a/../b"), PathProblem::DotSegment.into());
        assert_eq!(problem("/患者"), PathProblem::BadByte.into());
        assert_eq!(problem("/%61"), RoutePatternProblem::Spelling("%61".to_owned()));
        assert_eq!(problem("/a*"), RoutePatternProblem::Mixed("a*".to_owned()));
        assert_eq!(problem("/{}"), RoutePatternProblem::Mixed("{}".to_owned()));
        assert_eq!(problem("/{a}b"), RoutePatternProblem::Mixed("{a}b".to_owned()));
        assert_eq!(problem("/**/a"), RoutePatternProblem::RestBeforeEnd);
        assert_eq!(problem("/{patient}/{patient}"), RoutePatternProblem::TwoPatients);
        assert_eq!(problem("/{study}/{study}"), RoutePatternProblem::TwoStudies);
        assert_eq!(problem("/{ward}/{ward}"), RoutePatternProblem::TwoWards);
        assert_eq!(problem("/a/"), RoutePatternProblem::SlashAtEnd);
        assert_eq!(problem(&format!("/{}", "a".repeat(crate::PATH_BYTES_MAX))), PathProblem::TooLong.into());
    }
}

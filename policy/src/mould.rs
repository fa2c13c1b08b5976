//! Rows of the table as Cedar policies. Cedar takes far longer to read a row than to judge by it, and a hospital has
//! thousands of rows, but few shapes of them: rows that differ in names and numbers alone. Each shape is read and
//! validated once, by its first row, and makes a mould; every row is cast from the mould of its shape.
//!
//! The validator looks at types, and those of our rows do not depend on which names and numbers stand in them: apps,
//! which the schema lists, were looked for before. What is cast holds no places in a text, which Cedar would copy at
//! each step of an evaluation.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::pst::{
    ActionConstraint, Clause, EntityOrSlot, EntityUID, Expr, Literal, PatternElem, Policy as Tree, PrincipalConstraint,
    ResourceConstraint, StaticPolicy, Template,
};
use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode, Validator};

use crate::RuleId;
use crate::policy::without_places;

/// The moulds of the shapes met so far.
#[derive(Debug)]
pub(crate) struct Moulds<'a> {
    validator: &'a Validator,
    /// `None` for a shape that cannot be cast: each of its rows is read by Cedar.
    moulds: HashMap<String, Option<Template>>,
}

impl<'a> Moulds<'a> {
    pub(crate) fn new(validator: &'a Validator) -> Self {
        Self { validator, moulds: HashMap::new() }
    }

    /// The policy of a row's text, under its name.
    pub(crate) fn cast(&mut self, id: &RuleId, text: &str) -> Result<Policy, String> {
        let row = Row::of(text);
        if let Some(mould) = self.moulds.get(&row.shape) {
            return mould.as_ref().and_then(|mould| row.fill(id, mould)).map_or_else(|| read(id, text), Ok);
        }
        let first = read(id, text)?;
        self.validate(&first)?;
        // A mould is believed once it gave what Cedar reads.
        let mould = mould(&row.shape).filter(|mould| row.fill(id, mould).is_some_and(|cast| cast == first));
        self.moulds.insert(row.shape, mould);
        Ok(first)
    }

    fn validate(&self, row: &Policy) -> Result<(), String> {
        let alone = PolicySet::from_policies([row.clone()]).map_err(|error| error.to_string())?;
        let checked = self.validator.validate(&alone, ValidationMode::Strict);
        checked.validation_errors().next().map_or(Ok(()), |error| Err(error.to_string()))
    }
}

fn read(id: &RuleId, text: &str) -> Result<Policy, String> {
    let policy = Policy::parse(Some(PolicyId::new(id.as_str())), text).map_err(|errors| errors.to_string())?;
    Ok(without_places(policy))
}

fn mould(shape: &str) -> Option<Template> {
    Some(Policy::parse(None, shape).ok()?.to_pst().ok()?.body().clone())
}

/// A row, taken apart. No row of ours has a quote in quotes.
#[derive(Debug)]
struct Row<'a> {
    /// Its text with the position of each name in place of the name, and of each number in place of the number.
    shape: String,
    names: Vec<&'a str>,
    numbers: Vec<i64>,
}

impl<'a> Row<'a> {
    fn of(text: &'a str) -> Self {
        let mut row = Self { shape: String::with_capacity(text.len()), names: Vec::new(), numbers: Vec::new() };
        for (place, part) in text.split('"').enumerate() {
            if place % 2 == 1 {
                row.shape.push_str(&format!("\"{}\"", row.names.len()));
                row.names.push(part);
            } else {
                row.take_numbers(part);
            }
        }
        row
    }

    fn take_numbers(&mut self, mut part: &str) {
        while let Some(start) = part.find(|c: char| c.is_ascii_digit()) {
            let (before, rest) = part.split_at(start);
            let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
            self.shape.push_str(before);
            let belongs_to_word = self.shape.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            match digits.parse() {
                Ok(number) if !belongs_to_word => {
                    self.shape.push_str(&self.numbers.len().to_string());
                    self.numbers.push(number);
                }
                Ok(_) | Err(_) => self.shape.push_str(digits),
            }
            part = after;
        }
        self.shape.push_str(part);
    }

    /// The mould of the row's shape, filled with its names and numbers; `None` if it holds what rows do not hold.
    fn fill(&self, id: &RuleId, mould: &Template) -> Option<Policy> {
        let clauses: Option<Vec<_>> = mould.clauses().iter().map(|clause| self.clause(clause)).collect();
        let principal = match &mould.principal {
            PrincipalConstraint::In(EntityOrSlot::Entity(role)) => {
                PrincipalConstraint::In(EntityOrSlot::Entity(self.entity(role)?))
            }
            kept @ (PrincipalConstraint::Any | PrincipalConstraint::Is(_)) => kept.clone(),
            PrincipalConstraint::In(EntityOrSlot::Slot(_))
            | PrincipalConstraint::Eq(_)
            | PrincipalConstraint::IsIn(..) => return None,
        };
        let action = match &mould.action {
            ActionConstraint::Any => ActionConstraint::Any,
            ActionConstraint::Eq(action) => ActionConstraint::Eq(self.entity(action)?),
            ActionConstraint::In(actions) => {
                ActionConstraint::In(actions.iter().map(|action| self.entity(action)).collect::<Option<_>>()?)
            }
        };
        let resource = match &mould.resource {
            ResourceConstraint::Eq(EntityOrSlot::Entity(app)) => {
                ResourceConstraint::Eq(EntityOrSlot::Entity(self.entity(app)?))
            }
            kept @ (ResourceConstraint::Any | ResourceConstraint::Is(_)) => kept.clone(),
            ResourceConstraint::Eq(EntityOrSlot::Slot(_))
            | ResourceConstraint::In(_)
            | ResourceConstraint::IsIn(..) => return None,
        };
        let filled = Template::new(PolicyId::new(id.as_str()), mould.effect, principal, action, resource);
        let filled = StaticPolicy::try_from(filled.try_with_clauses(clauses?).ok()?).ok()?;
        Policy::from_pst(Tree::Static(filled)).ok()
    }

    fn clause(&self, clause: &Clause) -> Option<Clause> {
        Some(match clause {
            Clause::When(expression) => Clause::When(self.expression(expression)?),
            Clause::Unless(expression) => Clause::Unless(self.expression(expression)?),
        })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what rows do not hold, and what Cedar may add, is not cast")]
    fn expression(&self, expression: &Arc<Expr>) -> Option<Arc<Expr>> {
        let filled = match &**expression {
            Expr::Var(_) | Expr::Literal(Literal::Bool(_)) => return Some(Arc::clone(expression)),
            Expr::Literal(Literal::Long(place)) => {
                Expr::Literal(Literal::Long(*self.numbers.get(usize::try_from(*place).ok()?)?))
            }
            Expr::Literal(Literal::String(place)) => Expr::Literal(Literal::String(self.name(place)?.into())),
            Expr::Literal(Literal::EntityUID(entity)) => Expr::Literal(Literal::EntityUID(self.entity(entity)?)),
            Expr::UnaryOp { op, expr } => Expr::UnaryOp { op: *op, expr: self.expression(expr)? },
            Expr::BinaryOp { op, left, right } => {
                Expr::BinaryOp { op: *op, left: self.expression(left)?, right: self.expression(right)? }
            }
            Expr::GetAttr { expr, attr } => Expr::GetAttr { expr: self.expression(expr)?, attr: attr.clone() },
            Expr::Like { expr, pattern } => {
                Expr::Like { expr: self.expression(expr)?, pattern: self.pattern(pattern)? }
            }
            Expr::Set(items) => Expr::Set(items.iter().map(|item| self.expression(item)).collect::<Option<_>>()?),
            _ => return None,
        };
        Some(Arc::new(filled))
    }

    fn entity(&self, entity: &EntityUID) -> Option<EntityUID> {
        Some(EntityUID { ty: entity.ty.clone(), eid: self.name(&entity.eid)?.into() })
    }

    fn pattern(&self, place: &[PatternElem]) -> Option<Vec<PatternElem>> {
        let place: Option<String> = place
            .iter()
            .map(|element| match element {
                PatternElem::Char(digit) => Some(*digit),
                PatternElem::Wildcard => None,
            })
            .collect();
        let element = |c| if c == '*' { PatternElem::Wildcard } else { PatternElem::Char(c) };
        Some(self.name(&place?)?.chars().map(element).collect())
    }

    fn name(&self, place: &str) -> Option<&'a str> {
        self.names.get(place.parse::<usize>().ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::schema::schema;

    const ROW: &str = "permit (principal in Sekimori::Role::\"nurse\", action, resource == Sekimori::App::\"emr\")\n\
                       when { context.path like \"/fhir/*/1\" }\nwhen { context.minute < 480 };";

    #[test]
    fn rows_that_differ_in_names_and_numbers_alone_have_one_shape() {
        let row = |role: &str, minute: &str| {
            Row::of(&format!("permit (principal in Sekimori::Role::\"{role}\") when {{ context.minute < {minute} }};"))
                .shape
        };
        assert_eq!(row("nurse", "480"), row("doctor2", "530"));
        assert_ne!(row("nurse", "480"), row("nurse", "context.zone"));
        assert_ne!(Row::of("[\"a\", \"b\"]").shape, Row::of("[\"a\"]").shape);
        assert_eq!(Row::of("aal2 && 3 < x4").shape, "aal2 && 0 < x4");
    }

    #[test]
    fn what_is_cast_is_what_cedar_reads() {
        let validator = Validator::new(schema(&fixtures::apps()));
        let mut moulds = Moulds::new(&validator);
        let name = |id: &str| RuleId::parse(id).unwrap();
        moulds.cast(&name("first"), ROW).unwrap();
        assert!(moulds.moulds.values().all(Option::is_some), "a mould was made: {moulds:?}");
        let other = ROW.replace("nurse", "doctor").replace("/fhir/*/1", "/*/b/*").replace("480", "7");
        let cast = moulds.cast(&name("second"), &other).unwrap();
        assert_eq!(cast, read(&name("second"), &other).unwrap());
        assert_ne!(cast, read(&name("second"), ROW).unwrap());
        assert_eq!(moulds.moulds.len(), 1);
    }

    #[test]
    fn a_row_that_the_validator_refuses_makes_no_mould() {
        let validator = Validator::new(schema(&fixtures::apps()));
        let mut moulds = Moulds::new(&validator);
        let wrong = ROW.replace("context.minute", "context.moon");
        assert!(moulds.cast(&RuleId::parse("wrong").unwrap(), &wrong).is_err());
        assert!(moulds.moulds.is_empty());
    }
}

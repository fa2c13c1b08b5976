//! One row of an answer.

use std::sync::Arc;

use super::{FromValue, Value};
use crate::StoreProblem;

/// One row: its values, and what their columns are called.
#[derive(Debug)]
pub(crate) struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// Reads a column, by its name or its place.
    pub(crate) fn get<C: Column, T: FromValue>(&self, column: C) -> Result<T, StoreProblem> {
        let value = column.place(&self.columns).and_then(|place| self.values.get(place));
        // The value itself stays out of the message: a damaged row may hold anything.
        value
            .and_then(T::from_value)
            .ok_or_else(|| StoreProblem::Corrupt(format!("column `{}` is of another kind", column.name())))
    }

    /// The value of a column.
    pub(crate) fn value(&self, column: &str) -> Result<Value, StoreProblem> {
        let value = self.columns.iter().position(|name| name == column).and_then(|place| self.values.get(place));
        value.cloned().ok_or_else(|| StoreProblem::Corrupt(format!("there is no column `{column}`")))
    }

    /// What the columns are called.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// All values, in the order of the columns.
    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// All values, in the order of the columns.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }
}

/// Which column: its name, or its place from 0.
pub(crate) trait Column {
    fn place(&self, columns: &[String]) -> Option<usize>;
    fn name(&self) -> String;
}

impl Column for &str {
    fn place(&self, columns: &[String]) -> Option<usize> {
        columns.iter().position(|column| column == self)
    }

    fn name(&self) -> String {
        (*self).to_owned()
    }
}

impl Column for usize {
    fn place(&self, _: &[String]) -> Option<usize> {
        Some(*self)
    }

    fn name(&self) -> String {
        self.to_string()
    }
}

//! Values as they go into statements and come out of rows. Both back ends keep the same four kinds; a yes or no is a
//! number.

use std::fmt;

/// One value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may be anything, a secret too.
        f.write_str("(..)")
    }
}

/// What can be put into a statement.
pub(crate) trait ToValue {
    fn to_value(&self) -> Value;
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl ToValue for i64 {
    fn to_value(&self) -> Value {
        Value::Number(*self)
    }
}

impl ToValue for u32 {
    fn to_value(&self) -> Value {
        Value::Number((*self).into())
    }
}

impl ToValue for bool {
    fn to_value(&self) -> Value {
        Value::Number((*self).into())
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value {
        Value::Bytes(self.clone())
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn to_value(&self) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// What can be read out of a row. `None` where the value is of another kind.
pub(crate) trait FromValue: Sized {
    fn from_value(value: &Value) -> Option<Self>;
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            Value::Number(_) | Value::Text(_) | Value::Bytes(_) => T::from_value(value).map(Some),
        }
    }
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Number(number) = value { Some(*number) } else { None }
    }
}

impl FromValue for u32 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.clone()) } else { None }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bytes(bytes) = value { Some(bytes.clone()) } else { None }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bytes(bytes) = value { bytes.as_slice().try_into().ok() } else { None }
    }
}

/// Values for the places of a statement: `?1`, `?2`, or `:name`.
pub(crate) enum Bound {
    Numbered(Vec<Value>),
    Named(Vec<(&'static str, Value)>),
}

/// What a statement can be given.
pub(crate) trait Params {
    fn bound(self) -> Bound;
}

impl Params for Bound {
    fn bound(self) -> Bound {
        self
    }
}

impl Params for () {
    fn bound(self) -> Bound {
        Bound::Numbered(Vec::new())
    }
}

impl Params for Vec<Value> {
    fn bound(self) -> Bound {
        Bound::Numbered(self)
    }
}

impl<T: ToValue, const N: usize> Params for [T; N] {
    fn bound(self) -> Bound {
        Bound::Numbered(self.iter().map(ToValue::to_value).collect())
    }
}

/// Values for `?1`, `?2` and so on.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        $crate::sql::Bound::Numbered(vec![$($crate::sql::ToValue::to_value(&$value)),*])
    };
}

/// Values for `:name`, each with that name.
macro_rules! named_params {
    ($($name:literal: $value:expr),* $(,)?) => {
        $crate::sql::Bound::Named(vec![$(($name, $crate::sql::ToValue::to_value(&$value))),*])
    };
}

pub(crate) use {named_params, params};

//! A value in a request's body, and where it stands: whatever is wrong is told with its path, as OpenAI writes it
//! (`messages[0].content`).

use alloc::format;
use alloc::string::ToString;
use core::fmt;

use serde_json::Value;

use super::error::ApiError;

#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    above: Option<&'a Spot<'a>>,
    step: Step<'a>,
    /// `null` where there is none.
    pub(super) value: &'a Value,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

impl<'a> Spot<'a> {
    /// A field of the body itself.
    pub(super) const fn of(name: &'a str, value: &'a Value) -> Self {
        Self { above: None, step: Step::Field(name), value }
    }

    /// Of an object.
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        let value = self.value.get(name).unwrap_or(&Value::Null);
        Self { above: Some(self), step: Step::Field(name), value }
    }

    /// Of a list; of anything else none.
    pub(super) fn items(&'a self) -> impl Iterator<Item = Self> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(|(at, value)| Self { above: Some(self), step: Step::Item(at), value })
    }

    pub(super) fn wrong(&self, must: &str) -> ApiError {
        ApiError::bad_param(self.to_string(), format!("`{self}` must be {must}."))
    }
}

impl fmt::Display for Spot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.above, self.step) {
            (Some(above), Step::Field(name)) => write!(f, "{above}.{name}"),
            (Some(above), Step::Item(at)) => write!(f, "{above}[{at}]"),
            (None, Step::Field(name)) => f.write_str(name),
            (None, Step::Item(at)) => write!(f, "[{at}]"),
        }
    }
}

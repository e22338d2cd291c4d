//! The form of a request: `Action=…&Version=…` and the action's parameters.

use super::reply::StsError;
use crate::request::Query;

const VERSION: &str = "2011-06-15";

/// A form's fields.
pub(super) struct StsForm(Query);

impl StsForm {
    /// Reads a form.
    pub fn parse(body: &[u8]) -> Result<Self, StsError> {
        let text = std::str::from_utf8(body).map_err(|_| StsError::validation("The form is not UTF-8"))?;
        let fields = Query::parse(Some(text)).map_err(|_| StsError::validation("The form cannot be read"))?;
        Ok(Self(fields))
    }

    /// The action it names, of the version there is.
    pub fn action(&self) -> Result<&str, StsError> {
        let action = self.0.get_non_empty("Action").ok_or_else(StsError::missing_action)?;
        match self.0.get("Version") {
            None | Some(VERSION) => Ok(action),
            Some(_) => Err(StsError::invalid_action(action)),
        }
    }

    /// A field that must be there, of so many characters.
    pub fn required(&self, name: &'static str, length: std::ops::RangeInclusive<usize>) -> Result<&str, StsError> {
        self.optional(name, length)?.ok_or_else(|| {
            let place = parameter_name(name);
            StsError::validation(format!(
                "1 validation error detected: Value null at '{place}' failed to satisfy constraint: Member must not be null"
            ))
        })
    }

    /// A field of so many characters.
    pub fn optional(
        &self,
        name: &'static str,
        length: std::ops::RangeInclusive<usize>,
    ) -> Result<Option<&str>, StsError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        if length.contains(&value.chars().count()) {
            return Ok(Some(value));
        }
        let (least, most) = (length.start(), length.end());
        Err(StsError::validation(format!(
            "1 validation error detected: Value at '{}' failed to satisfy constraint: Member must have length between \
             {least} and {most}",
            parameter_name(name)
        )))
    }

    /// Whether there is a field whose name begins so.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.0.iter().any(|(name, _)| name.starts_with(prefix))
    }
}

/// As AWS names parameters in messages: with a small first letter.
fn parameter_name(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    format!("{}{rest}", first.to_ascii_lowercase())
}

//! What conditions and policy variables may ask about a request: names with their values.

/// The condition keys of one request. A key without a value is not there, which conditions treat as such.
///
/// Names are compared without regard to case, except for what follows the slash of a tag's key
/// (`s3:ExistingObjectTag/Department`): tags that differ in case only are different tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestContext {
    keys: Vec<(String, Vec<String>)>,
}

impl RequestContext {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value to a key. Keys with several values are those that `ForAllValues` and `ForAnyValue` are made for.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let key = key.into();
        match self.keys.iter_mut().find(|(name, _)| is_same_key(name, &key)) {
            Some((_, values)) => values.push(value.into()),
            None => self.keys.push((key, vec![value.into()])),
        }
    }

    /// Adds a value if there is one.
    pub fn add_some(&mut self, key: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }

    /// Adds what another context says.
    pub fn extend(&mut self, other: &RequestContext) {
        for (key, values) in &other.keys {
            values.iter().for_each(|value| self.add(key.as_str(), value.as_str()));
        }
    }

    /// The values of a key; `None` if the request has no such key.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.keys.iter().find(|(name, _)| is_same_key(name, key)).map(|(_, values)| values.as_slice())
    }

    /// The only value of a key, for policy variables: one of several has no meaning.
    pub fn single(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some([value]) => Some(value),
            Some(_) | None => None,
        }
    }
}

fn is_same_key(one: &str, other: &str) -> bool {
    match (one.split_once('/'), other.split_once('/')) {
        (Some((prefix, tag)), Some((other_prefix, other_tag))) => {
            prefix.eq_ignore_ascii_case(other_prefix) && tag == other_tag
        }
        _ => one.eq_ignore_ascii_case(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_whatever_their_case_and_tags_by_theirs() {
        let mut context = RequestContext::new();
        context.add("aws:SourceIp", "10.0.0.1");
        context.add("s3:ExistingObjectTag/Team", "red");
        context.add("s3:RequestObjectTagKeys", "a");
        context.add("s3:requestobjecttagkeys", "b");
        context.add_some("aws:Referer", None::<String>);
        assert_eq!(context.single("AWS:sourceip"), Some("10.0.0.1"));
        assert_eq!(context.single("S3:existingobjecttag/Team"), Some("red"));
        assert_eq!(context.single("s3:ExistingObjectTag/team"), None);
        assert_eq!(context.get("s3:RequestObjectTagKeys").unwrap().len(), 2);
        assert_eq!(context.single("s3:RequestObjectTagKeys"), None);
        assert_eq!(context.get("aws:Referer"), None);
        let mut other = RequestContext::new();
        other.extend(&context);
        assert_eq!(other, context);
    }
}

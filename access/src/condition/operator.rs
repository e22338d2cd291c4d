//! The operators of conditions: `[ForAllValues:|ForAnyValue:]Test[IfExists]`.
//!
//! Source: "IAM JSON policy elements: Condition operators", IAM user guide.

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    NumericEquals,
    NumericLessThan,
    NumericLessThanEquals,
    NumericGreaterThan,
    NumericGreaterThanEquals,
    DateEquals,
    DateLessThan,
    DateLessThanEquals,
    DateGreaterThan,
    DateGreaterThanEquals,
    Bool,
    BinaryEquals,
    IpAddress,
    ArnLike,
    Null,
}

/// How a key with several values is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// None named: meant for keys with one value.
    Single,
    /// `ForAllValues`: every value of the request must pass; none at all pass.
    All,
    /// `ForAnyValue`: some value of the request must pass.
    Any,
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub test: Test,
    /// `Not…`: holds when no value of the policy passes the test.
    pub negated: bool,
    pub quantifier: Quantifier,
    /// `…IfExists`: holds when the request has no such key.
    pub if_exists: bool,
}

/// Every test by its name, and whether it is the negation of it.
const TESTS: &[(&str, Test, bool)] = &[
    ("StringEquals", Test::StringEquals, false),
    ("StringNotEquals", Test::StringEquals, true),
    ("StringEqualsIgnoreCase", Test::StringEqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Test::StringEqualsIgnoreCase, true),
    ("StringLike", Test::StringLike, false),
    ("StringNotLike", Test::StringLike, true),
    ("NumericEquals", Test::NumericEquals, false),
    ("NumericNotEquals", Test::NumericEquals, true),
    ("NumericLessThan", Test::NumericLessThan, false),
    ("NumericLessThanEquals", Test::NumericLessThanEquals, false),
    ("NumericGreaterThan", Test::NumericGreaterThan, false),
    ("NumericGreaterThanEquals", Test::NumericGreaterThanEquals, false),
    ("DateEquals", Test::DateEquals, false),
    ("DateNotEquals", Test::DateEquals, true),
    ("DateLessThan", Test::DateLessThan, false),
    ("DateLessThanEquals", Test::DateLessThanEquals, false),
    ("DateGreaterThan", Test::DateGreaterThan, false),
    ("DateGreaterThanEquals", Test::DateGreaterThanEquals, false),
    ("Bool", Test::Bool, false),
    ("BinaryEquals", Test::BinaryEquals, false),
    ("IpAddress", Test::IpAddress, false),
    ("NotIpAddress", Test::IpAddress, true),
    // AWS lets ArnEquals take wildcards too: the two are one.
    ("ArnEquals", Test::ArnLike, false),
    ("ArnNotEquals", Test::ArnLike, true),
    ("ArnLike", Test::ArnLike, false),
    ("ArnNotLike", Test::ArnLike, true),
    ("Null", Test::Null, false),
];

impl Operator {
    /// Reads an operator's name. Case does not matter.
    pub fn parse(name: &str) -> Option<Operator> {
        let (quantifier, rest) = match name.split_once(':') {
            None => (Quantifier::Single, name),
            Some((word, rest)) if word.eq_ignore_ascii_case("ForAllValues") => (Quantifier::All, rest),
            Some((word, rest)) if word.eq_ignore_ascii_case("ForAnyValue") => (Quantifier::Any, rest),
            Some(_) => return None,
        };
        const SUFFIX: &str = "IfExists";
        let cut = rest.len().saturating_sub(SUFFIX.len());
        let if_exists = rest.get(cut..).is_some_and(|end| end.eq_ignore_ascii_case(SUFFIX));
        let base = if if_exists { &rest[..cut] } else { rest };
        let (_, test, negated) = TESTS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(base))?;
        if *test == Test::Null && if_exists {
            return None;
        }
        Some(Operator { test: *test, negated: *negated, quantifier, if_exists })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_prefix_and_suffix() {
        for (name, _, _) in TESTS {
            assert!(Operator::parse(name).is_some(), "{name}");
            assert_eq!(Operator::parse(&format!("{name}IfExists")).is_none(), *name == "Null", "{name}");
            assert!(Operator::parse(&format!("ForAnyValue:{name}")).is_some(), "{name}");
        }
        let all = Operator::parse("ForAllValues:StringNotLikeIfExists").unwrap();
        assert_eq!((all.test, all.negated, all.if_exists), (Test::StringLike, true, true));
        assert_eq!(all.quantifier, Quantifier::All);
        for bad in ["", "IfExists", "NullIfExists", "ForSomeValues:StringLike", "StringEqual", "é", ":"] {
            assert_eq!(Operator::parse(bad), None, "{bad}");
        }
    }
}

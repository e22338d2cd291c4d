//! Conditions: an operator, a key, and the values that satisfy it.
//!
//! Values of one condition are alternatives, conditions of one statement must all hold. A request without the key fails a
//! condition, unless the operator is negated, ends in `IfExists`, is `Null`, or quantifies over all values.

mod date;
mod ip;
mod operator;

pub(crate) use ip::IpBlock;
pub(crate) use operator::{Operator, Quantifier, Test};

use crate::context::RequestContext;
use crate::pattern::{Case, Pattern};

/// One line of a `Condition` element.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    operator: Operator,
    key: String,
    values: Vec<Pattern>,
}

impl Condition {
    /// A condition; `None` if a value cannot be one of this operator.
    pub fn new(operator: Operator, key: &str, values: Vec<Pattern>) -> Option<Condition> {
        let fits = |value: &Pattern| {
            let text = value.text();
            match operator.test {
                // Known only once the variable is.
                _ if value.variables().next().is_some() => true,
                Test::IpAddress => IpBlock::parse(text).is_some(),
                Test::Bool | Test::Null => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
                Test::DateEquals
                | Test::DateLessThan
                | Test::DateLessThanEquals
                | Test::DateGreaterThan
                | Test::DateGreaterThanEquals => date::parse_date(text).is_some(),
                Test::NumericEquals
                | Test::NumericLessThan
                | Test::NumericLessThanEquals
                | Test::NumericGreaterThan
                | Test::NumericGreaterThanEquals => parse_number(text).is_some(),
                Test::StringEquals
                | Test::StringEqualsIgnoreCase
                | Test::StringLike
                | Test::BinaryEquals
                | Test::ArnLike => true,
            }
        };
        values.iter().all(fits).then(|| Condition { operator, key: key.to_owned(), values })
    }

    /// The operator.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The key it asks for.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The values of the policy.
    pub fn values(&self) -> &[Pattern] {
        &self.values
    }

    /// Whether it holds for a request.
    pub fn holds(&self, context: &RequestContext) -> bool {
        let found = context.get(&self.key);
        if self.operator.test == Test::Null {
            let is_absent = if found.is_none() { "true" } else { "false" };
            return self
                .values
                .iter()
                .any(|value| value.resolve(context).is_some_and(|wanted| wanted.eq_ignore_ascii_case(is_absent)));
        }
        let Some(found) = found else {
            return match self.operator.quantifier {
                Quantifier::All => true,
                Quantifier::Any => self.operator.if_exists,
                Quantifier::Single => self.operator.if_exists || self.operator.negated,
            };
        };
        let passes = |value: &String| self.one_passes(value, context) != self.operator.negated;
        match (self.operator.quantifier, self.operator.negated) {
            (Quantifier::All, _) | (Quantifier::Single, true) => found.iter().all(passes),
            (Quantifier::Any, _) | (Quantifier::Single, false) => found.iter().any(passes),
        }
    }

    /// Whether some value of the policy passes the test, its negation left aside.
    fn one_passes(&self, found: &str, context: &RequestContext) -> bool {
        self.values.iter().any(|wanted| passes(self.operator.test, found, wanted, context))
    }
}

fn passes(test: Test, found: &str, wanted: &Pattern, context: &RequestContext) -> bool {
    match test {
        Test::StringLike => return wanted.matches(found, context, Case::Sensitive),
        Test::ArnLike => return arn_like(found, wanted, context),
        _ => {}
    }
    let Some(wanted) = wanted.resolve(context) else { return false };
    let numbers = |compare: fn(&f64, &f64) -> bool| match (parse_number(found), parse_number(&wanted)) {
        (Some(found), Some(wanted)) => compare(&found, &wanted),
        _ => false,
    };
    let dates = |compare: fn(&i64, &i64) -> bool| match (date::parse_date(found), date::parse_date(&wanted)) {
        (Some(found), Some(wanted)) => compare(&found, &wanted),
        _ => false,
    };
    match test {
        Test::StringEquals | Test::BinaryEquals => found == wanted,
        Test::StringEqualsIgnoreCase => found.to_lowercase() == wanted.to_lowercase(),
        Test::NumericEquals => numbers(f64::eq),
        Test::NumericLessThan => numbers(f64::lt),
        Test::NumericLessThanEquals => numbers(f64::le),
        Test::NumericGreaterThan => numbers(f64::gt),
        Test::NumericGreaterThanEquals => numbers(f64::ge),
        Test::DateEquals => dates(i64::eq),
        Test::DateLessThan => dates(i64::lt),
        Test::DateLessThanEquals => dates(i64::le),
        Test::DateGreaterThan => dates(i64::gt),
        Test::DateGreaterThanEquals => dates(i64::ge),
        Test::Bool => found.eq_ignore_ascii_case(&wanted),
        Test::IpAddress => IpBlock::parse(&wanted).is_some_and(|block| block.contains(found)),
        Test::StringLike | Test::ArnLike | Test::Null => false,
    }
}

/// Each of the six elements of an ARN is matched alone, so that a `*` does not reach over a colon into the next. The
/// last one may hold colons.
fn arn_like(found: &str, wanted: &Pattern, context: &RequestContext) -> bool {
    const ELEMENTS: usize = 6;
    let found: Vec<&str> = found.splitn(ELEMENTS, ':').collect();
    let wanted: Vec<&str> = split_outside_variables(wanted.text(), ELEMENTS);
    found.len() == ELEMENTS
        && wanted.len() == ELEMENTS
        && found.iter().zip(&wanted).all(|(found, wanted)| {
            Pattern::parse(wanted, true).is_some_and(|wanted| wanted.matches(found, context, Case::Sensitive))
        })
}

/// Splits at colons, those of `${aws:username}` excepted, into at most `limit` elements.
fn split_outside_variables(text: &str, limit: usize) -> Vec<&str> {
    let mut elements = Vec::with_capacity(limit);
    let (mut from, mut depth) = (0, 0u32);
    for (at, character) in text.char_indices() {
        match character {
            '{' if text[..at].ends_with('$') => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && elements.len() + 1 < limit => {
                elements.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    elements.push(&text[from..]);
    elements
}

fn parse_number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(operator: &str, key: &str, values: &[&str], found: &[&str]) -> bool {
        let mut context = RequestContext::new();
        context.add("aws:username", "ann");
        for value in found {
            context.add(key, *value);
        }
        let values = values.iter().map(|value| Pattern::parse(value, true).unwrap()).collect();
        Condition::new(Operator::parse(operator).unwrap(), key, values).unwrap().holds(&context)
    }

    #[test]
    fn every_operator() {
        let cases: &[(&str, &[&str], &[&str], bool)] = &[
            ("StringEquals", &["a", "b"], &["b"], true),
            ("StringEquals", &["a", "b"], &["c"], false),
            ("StringEquals", &["a"], &[], false),
            ("StringEquals", &["a*"], &["ab"], false),
            ("StringEquals", &["${aws:username}"], &["ann"], true),
            ("StringEquals", &["${aws:missing}"], &["ann"], false),
            ("StringEqualsIfExists", &["a"], &[], true),
            ("StringEqualsIfExists", &["a"], &["b"], false),
            ("StringNotEquals", &["a", "b"], &["c"], true),
            ("StringNotEquals", &["a", "b"], &["b"], false),
            ("StringNotEquals", &["a"], &[], true),
            ("StringEqualsIgnoreCase", &["AbC"], &["aBc"], true),
            ("StringNotEqualsIgnoreCase", &["AbC"], &["aBc"], false),
            ("StringLike", &["a*"], &["abc"], true),
            ("StringLike", &["a?"], &["abc"], false),
            ("StringLike", &["${aws:username}/*"], &["ann/x"], true),
            ("StringNotLike", &["a*"], &["abc"], false),
            ("StringNotLike", &["a*"], &["b"], true),
            ("NumericEquals", &["10"], &["10.0"], true),
            ("NumericNotEquals", &["10"], &["11"], true),
            ("NumericLessThan", &["10"], &["9"], true),
            ("NumericLessThan", &["10"], &["10"], false),
            ("NumericLessThanEquals", &["10"], &["10"], true),
            ("NumericGreaterThan", &["10"], &["11"], true),
            ("NumericGreaterThanEquals", &["10"], &["x"], false),
            ("DateLessThan", &["2020-01-01T00:00:00Z"], &["2019-12-31T23:59:59Z"], true),
            ("DateGreaterThan", &["2020-01-01T00:00:00Z"], &["1577836801"], true),
            ("DateGreaterThan", &["2020-01-01T00:00:00Z"], &["1577836800"], false),
            ("DateGreaterThanEquals", &["2020-01-01"], &["1577836800"], true),
            ("DateEquals", &["2020-01-01"], &["2020-01-01T00:00:00Z"], true),
            ("DateNotEquals", &["2020-01-01"], &["2020-01-02"], true),
            ("DateLessThanEquals", &["2020-01-01"], &["2020-01-02"], false),
            ("Bool", &["true"], &["TRUE"], true),
            ("Bool", &["true"], &["false"], false),
            ("Bool", &["true"], &[], false),
            ("BoolIfExists", &["true"], &[], true),
            ("BinaryEquals", &["QmluYXJ5"], &["QmluYXJ5"], true),
            ("IpAddress", &["10.0.0.0/8", "::1"], &["10.2.3.4"], true),
            ("IpAddress", &["10.0.0.0/8"], &["192.168.0.1"], false),
            ("NotIpAddress", &["10.0.0.0/8"], &["192.168.0.1"], true),
            ("NotIpAddress", &["10.0.0.0/8"], &["10.1.1.1"], false),
            ("ArnEquals", &["arn:aws:iam::1:user/*"], &["arn:aws:iam::1:user/ann"], true),
            ("ArnLike", &["arn:aws:iam::*:user/ann"], &["arn:aws:iam::12:user/ann"], true),
            ("ArnLike", &["arn:aws:iam::*ann"], &["arn:aws:iam::1:user/ann"], false),
            ("ArnLike", &["arn:aws:iam::1:user/${aws:username}"], &["arn:aws:iam::1:user/ann"], true),
            ("ArnNotLike", &["arn:aws:iam::1:*"], &["arn:aws:iam::2:user/ann"], true),
            ("ArnNotEquals", &["arn:aws:iam::1:*"], &["arn:aws:iam::1:user/ann"], false),
            ("Null", &["true"], &[], true),
            ("Null", &["true"], &["x"], false),
            ("Null", &["false"], &["x"], true),
            ("Null", &["false"], &[], false),
            ("ForAllValues:StringEquals", &["a", "b"], &["a", "b"], true),
            ("ForAllValues:StringEquals", &["a", "b"], &["a", "c"], false),
            ("ForAllValues:StringEquals", &["a"], &[], true),
            ("ForAnyValue:StringEquals", &["a"], &["c", "a"], true),
            ("ForAnyValue:StringEquals", &["a"], &["c"], false),
            ("ForAnyValue:StringEquals", &["a"], &[], false),
            ("ForAllValues:StringNotEquals", &["a"], &["b", "c"], true),
            ("ForAllValues:StringNotEquals", &["a"], &["b", "a"], false),
            ("ForAnyValue:StringNotEquals", &["a"], &["b", "a"], true),
            ("ForAnyValue:StringNotEquals", &["a"], &["a"], false),
            ("ForAnyValue:StringLike", &["x*"], &["ab", "xy"], true),
        ];
        for (operator, values, found, expected) in cases {
            assert_eq!(holds(operator, "key", values, found), *expected, "{operator} {values:?} {found:?}");
        }
    }

    #[test]
    fn values_must_fit_the_operator() {
        for (operator, value, fits) in [
            ("IpAddress", "10.0.0.0/40", false),
            ("IpAddress", "10.0.0.0/4", true),
            ("Bool", "maybe", false),
            ("Null", "x", false),
            ("NumericEquals", "ten", false),
            ("DateEquals", "soon", false),
            ("DateEquals", "${aws:CurrentTime}", true),
        ] {
            let values = vec![Pattern::parse(value, true).unwrap()];
            assert_eq!(Condition::new(Operator::parse(operator).unwrap(), "k", values).is_some(), fits, "{operator}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(operator in 0..8usize, value in ".{0,20}", found in ".{0,20}") {
            let names = ["StringLike", "NumericLessThan", "DateEquals", "Bool", "IpAddress", "ArnLike", "Null", "StringEqualsIgnoreCase"];
            let values = vec![Pattern::parse(&value, true).unwrap()];
            let mut context = RequestContext::new();
            context.add("k", found);
            if let Some(condition) = Condition::new(Operator::parse(names[operator]).unwrap(), "k", values) {
                condition.holds(&context);
            }
        }
    }
}

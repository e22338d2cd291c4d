//! Text with wildcards and policy variables, and how it is matched.
//!
//! `*` stands for any characters, none included and slashes included, `?` for exactly one. `${key}` stands for the
//! request's only value of a condition key; the characters of that value are never wildcards. `${key, 'text'}` falls
//! back to the text, `${*}`, `${?}` and `${$}` are those characters themselves.
//!
//! Source: "IAM policy elements: Variables and tags", IAM user guide.

use crate::context::RequestContext;

/// The longest pattern, in bytes: an object's key with the ARN around it is shorter.
pub(crate) const PATTERN_BYTES_MAX: usize = 2048;

/// A pattern, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// `*`
    Run,
    /// `?`
    One,
    Variable {
        key: String,
        default: Option<String>,
    },
}

/// Whether letters' case matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Sensitive,
    Insensitive,
}

/// One step of matching: a byte that must be there, one character, or any run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Byte(u8),
    One,
    Run,
}

impl Pattern {
    /// Takes a pattern apart. Without `variables`, as before version 2012-10-17, `${` is text. `None` if it is too long.
    pub fn parse(text: &str, variables: bool) -> Option<Pattern> {
        if text.len() > PATTERN_BYTES_MAX {
            return None;
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if variables && let Some((piece, after)) = parse_variable(rest) {
                pieces.push(piece);
                rest = after;
                continue;
            }
            rest = &rest[first.len_utf8()..];
            match (first, pieces.last_mut()) {
                ('*', _) => pieces.push(Piece::Run),
                ('?', _) => pieces.push(Piece::One),
                (other, Some(Piece::Literal(literal))) => literal.push(other),
                (other, _) => pieces.push(Piece::Literal(other.to_string())),
            }
        }
        Some(Pattern { text: text.to_owned(), pieces })
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it stands for one text only, whatever the request.
    pub fn is_fixed(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Literal(_)))
    }

    /// The keys its variables name.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable { key, .. } => Some(key.as_str()),
            Piece::Literal(_) | Piece::Run | Piece::One => None,
        })
    }

    /// Whether the whole of `value` is matched. A variable that the request has no value for matches nothing.
    pub fn matches(&self, value: &str, context: &RequestContext, case: Case) -> bool {
        self.steps(context, true).is_some_and(|steps| steps_match(&steps, value, case))
    }

    /// The text it stands for if wildcards are characters like others. `None` for a variable without a value.
    pub fn resolve(&self, context: &RequestContext) -> Option<String> {
        let mut text = String::with_capacity(self.text.len());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Run => text.push('*'),
                Piece::One => text.push('?'),
                Piece::Variable { key, default } => text.push_str(variable(context, key, default.as_deref())?),
            }
        }
        Some(text)
    }

    /// Whether it could match `value` for some request: variables stand for anything.
    pub fn could_match(&self, value: &str, case: Case) -> bool {
        self.steps(&RequestContext::new(), false).is_some_and(|steps| steps_match(&steps, value, case))
    }

    fn steps(&self, context: &RequestContext, resolve: bool) -> Option<Vec<Step>> {
        let mut steps = Vec::with_capacity(self.text.len());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => steps.extend(literal.bytes().map(Step::Byte)),
                Piece::Run => steps.push(Step::Run),
                Piece::One => steps.push(Step::One),
                Piece::Variable { .. } if !resolve => steps.push(Step::Run),
                Piece::Variable { key, default } => {
                    steps.extend(variable(context, key, default.as_deref())?.bytes().map(Step::Byte));
                }
            }
        }
        Some(steps)
    }
}

fn variable<'a>(context: &'a RequestContext, key: &str, default: Option<&'a str>) -> Option<&'a str> {
    context.single(key).or(default)
}

/// `${…}` at the beginning of `text`, and what follows it.
fn parse_variable(text: &str) -> Option<(Piece, &str)> {
    let (inner, after) = text.strip_prefix("${")?.split_once('}')?;
    if matches!(inner, "*" | "?" | "$") {
        return Some((Piece::Literal(inner.to_owned()), after));
    }
    let (key, default) = match inner.split_once(',') {
        Some((key, default)) => {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (key.trim(), Some(default.to_owned()))
        }
        None => (inner.trim(), None),
    };
    if key.is_empty() || key.contains(['$', '{', '*', '?']) {
        return None;
    }
    Some((Piece::Variable { key: key.to_owned(), default }, after))
}

/// Matches greedily and, on failure, lets the last run take one byte more: time is at most the product of the lengths.
fn steps_match(steps: &[Step], value: &str, case: Case) -> bool {
    let bytes = value.as_bytes();
    let (mut step, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let advanced = match steps.get(step) {
            Some(Step::Run) => {
                retry = Some((step + 1, at));
                step += 1;
                continue;
            }
            Some(Step::One) => value.get(at..).and_then(|rest| rest.chars().next()).map(char::len_utf8),
            Some(Step::Byte(wanted)) => bytes.get(at).filter(|found| is_same(**found, *wanted, case)).map(|_| 1),
            None if at == bytes.len() => return true,
            None => None,
        };
        match (advanced, &mut retry) {
            (Some(length), _) => {
                at += length;
                step += 1;
            }
            (None, Some((after_run, from))) if *from < bytes.len() => {
                *from += 1;
                (step, at) = (*after_run, *from);
            }
            (None, _) => return false,
        }
    }
}

fn is_same(found: u8, wanted: u8, case: Case) -> bool {
    match case {
        Case::Sensitive => found == wanted,
        Case::Insensitive => found.eq_ignore_ascii_case(&wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, value: &str) -> bool {
        let mut context = RequestContext::new();
        context.add("aws:username", "ann*");
        context.add("aws:userid", "x");
        context.add("many", "1");
        context.add("many", "2");
        Pattern::parse(pattern, true).unwrap().matches(value, &context, Case::Sensitive)
    }

    #[test]
    fn wildcards() {
        for (pattern, value, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b/c", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a?c", "aéc", true),
            ("??", "é", false),
            ("*?", "é", true),
            ("*??", "é", false),
            ("*ab*ab", "abxab", true),
            ("*aab", "aaaab", true),
            ("a**b", "ab", true),
            ("a", "A", false),
        ] {
            assert_eq!(matches(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn variables_stand_for_their_text_only() {
        for (pattern, value, expected) in [
            ("home/${aws:username}/*", "home/ann*/x", true),
            ("home/${aws:username}/*", "home/anna/x", false),
            ("home/${AWS:UserName}/*", "home/ann*/x", true),
            ("${aws:missing}", "", false),
            ("${aws:missing}*", "anything", false),
            ("${aws:missing, 'none'}/*", "none/x", true),
            ("${aws:username, 'none'}", "ann*", true),
            ("${many}", "1", false),
            ("a${*}b", "a*b", true),
            ("a${*}b", "axb", false),
            ("a${?}b", "a?b", true),
            ("a${$}b", "a$b", true),
            ("a${b", "a${b", true),
            ("a${}b", "a${}b", true),
        ] {
            assert_eq!(matches(pattern, value), expected, "{pattern} {value}");
        }
        let old = Pattern::parse("${aws:username}", false).unwrap();
        assert!(old.matches("${aws:username}", &RequestContext::new(), Case::Sensitive));
        assert!(Pattern::parse("GET*", false).unwrap().matches("getobject", &RequestContext::new(), Case::Insensitive));
    }

    /// Slow and plainly right.
    fn reference(pattern: &[char], value: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some(('*', rest)) => (0..=value.len()).any(|skip| reference(rest, &value[skip..])),
            Some(('?', rest)) => !value.is_empty() && reference(rest, &value[1..]),
            Some((first, rest)) => value.first() == Some(first) && reference(rest, &value[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(pattern in "[ab*?é]{0,8}", value in "[abé]{0,8}") {
            let expected = reference(&pattern.chars().collect::<Vec<_>>(), &value.chars().collect::<Vec<_>>());
            prop_assert_eq!(matches(&pattern, &value), expected);
        }

        #[test]
        fn nothing_panics(pattern in ".{0,40}", value in ".{0,40}") {
            matches(&pattern, &value);
            if let Some(pattern) = Pattern::parse(&pattern, true) {
                pattern.could_match(&value, Case::Insensitive);
                pattern.resolve(&RequestContext::new());
            }
        }
    }
}

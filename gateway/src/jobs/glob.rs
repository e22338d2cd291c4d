//! Patterns of paths as Hadoop's shell knows them: `*`, `?`, `[a-z]`, `[^a]`, `{a,b}`; none of them crosses a slash.

/// Alternatives of one pattern at most.
const ALTERNATIVES_MAX: usize = 256;
const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];

/// Whether the text is a pattern at all.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(SPECIAL)
}

/// What every match begins with.
pub(super) fn literal_prefix(path: &str) -> &str {
    &path[..path.find(SPECIAL).unwrap_or(path.len())]
}

/// A pattern, its braces taken apart.
pub(super) struct Glob {
    alternatives: Vec<Vec<String>>,
}

impl Glob {
    /// `None` with too many alternatives.
    pub fn new(pattern: &str) -> Option<Glob> {
        let alternatives = expand(pattern.trim_end_matches('/'))?;
        let parts = |text: String| text.split('/').map(str::to_owned).collect();
        Some(Glob { alternatives: alternatives.into_iter().map(parts).collect() })
    }

    /// How many bytes of the key the pattern matches: all of it, or a directory above it.
    pub fn matches(&self, key: &str) -> Option<usize> {
        self.alternatives.iter().find_map(|parts| matches_parts(parts, key))
    }
}

fn matches_parts(parts: &[String], key: &str) -> Option<usize> {
    let mut names = key.split('/');
    let mut bytes = 0;
    for part in parts {
        let name = names.next()?;
        if !matches_name(part, name) {
            return None;
        }
        bytes += name.len() + 1;
    }
    Some(bytes.min(key.len()))
}

/// Braces become alternatives.
fn expand(pattern: &str) -> Option<Vec<String>> {
    let Some(open) = pattern.find('{') else { return Some(vec![pattern.to_owned()]) };
    let Some(close) = pattern[open..].find('}').map(|close| open + close) else {
        return Some(vec![pattern.to_owned()]);
    };
    let mut all = Vec::new();
    for choice in pattern[open + 1..close].split(',') {
        let rest = expand(&format!("{}{choice}{}", &pattern[..open], &pattern[close + 1..]))?;
        all.extend(rest);
        if all.len() > ALTERNATIVES_MAX {
            return None;
        }
    }
    Some(all)
}

/// One component against its part, without backtracking beyond the last star.
fn matches_name(part: &str, name: &str) -> bool {
    let (part, name): (Vec<char>, Vec<char>) = (part.chars().collect(), name.chars().collect());
    let (mut at, mut reached) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while reached < name.len() {
        if part.get(at) == Some(&'*') {
            star = Some((at, reached));
            at += 1;
            continue;
        }
        match one(&part, at, name[reached]) {
            Some(next) => (at, reached) = (next, reached + 1),
            None => match &mut star {
                Some((of, from)) => {
                    *from += 1;
                    (at, reached) = (*of + 1, *from);
                }
                None => return false,
            },
        }
    }
    part[at..].iter().all(|left| *left == '*')
}

/// Where the pattern goes on after it has matched one character.
fn one(part: &[char], at: usize, character: char) -> Option<usize> {
    match *part.get(at)? {
        '?' => Some(at + 1),
        '\\' => (part.get(at + 1) == Some(&character)).then_some(at + 2),
        '[' => {
            let close = (at + 2..part.len()).find(|place| part[*place] == ']')?;
            let (negated, set) = match part[at + 1] {
                '^' | '!' => (true, &part[at + 2..close]),
                _ => (false, &part[at + 1..close]),
            };
            (in_set(set, character) != negated).then_some(close + 1)
        }
        literal => (literal == character).then_some(at + 1),
    }
}

fn in_set(set: &[char], character: char) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            if (set[at]..=set[at + 2]).contains(&character) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == character {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(pattern: &str, key: &str) -> Option<usize> {
        Glob::new(pattern).unwrap().matches(key)
    }

    #[test]
    fn patterns_match_names_and_directories() {
        assert_eq!(base("in/*.txt", "in/a.txt"), Some(8));
        assert_eq!(base("in/*.txt", "in/x/a.txt"), None);
        assert_eq!(base("in/2026-*", "in/2026-11/day/part"), Some(11));
        assert_eq!(base("in/{a,b}?", "in/b1"), Some(5));
        assert_eq!(base("in/{a,b}?", "in/c1"), None);
        assert_eq!(base("[a-c]*[^z]", "bxxy"), Some(4));
        assert_eq!(base("[a-c]*[^z]", "bxxz"), None);
        assert_eq!(base("a\\*", "a*"), Some(2));
        assert_eq!(base("a\\*", "ab"), None);
        assert_eq!(base("*a*b*c", "xxaxxbxxbc"), Some(10));
    }

    #[test]
    fn alternatives_are_bounded() {
        assert!(Glob::new(&"{a,b}".repeat(20)).is_none());
        assert_eq!(literal_prefix("in/x*"), "in/x");
        assert!(!is_pattern("in/x"));
    }
}

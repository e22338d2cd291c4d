//! Patterns in paths: `*`, `?` and `[...]` within a component, expanded as `FsShell` does.

use super::webhdfs::{FsError, MISSING, Status, WebHdfs, join};
use super::{Ended, tell};

/// What a path or pattern stands for. A plain path stands for itself and must be there; a pattern must match something.
pub async fn expand(client: &WebHdfs, pattern: &str) -> Result<Vec<Status>, FsError> {
    let pattern = absolute(client, pattern);
    if !has_pattern(&pattern) {
        return Ok(vec![client.existing(&pattern).await?]);
    }
    let mut found = vec!["/".to_owned()];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        let mut next = Vec::new();
        for directory in found {
            if !has_pattern(component) {
                next.push(join(&directory, component));
                continue;
            }
            if client.status(&directory).await?.is_some_and(|status| status.directory) {
                let entries = client.list(&directory).await?.into_iter();
                let names = entries.filter_map(|entry| entry.path.rsplit('/').next().map(str::to_owned));
                next.extend(names.filter(|name| matches(component, name)).map(|name| join(&directory, &name)));
            }
        }
        found = next;
    }
    let mut statuses = Vec::with_capacity(found.len());
    for path in found {
        statuses.extend(client.status(&path).await?);
    }
    match statuses.is_empty() {
        true => Err(FsError::at(&pattern, MISSING)),
        false => Ok(statuses),
    }
}

/// The same for one of several patterns: a failure is told, and the others go on.
pub async fn expand_or_tell(client: &WebHdfs, command: &str, pattern: &str, ended: &mut Ended) -> Vec<Status> {
    match expand(client, pattern).await {
        Ok(found) => found,
        Err(error) => {
            *ended = tell(command, &error);
            Vec::new()
        }
    }
}

/// The path from the root: relative ones begin at the user's home, and a scheme and authority are left out.
pub fn absolute(client: &WebHdfs, path: &str) -> String {
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => path,
    };
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/user/{}/{path}", client.user()),
    };
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

fn has_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether a name is what the pattern says.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    matches_from(&pattern, &name)
}

fn matches_from(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('*', rest)) => (0..=name.len()).any(|taken| matches_from(rest, &name[taken..])),
        Some(('?', rest)) => !name.is_empty() && matches_from(rest, &name[1..]),
        Some(('[', rest)) => match (rest.iter().position(|c| *c == ']'), name.split_first()) {
            (Some(end), Some((first, others))) => {
                in_class(&rest[..end], *first) && matches_from(&rest[end + 1..], others)
            }
            _ => false,
        },
        Some((c, rest)) => name.first() == Some(c) && matches_from(rest, &name[1..]),
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, class) = match class.split_first() {
        Some(('^' | '!', rest)) => (true, rest),
        _ => (false, class),
    };
    let mut at = 0;
    let mut found = false;
    while at < class.len() {
        if at + 2 < class.len() && class[at + 1] == '-' {
            found |= (class[at]..=class[at + 2]).contains(&c);
            at += 3;
        } else {
            found |= class[at] == c;
            at += 1;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_shell_says() {
        assert!(matches("part-*", "part-00000") && !matches("part-*", "_SUCCESS"));
        assert!(matches("a?c", "abc") && !matches("a?c", "ac"));
        assert!(matches("[a-c]x", "bx") && !matches("[^a-c]x", "bx") && matches("[^a-c]x", "dx"));
        assert!(matches("*", "") && !matches("[", "["));
    }
}

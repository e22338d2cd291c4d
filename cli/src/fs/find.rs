//! `-find`: every path below, by name.

use super::Ended;
use super::glob::{expand_or_tell, matches};
use super::show::out;
use super::webhdfs::{FsError, Status, WebHdfs};

/// What an expression says. All tests must hold; without a test everything does.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expression {
    /// Patterns that the name matches, and whether whatever its case.
    names: Vec<(String, bool)>,
    /// Paths end with a NUL, not a new line.
    print0: bool,
}

impl Expression {
    fn parse(words: &[String]) -> Result<Expression, FsError> {
        let mut expression = Expression::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-name" | "-iname" => {
                    let pattern = words.next();
                    let pattern =
                        pattern.ok_or_else(|| FsError::usage(format!("-find: {word} requires an argument")))?;
                    expression.names.push((pattern.clone(), word == "-iname"));
                }
                "-print" | "-a" | "-and" => {}
                "-print0" => expression.print0 = true,
                other => return Err(FsError::usage(format!("-find: Unexpected argument: {other}"))),
            }
        }
        Ok(expression)
    }

    fn holds(&self, status: &Status) -> bool {
        let name = status.path.rsplit('/').next().unwrap_or_default();
        self.names.iter().all(|(pattern, any_case)| match any_case {
            true => matches(&pattern.to_lowercase(), &name.to_lowercase()),
            false => matches(pattern, name),
        })
    }
}

pub async fn find(client: &WebHdfs, words: &[String]) -> Result<Ended, FsError> {
    let paths = words.iter().position(|word| word.starts_with('-')).unwrap_or(words.len());
    let (paths, expression) = words.split_at(paths);
    let expression = Expression::parse(expression)?;
    let home = [format!("/user/{}", client.user())];
    let mut ended = Ended::Well;
    for pattern in if paths.is_empty() { &home[..] } else { paths } {
        let mut waiting = expand_or_tell(client, "find", pattern, &mut ended).await;
        waiting.reverse();
        while let Some(status) = waiting.pop() {
            if expression.holds(&status) {
                out(format_args!("{}{}", status.path, if expression.print0 { '\0' } else { '\n' }))?;
            }
            if status.directory {
                let mut entries = client.list(&status.path).await?;
                entries.reverse();
                waiting.extend(entries);
            }
        }
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read() {
        let parse = |text: &str| Expression::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let both = parse("-name *.csv -a -iname A* -print").unwrap();
        assert_eq!(both.names, [("*.csv".to_owned(), false), ("A*".to_owned(), true)]);
        assert!(parse("-name x -print0").unwrap().print0);
        assert!(parse("-name").is_err() && parse("-size 3").is_err());
    }
}

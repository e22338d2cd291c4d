//! A command in one text as Hadoop Streaming reads it: words between blanks, quotes around what holds blanks. No shell.

use anyhow::bail;

/// The words of a command.
pub(super) fn split(command: &str) -> anyhow::Result<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut characters = command.chars();
    let mut quote = None;
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let Some(next) = characters.next() else { bail!("{command:?} ends in a backslash") };
                word.get_or_insert_default().push(next);
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        bail!("a quote in {command:?} is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_hold_words_together() {
        assert_eq!(
            split(" python3  map.py 'a b' \"c \\\" d\" e\\ f ''").unwrap(),
            ["python3", "map.py", "a b", "c \" d", "e f", ""]
        );
        assert!(split("a 'b").is_err() && split("a\\").is_err());
        assert!(split("  ").unwrap().is_empty());
    }
}

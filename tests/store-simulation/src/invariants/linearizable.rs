//! Per key there is one order of all operations that explains every answer, and in which an operation that was answered
//! before another was asked for comes first. What was never clearly answered may be anywhere after its call, or nowhere.
//!
//! The search is Wing and Gong's, with Lowe's memory of what was tried: (which operations are placed, what is there).

use crate::history::{Action, ContentTag, Operation};
use std::collections::{BTreeMap, HashSet};

/// What is wrong, a key a line.
pub fn check(keys: &BTreeMap<String, Vec<Operation>>) -> Vec<String> {
    let wrong = keys.iter().filter(|(_, operations)| !is_linearizable(operations));
    wrong.map(|(key, operations)| format!("the history of {key} has no order: {}", told(operations))).collect()
}

/// Whether the operations of one key, which begins with nothing, can be ordered.
pub fn is_linearizable(operations: &[Operation]) -> bool {
    // What nobody saw happen, and changes nothing, says nothing.
    let mut operations: Vec<Operation> = operations
        .iter()
        .copied()
        .filter(|operation| operation.returned.is_some() || changes(operation.action))
        .collect();
    operations.sort_by_key(|operation| (operation.called, operation.returned.unwrap_or(u64::MAX)));
    let answered = operations.iter().filter(|operation| operation.returned.is_some()).count();
    let mut search = Search { operations: &operations, tried: HashSet::new() };
    search.place(&mut vec![false; operations.len()], None, answered)
}

fn changes(action: Action) -> bool {
    matches!(action, Action::Write(_) | Action::WriteIfAbsent(_))
}

struct Search<'a> {
    operations: &'a [Operation],
    tried: HashSet<(Vec<bool>, Option<ContentTag>)>,
}

impl Search<'_> {
    /// Whether the rest can be placed, of which `answered` must be.
    fn place(&mut self, placed: &mut Vec<bool>, there: Option<ContentTag>, answered: usize) -> bool {
        if answered == 0 {
            return true;
        }
        if !self.tried.insert((placed.clone(), there)) {
            return false;
        }
        // Nothing that was asked for after the first answer of the rest can be next.
        let open = |at: &usize| !placed[*at];
        let first_answer = (0..placed.len()).filter(open).filter_map(|at| self.operations[at].returned).min();
        let candidates: Vec<usize> = (0..placed.len())
            .filter(open)
            .filter(|at| first_answer.is_none_or(|answer| self.operations[*at].called <= answer))
            .collect();
        for at in candidates {
            let operation = self.operations[at];
            let Some(next) = after(operation.action, there) else { continue };
            placed[at] = true;
            if self.place(placed, next, answered - usize::from(operation.returned.is_some())) {
                return true;
            }
            placed[at] = false;
        }
        false
    }
}

/// What is there afterwards; `None` if the operation cannot have happened here.
fn after(action: Action, there: Option<ContentTag>) -> Option<Option<ContentTag>> {
    match action {
        Action::Write(content) => Some(content),
        Action::WriteIfAbsent(content) => there.is_none().then_some(Some(content)),
        Action::FoundSomething => there.is_some().then_some(there),
        Action::Read(found) => (found == there).then_some(there),
    }
}

fn told(operations: &[Operation]) -> String {
    let ms = |ns: u64| ns / 1_000_000;
    let content = |tag: Option<ContentTag>| tag.map_or("nothing".to_owned(), |tag| format!("{tag:x}"));
    let one = |operation: &Operation| {
        let what = match operation.action {
            Action::Write(tag) => format!("write {}", content(tag)),
            Action::WriteIfAbsent(tag) => format!("write {tag:x} if there is nothing"),
            Action::FoundSomething => "found something".to_owned(),
            Action::Read(found) => format!("read {}", content(found)),
        };
        let until = operation.returned.map_or("?".to_owned(), |returned| ms(returned).to_string());
        format!("[{}..{until} {what}]", ms(operation.called))
    };
    operations.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(action: Action, called: u64, returned: u64) -> Operation {
        Operation { action, called, returned: (returned > 0).then_some(returned) }
    }

    #[test]
    fn histories_with_an_order_have_one() {
        let write = |tag, called, returned| operation(Action::Write(tag), called, returned);
        let read = |tag, called, returned| operation(Action::Read(tag), called, returned);
        assert!(is_linearizable(&[]));
        assert!(is_linearizable(&[write(Some(1), 1, 2), read(Some(1), 3, 4), write(None, 5, 6), read(None, 7, 8)]));
        // Concurrent writes in either order, and one without an answer that is seen late.
        assert!(is_linearizable(&[write(Some(1), 1, 9), write(Some(2), 2, 8), read(Some(1), 10, 11)]));
        assert!(is_linearizable(&[
            write(Some(1), 1, 0),
            write(Some(2), 2, 3),
            read(Some(2), 4, 5),
            read(Some(1), 6, 7)
        ]));
        assert!(is_linearizable(&[write(Some(1), 1, 0), read(None, 4, 5)]));
        let if_absent = |tag, called, returned| operation(Action::WriteIfAbsent(tag), called, returned);
        assert!(is_linearizable(&[if_absent(1, 1, 2), operation(Action::FoundSomething, 3, 4), read(Some(1), 5, 6)]));
    }

    #[test]
    fn histories_without_an_order_have_none() {
        let write = |tag, called, returned| operation(Action::Write(tag), called, returned);
        let read = |tag, called, returned| operation(Action::Read(tag), called, returned);
        assert!(!is_linearizable(&[write(Some(1), 1, 2), read(None, 3, 4)]), "a lost write");
        assert!(!is_linearizable(&[write(Some(1), 1, 2), write(Some(2), 3, 4), read(Some(1), 5, 6)]), "a stale read");
        assert!(!is_linearizable(&[read(Some(1), 1, 2), write(Some(1), 3, 4)]), "a read of the future");
        let back = [write(Some(1), 1, 0), write(Some(2), 2, 3), read(Some(1), 4, 5), read(Some(2), 6, 7)];
        assert!(!is_linearizable(&back), "there and back again");
        assert!(!is_linearizable(&[write(Some(1), 1, 2), write(None, 3, 4), read(Some(1), 5, 6)]), "resurrected");
        let if_absent = |tag, called, returned| operation(Action::WriteIfAbsent(tag), called, returned);
        assert!(!is_linearizable(&[if_absent(1, 1, 2), if_absent(2, 3, 4)]), "two who were first");
    }
}

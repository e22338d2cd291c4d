//! One failure domain each: whether members of a group can stand on different ones, and on which. Pure.

/// A largest assignment of members to domains, no domain twice: for every member one of the domains it may have, or
/// `None` where none is left for it. Earlier members and earlier domains win where there is a choice.
pub(super) fn assign<D: Copy + PartialEq>(choices: &[Vec<D>]) -> Vec<Option<D>> {
    let mut taken: Vec<(D, usize)> = Vec::with_capacity(choices.len());
    for member in 0..choices.len() {
        let mut visited = Vec::new();
        seat(member, choices, &mut taken, &mut visited);
    }
    let mut assigned = vec![None; choices.len()];
    for (domain, member) in taken {
        assigned[member] = Some(domain);
    }
    assigned
}

/// Kuhn's augmenting path: gives `member` a domain, moving others where need be.
fn seat<D: Copy + PartialEq>(
    member: usize,
    choices: &[Vec<D>],
    taken: &mut Vec<(D, usize)>,
    visited: &mut Vec<D>,
) -> bool {
    for domain in &choices[member] {
        if visited.contains(domain) {
            continue;
        }
        visited.push(*domain);
        match taken.iter().position(|(other, _)| other == domain) {
            None => {
                taken.push((*domain, member));
                return true;
            }
            Some(at) => {
                let holder = taken[at].1;
                if seat(holder, choices, taken, visited) {
                    // The holder has moved to another row of `taken`; this one is the member's now.
                    let row = taken.iter().position(|(other, who)| other == domain && *who == holder);
                    taken[row.expect("rows are changed, never removed")].1 = member;
                    return true;
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_make_room_for_each_other() {
        assert_eq!(assign(&[vec![1, 2], vec![1]]), [Some(2), Some(1)]);
        assert_eq!(assign(&[vec![1], vec![1]]), [Some(1), None]);
        assert_eq!(assign(&[vec![1, 2, 3], vec![2, 1], vec![1, 2]])[0], Some(3));
        assert_eq!(assign::<u8>(&[vec![], vec![]]), [None, None]);
    }

    /// By trying everything.
    fn most(choices: &[Vec<u8>], taken: u32) -> usize {
        let Some((first, rest)) = choices.split_first() else { return 0 };
        let without = most(rest, taken);
        let with = first.iter().filter(|domain| taken >> **domain & 1 == 0).map(|d| 1 + most(rest, taken | 1 << d));
        with.max().unwrap_or(0).max(without)
    }

    proptest! {
        #[test]
        fn no_larger_assignment_exists(choices in prop::collection::vec(prop::collection::vec(0u8..7, 0..4), 0..7)) {
            let assigned = assign(&choices);
            let mut used: Vec<u8> = assigned.iter().flatten().copied().collect();
            for (domain, allowed) in assigned.iter().zip(&choices) {
                prop_assert!(domain.is_none_or(|domain| allowed.contains(&domain)));
            }
            let count = used.len();
            used.sort();
            used.dedup();
            prop_assert_eq!(used.len(), count, "a domain twice");
            prop_assert_eq!(count, most(&choices, 0));
        }
    }
}

//! The order of keys: by bytes, or by fields as KeyFieldBasedComparator has it.

use super::fields::part;
use crate::spec::{JobSpec, KeyField, KeyOrder, SpecError};
use std::cmp::Ordering;

/// How keys are compared. Keys that compare equal are the same bytes: fields that tie leave it to the whole key.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Bytes,
    Fields { parts: Vec<KeyField>, separator: Vec<u8> },
}

impl Order {
    pub fn of(spec: &JobSpec) -> Result<Order, SpecError> {
        Ok(match &spec.order {
            KeyOrder::Bytes => Order::Bytes,
            KeyOrder::KeyFields(fields) => {
                Order::Fields { parts: fields.parse()?, separator: fields.separator.clone().into_bytes() }
            }
        })
    }

    /// A number that never contradicts [`Order::compare`]: where two differ, so do their keys, in that order.
    pub fn prefix(&self, key: &[u8]) -> u64 {
        match self {
            Order::Bytes => match key.first_chunk() {
                Some(first) => u64::from_be_bytes(*first),
                None => {
                    let mut padded = [0; 8];
                    padded[..key.len()].copy_from_slice(key);
                    u64::from_be_bytes(padded)
                }
            },
            Order::Fields { .. } => 0,
        }
    }

    pub fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        if let Order::Fields { parts, separator } = self {
            for field in parts {
                let (a, b) = (part(left, separator, field), part(right, separator, field));
                let order = if field.numeric { numeric(a, b) } else { a.cmp(b) };
                if order != Ordering::Equal {
                    return if field.reverse { order.reverse() } else { order };
                }
            }
        }
        left.cmp(right)
    }
}

/// As decimal numbers of any length; what does not begin as one is zero.
fn numeric(left: &[u8], right: &[u8]) -> Ordering {
    let (left, right) = (Decimal::read(left), Decimal::read(right));
    match (left.negative, right.negative) {
        (false, false) => left.magnitude(&right),
        (true, true) => right.magnitude(&left),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

struct Decimal<'a> {
    negative: bool,
    /// Without leading zeros.
    whole: &'a [u8],
    /// Without trailing zeros.
    fraction: &'a [u8],
}

impl<'a> Decimal<'a> {
    fn read(text: &'a [u8]) -> Self {
        let text = text.trim_ascii_start();
        let (sign, digits) = match text.strip_prefix(b"-") {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix(b"+").unwrap_or(text)),
        };
        let (whole, rest) = leading_digits(digits);
        let fraction = rest.strip_prefix(b".").map_or(&[][..], |rest| leading_digits(rest).0);
        let zeros = whole.iter().take_while(|&&digit| digit == b'0').count();
        let whole = &whole[zeros..];
        let kept = fraction.iter().rposition(|&digit| digit != b'0').map_or(0, |place| place + 1);
        let fraction = &fraction[..kept];
        Decimal { negative: sign && !(whole.is_empty() && fraction.is_empty()), whole, fraction }
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        let whole = self.whole.len().cmp(&other.whole.len()).then_with(|| self.whole.cmp(other.whole));
        whole.then_with(|| self.fraction.cmp(other.fraction))
    }
}

fn leading_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::KeyFields;
    use proptest::prelude::*;

    fn order(options: &str) -> Order {
        let fields = KeyFields { options: options.into(), separator: "\t".into() };
        Order::of(&JobSpec { order: KeyOrder::KeyFields(fields), ..JobSpec::default() }).unwrap()
    }

    fn sorted<'a>(options: &str, keys: &[&'a str]) -> Vec<&'a str> {
        let order = order(options);
        let mut keys = keys.to_vec();
        keys.sort_by(|a, b| order.compare(a.as_bytes(), b.as_bytes()));
        keys
    }

    #[test]
    fn numbers_of_any_length_sort_as_numbers() {
        assert_eq!(
            sorted("-n", &["10", "9", "-1", "-10", "x", "0.5", "0.25"]),
            ["-10", "-1", "x", "0.25", "0.5", "9", "10"]
        );
        assert_eq!(
            sorted("-nr", &["1", "99999999999999999999999", "100000000000000000000000"]),
            ["100000000000000000000000", "99999999999999999999999", "1"]
        );
    }

    #[test]
    fn fields_weigh_in_their_order_and_the_whole_key_last() {
        assert_eq!(sorted("-k2,2nr -k1,1", &["b\t1", "a\t2", "c\t2", "a\t1"]), ["a\t2", "c\t2", "a\t1", "b\t1"]);
        assert_eq!(sorted("-k1.2,1.2", &["ab", "ba", "ca"]), ["ba", "ca", "ab"]);
    }

    proptest! {
        #[test]
        fn prefixes_never_contradict(left: Vec<u8>, right: Vec<u8>) {
            let (a, b) = (Order::Bytes.prefix(&left), Order::Bytes.prefix(&right));
            if a != b {
                prop_assert_eq!(a.cmp(&b), Order::Bytes.compare(&left, &right));
            }
        }

        #[test]
        fn numeric_order_is_that_of_numbers(left in -100_000i32..100_000, right in -100_000i32..100_000) {
            let text = |number: i32| format!("{}{}.{:02}", if number < 0 { "-" } else { "" }, number.abs() / 100, number.abs() % 100);
            prop_assert_eq!(numeric(text(left).as_bytes(), text(right).as_bytes()), left.cmp(&right));
        }
    }
}

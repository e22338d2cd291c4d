//! Which reduce a key goes to. All maps of a job must agree on it, so the hash never changes: it is Hadoop's.

use super::fields::part;
use crate::spec::{JobSpec, KeyField, Partitioner, SpecError};

/// How keys are divided over reduces.
#[derive(Clone, Debug)]
pub(crate) enum Divide {
    /// All to one.
    One,
    Hash {
        reduces: u32,
    },
    Fields {
        parts: Vec<KeyField>,
        separator: Vec<u8>,
        reduces: u32,
    },
    /// By the first cut above the key, with the numbers that begin the cuts beside them.
    Cuts(Vec<Vec<u8>>),
}

impl Divide {
    pub fn of(spec: &JobSpec, cuts: &[Vec<u8>]) -> Result<Divide, SpecError> {
        let reduces = spec.reduces();
        if reduces <= 1 {
            return Ok(Divide::One);
        }
        Ok(match spec.partitioner() {
            Partitioner::Hash => Divide::Hash { reduces },
            Partitioner::KeyFields(fields) => {
                Divide::Fields { parts: fields.parse()?, separator: fields.separator.clone().into_bytes(), reduces }
            }
            Partitioner::TotalOrder => Divide::Cuts(cuts[..cuts.len().min(reduces as usize - 1)].to_vec()),
        })
    }

    pub fn partition(&self, key: &[u8]) -> u32 {
        match self {
            Divide::One => 0,
            Divide::Hash { reduces } => fold_hash(1, key) as u32 % reduces,
            Divide::Fields { parts, separator, reduces } => {
                let hash = parts.iter().fold(0, |hash, field| hash_bytes(hash, part(key, separator, field)));
                (hash & i32::MAX) as u32 % reduces
            }
            Divide::Cuts(cuts) => cuts.partition_point(|cut| cut.as_slice() <= key) as u32,
        }
    }
}

/// `HashPartitioner` over `Text.hashCode`.
fn fold_hash(seed: i32, bytes: &[u8]) -> i32 {
    hash_bytes(seed, bytes) & i32::MAX
}

/// `WritableComparator.hashBytes`.
fn hash_bytes(seed: i32, bytes: &[u8]) -> i32 {
    bytes.iter().fold(seed, |hash, &byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte as i8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{KeyFields, Program};

    #[test]
    fn the_hash_is_that_of_hadoop() {
        // new Text("hello").hashCode() and what HashPartitioner makes of it for 7.
        assert_eq!(hash_bytes(1, b"hello"), 127_791_473);
        assert_eq!(Divide::Hash { reduces: 7 }.partition(b"hello"), 127_791_473 % 7);
    }

    #[test]
    fn keys_that_agree_in_the_named_fields_go_together() {
        let fields = KeyFields { options: "-k1,2".into(), separator: ".".into() };
        let spec = JobSpec {
            program: Program::Streaming(Default::default()),
            partitioner: Partitioner::KeyFields(fields),
            reduces: Some(13),
            ..JobSpec::default()
        };
        let divide = Divide::of(&spec, &[]).unwrap();
        assert_eq!(divide.partition(b"11.12.1.2"), divide.partition(b"11.12.9.7"));
        let spread: std::collections::BTreeSet<u32> =
            (0..100).map(|number| divide.partition(format!("{number}.{number}.x").as_bytes())).collect();
        assert!(spread.len() > 6, "{spread:?}");
    }

    #[test]
    fn a_key_equal_to_a_cut_goes_above_it() {
        let divide = Divide::Cuts(vec![b"f".to_vec(), b"p".to_vec()]);
        let at = |key: &str| divide.partition(key.as_bytes());
        assert_eq!([at(""), at("e"), at("f"), at("g"), at("p"), at("z")], [0, 0, 1, 1, 2, 2]);
    }
}

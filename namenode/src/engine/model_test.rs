//! Random operations on every engine, compared with an ordered map after each step.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{EngineConfig, EngineKind, EngineSnapshot, Scan, WriteBatch, open};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Scan(Vec<u8>, Option<Vec<u8>>),
    TakeSnapshot,
    CheckSnapshot,
    /// Closes and opens the engine again; snapshots do not survive it.
    Reopen,
}

/// Few and short keys, so that steps meet each other.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0u8, b'/', b'a', 0xff]), 1..4)
}

fn step() -> impl Strategy<Value = Step> {
    let change = (key(), prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..40)));
    prop_oneof![
        8 => prop::collection::vec(change, 1..8).prop_map(Step::Write),
        4 => (key(), prop::option::of(key())).prop_map(|(from, until)| Step::Scan(from, until)),
        2 => Just(Step::TakeSnapshot),
        3 => Just(Step::CheckSnapshot),
        1 => Just(Step::Reopen),
    ]
}

fn collected(scan: Scan<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    scan.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap()).collect()
}

fn in_model(model: &Model, from: &[u8], until: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    model
        .iter()
        .filter(|(key, _)| key.as_slice() >= from && until.is_none_or(|until| key.as_slice() < until))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn run(kind: EngineKind, steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let config = EngineConfig { cache_bytes: 1 << 20, memtable_bytes: 1 << 20 };
    let mut engine = open(kind, dir.path(), &config).unwrap();
    let mut model = Model::new();
    let mut old: Option<(Box<dyn EngineSnapshot>, Model)> = None;
    for step in steps {
        match step {
            Step::Write(changes) => {
                let mut batch = WriteBatch::new();
                for (key, value) in changes.iter().cloned() {
                    match value {
                        Some(value) => {
                            batch.put(key.clone(), value.clone());
                            model.insert(key, value);
                        }
                        None => {
                            batch.delete(key.clone());
                            model.remove(&key);
                        }
                    }
                }
                engine.write(batch).unwrap();
            }
            Step::Scan(from, until) => {
                let until = until.as_deref();
                let expected = in_model(&model, from, until);
                assert_eq!(collected(engine.scan(from, until)), expected);
                assert_eq!(engine.get(from).unwrap().as_deref(), model.get(from).map(Vec::as_slice));
                if let Some(until) = until {
                    let last = engine.last_in(from, until).unwrap().map(|(key, value)| (key.to_vec(), value.to_vec()));
                    assert_eq!(last.as_ref(), expected.last());
                }
            }
            Step::TakeSnapshot => old = Some((engine.snapshot().unwrap(), model.clone())),
            Step::CheckSnapshot => {
                if let Some((view, then)) = &old {
                    assert_eq!(collected(view.scan(b"", None)), in_model(then, b"", None));
                    for key in model.keys().chain(then.keys()) {
                        assert_eq!(view.get(key).unwrap().as_deref(), then.get(key).map(Vec::as_slice));
                    }
                }
            }
            Step::Reopen if kind == EngineKind::Memory => {}
            Step::Reopen => {
                old = None;
                engine.sync().unwrap();
                drop(engine);
                engine = open(kind, dir.path(), &config).unwrap();
            }
        }
        let everything = in_model(&model, b"", None);
        assert_eq!(collected(engine.scan(b"", None)), everything);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_behaves_like_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(EngineKind::Memory, &steps);
    }

    #[test]
    fn fjall_behaves_like_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(EngineKind::Fjall, &steps);
    }

    #[test]
    fn sled_behaves_like_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(EngineKind::Sled, &steps);
    }
}

//! Specifications: both encodings, defaults, refusals.

use super::*;
use proptest::prelude::*;

fn streaming(mapper: &[&str]) -> JobSpec {
    let mapper = Stage::Command(mapper.iter().map(|word| word.to_string()).collect());
    JobSpec {
        inputs: vec!["s3://b/p".into()],
        output: "hdfs:///b/out".into(),
        program: Program::Streaming(Streaming { mapper, ..Streaming::default() }),
        ..JobSpec::default()
    }
}

fn program() -> impl Strategy<Value = Program> {
    prop_oneof![
        Just(Program::Wordcount),
        Just(Program::Sort),
        any::<u64>().prop_map(Program::Teragen),
        ("[a-z]{1,9}", any::<bool>()).prop_map(|(pattern, count)| Program::Grep(Grep {
            pattern,
            count,
            ..Grep::default()
        })),
        (proptest::collection::vec("[ -~]{1,9}", 1..4), any::<bool>()).prop_map(|(words, reduces)| {
            Program::Streaming(Streaming {
                mapper: Stage::Command(words),
                reducer: reduces.then_some(Stage::Aggregate),
                ..Streaming::default()
            })
        }),
    ]
}

fn any_spec() -> impl Strategy<Value = JobSpec> {
    let files = proptest::collection::vec(any::<u8>(), 0..20)
        .prop_map(|bytes| vec![CachedFile { name: "f".into(), source: FileSource::Inline(bytes), executable: true }]);
    let conf = proptest::collection::btree_map("[a-z.]{1,9}", "[ -~]{0,9}", 0..4);
    (program(), proptest::option::of(0u32..9), files, conf, "[ -~]{0,9}").prop_map(
        |(program, reduces, files, conf, name)| {
            let order = KeyOrder::KeyFields(KeyFields { options: "-k2,2nr".into(), separator: "\t".into() });
            JobSpec { program, reduces, files, conf, name, order, ..JobSpec::default() }
        },
    )
}

proptest! {
    #[test]
    fn both_encodings_give_back_what_they_were_given(spec in any_spec()) {
        let json = serde_json::to_string(&spec).unwrap();
        prop_assert_eq!(&serde_json::from_str::<JobSpec>(&json).unwrap(), &spec);
        let bytes = postcard::to_stdvec(&spec).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<JobSpec>(&bytes).unwrap(), &spec);
    }

    #[test]
    fn key_fields_never_panic(options in "[-k0-9.,nr ]{0,20}") {
        let _ = KeyFields { options, separator: "\t".into() }.parse();
    }
}

#[test]
fn a_short_json_is_enough() {
    let spec: JobSpec = serde_json::from_str(
        r#"{"inputs": ["s3://b/in"], "output": "s3://b/out", "program": {"streaming": {"mapper": {"command": ["cat"]}}}}"#,
    )
    .unwrap();
    assert_eq!(spec.validate(), Ok(()));
    assert_eq!(spec.reduces(), 1);
    assert!(spec.runs_native_code());
    let word: JobSpec =
        serde_json::from_str(r#"{"inputs": ["s3://b/in"], "output": "s3://b/out", "program": "wordcount"}"#).unwrap();
    assert!(!word.runs_native_code());
    assert!(serde_json::from_str::<JobSpec>(r#"{"inptus": []}"#).is_err(), "a misspelt field is not passed over");
}

#[test]
fn faults_are_named() {
    let refused = |change: &dyn Fn(&mut JobSpec)| {
        let mut spec = streaming(&["cat"]);
        change(&mut spec);
        spec.validate().unwrap_err()
    };
    assert_eq!(refused(&|spec| spec.inputs.clear()), SpecError::InputMissing);
    assert_eq!(refused(&|spec| spec.output.clear()), SpecError::OutputMissing);
    for url in ["file:///etc/passwd", "s3://", "s3:///key", "hdfs://host", "b/p"] {
        assert!(matches!(refused(&|spec| spec.output = url.into()), SpecError::UrlInvalid { .. }), "{url}");
    }
    assert!(matches!(refused(&|spec| spec.reduces = Some(1_000_000)), SpecError::TooLarge { .. }));
    assert!(matches!(refused(&|spec| spec.resources.buffer_bytes = 1), SpecError::TooSmall { .. }));
    for name in ["", "..", "a/b", "a\0"] {
        let file = CachedFile { name: name.into(), source: FileSource::Inline(Vec::new()), executable: false };
        assert!(
            matches!(refused(&|spec| spec.files = vec![file.clone()]), SpecError::FileNameInvalid { .. }),
            "{name:?}"
        );
    }
    assert_eq!(
        refused(&|spec| spec.program =
            Program::Streaming(Streaming { mapper: Stage::Command(vec![]), ..Streaming::default() })),
        SpecError::CommandEmpty
    );
    let grep = |pattern: &str| Program::Grep(Grep { pattern: pattern.into(), ..Grep::default() });
    assert!(matches!(refused(&|spec| spec.program = grep("(")), SpecError::PatternInvalid { .. }));
    assert!(matches!(refused(&|spec| spec.program = grep("(a{1000}){1000}")), SpecError::PatternInvalid { .. }));
}

#[test]
fn modules_are_files_that_can_run() {
    let module = |name: &str, source| JobSpec {
        files: vec![CachedFile { name: "a.wasm".into(), source, executable: false }],
        program: Program::Streaming(Streaming {
            mapper: Stage::Module(vec![name.to_string(), "word".into()]),
            ..Streaming::default()
        }),
        ..streaming(&["cat"])
    };
    let bytes = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
    let good = module("a.wasm", FileSource::packed(&bytes));
    good.validate().unwrap();
    let read: JobSpec = serde_json::from_str(&serde_json::to_string(&good).unwrap()).unwrap();
    assert_eq!(read, good);
    assert!(!good.runs_native_code());
    module("a.wasm", FileSource::Inline(bytes.clone())).validate().unwrap();
    module("a.wasm", FileSource::Stored("s3://b/a.wasm".into())).validate().unwrap();
    let missing = SpecError::ModuleMissing { name: "b.wasm".into() };
    assert_eq!(module("b.wasm", FileSource::packed(&bytes)).validate(), Err(missing));
    for wrong in [FileSource::packed(b"#!/bin/sh"), FileSource::Gzip(b"not packed".to_vec())] {
        assert!(matches!(module("a.wasm", wrong).validate(), Err(SpecError::ModuleInvalid { .. })));
    }
}

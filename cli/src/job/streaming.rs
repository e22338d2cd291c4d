//! Hadoop Streaming's options: commands and classes by name, and the settings of `-D` that mean something here.

use super::words;
use anyhow::{Context, bail};
use granary_mapreduce::spec::{
    ChecksumAlgorithm, FieldSplit, Grep, JobSpec, KeyFields, KeyOrder, Partitioner, Program, Stage,
};
use std::collections::BTreeMap;

/// Options that are understood together.
#[derive(Default)]
pub(super) struct Settings {
    pub mapper: Option<String>,
    pub reducer: Option<String>,
    pub combiner: Option<String>,
    pub wasm: Modules,
    pub partitioner: Option<String>,
    pub pattern: Option<String>,
    pub grep: Grep,
    pub rows: Option<u64>,
    pub algorithm: ChecksumAlgorithm,
    defined: BTreeMap<String, String>,
}

/// WebAssembly modules that were given instead of commands.
#[derive(Default)]
pub(super) struct Modules {
    pub mapper: Option<Stage>,
    pub reducer: Option<Stage>,
    pub combiner: Option<Stage>,
}

/// The last word of a Java class name.
pub(super) fn simple_name(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

pub(super) fn check_output_format(class: &str) -> anyhow::Result<()> {
    match simple_name(class) {
        "TextOutputFormat" => Ok(()),
        _ => bail!("-outputformat {class} is not supported: TextOutputFormat is"),
    }
}

impl Settings {
    /// Whether nothing but a program's name can have come before.
    pub fn is_untouched(&self) -> bool {
        let Modules { mapper, reducer, combiner } = &self.wasm;
        self.mapper.is_none()
            && self.reducer.is_none()
            && self.combiner.is_none()
            && [mapper, reducer, combiner].into_iter().all(Option::is_none)
    }

    /// `-D name=value`.
    pub fn define(&mut self, (name, value): (String, String)) {
        self.defined.insert(name, value);
    }

    /// The value under any of these names: the present one and those before it.
    fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.defined.get(*name)).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, names: &[&str]) -> anyhow::Result<Option<T>> {
        let Some(text) = self.get(names) else { return Ok(None) };
        text.parse().map(Some).ok().with_context(|| format!("{} wants a number, not {text:?}", names[0]))
    }

    fn truth(&self, names: &[&str]) -> anyhow::Result<Option<bool>> {
        match self.get(names) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => bail!("{} is true or false, not {text:?}", names[0]),
        }
    }

    /// Puts everything into the specification. What nobody here reads is kept and exported to programs.
    pub fn apply(self, spec: &mut JobSpec) -> anyhow::Result<()> {
        if let Some(name) = self.get(&["mapreduce.job.name", "mapred.job.name"]) {
            spec.name = name.to_owned();
        }
        if let Some(reduces) = self.number(&["mapreduce.job.reduces", "mapred.reduce.tasks"])? {
            spec.reduces = spec.reduces.or(Some(reduces));
        }
        if let Some(timeout) = self.number(&["mapreduce.task.timeout", "mapred.task.timeout"])? {
            spec.timeout_ms = timeout;
        }
        if let Some(attempts) = self.number(&["mapreduce.map.maxattempts", "mapreduce.reduce.maxattempts"])? {
            spec.attempts_max = attempts;
        }
        if let Some(bytes) = self.number(&["mapreduce.input.fileinputformat.split.minsize"])? {
            spec.split_bytes_min = bytes;
        }
        if let Some(bytes) = self.number(&["mapreduce.input.fileinputformat.split.maxsize"])? {
            spec.split_bytes_max = bytes;
        }
        if let Some(speculative) = self.truth(&["mapreduce.map.speculative", "mapreduce.reduce.speculative"])? {
            spec.speculative = speculative;
        }
        if let Some(bytes) = self.number::<u32>(&["mapreduce.input.linerecordreader.line.maxlength"])? {
            spec.line_bytes_max = bytes;
        }
        self.apply_program(spec)?;
        self.apply_partitioner(spec)?;
        spec.conf.extend(self.defined);
        Ok(())
    }

    fn apply_program(&self, spec: &mut JobSpec) -> anyhow::Result<()> {
        let Program::Streaming(streaming) = &mut spec.program else {
            if !self.is_untouched() {
                bail!("a built-in program has no -mapper, -reducer or -combiner");
            }
            return Ok(());
        };
        if let Some(mapper) = one_of("mapper", self.mapper.as_deref(), &self.wasm.mapper)? {
            streaming.mapper = mapper;
        }
        streaming.combiner = one_of("combiner", self.combiner.as_deref(), &self.wasm.combiner)?;
        streaming.reducer = match self.reducer.as_deref().filter(|reducer| *reducer == "NONE") {
            Some(_) if self.wasm.reducer.is_some() => bail!("-reducer NONE and -wasm-reducer exclude each other"),
            Some(_) => None,
            None => Some(one_of("reducer", self.reducer.as_deref(), &self.wasm.reducer)?.unwrap_or(Stage::Identity)),
        };
        if spec.reduces == Some(0) {
            streaming.reducer = None;
        }
        streaming.map_output = FieldSplit {
            separator: self.get(&["stream.map.output.field.separator"]).unwrap_or("\t").to_owned(),
            key_fields: self.number(&["stream.num.map.output.key.fields"])?.unwrap_or(1),
        };
        streaming.reduce_output = FieldSplit {
            separator: self.get(&["stream.reduce.output.field.separator"]).unwrap_or("\t").to_owned(),
            key_fields: self.number(&["stream.num.reduce.output.key.fields"])?.unwrap_or(1),
        };
        if let Some(is_failure) = self.truth(&["stream.non.zero.exit.is.failure"])? {
            streaming.nonzero_exit_is_failure = is_failure;
        }
        Ok(())
    }

    fn apply_partitioner(&self, spec: &mut JobSpec) -> anyhow::Result<()> {
        let separator = self.get(&["mapreduce.map.output.key.field.separator", "map.output.key.field.separator"]);
        let fields =
            |options: &str| KeyFields { options: options.to_owned(), separator: separator.unwrap_or("\t").to_owned() };
        match self.partitioner.as_deref().map(simple_name) {
            None | Some("HashPartitioner") => {}
            Some("KeyFieldBasedPartitioner" | "keyfield") => {
                let options =
                    self.get(&["mapreduce.partition.keypartitioner.options", "mapred.text.key.partitioner.options"]);
                spec.partitioner = Partitioner::KeyFields(fields(options.unwrap_or("-k1,1")));
            }
            Some("TotalOrderPartitioner" | "total") => spec.partitioner = Partitioner::TotalOrder,
            Some("hash") => {}
            Some(other) => bail!(
                "-partitioner {other} is not supported: HashPartitioner, KeyFieldBasedPartitioner and TotalOrderPartitioner are"
            ),
        }
        let comparator = self.get(&["mapreduce.job.output.key.comparator.class", "mapred.output.key.comparator.class"]);
        match comparator.map(simple_name) {
            None => {}
            Some("KeyFieldBasedComparator") => {
                let options =
                    self.get(&["mapreduce.partition.keycomparator.options", "mapred.text.key.comparator.options"]);
                spec.order = KeyOrder::KeyFields(fields(options.unwrap_or("-k1")));
            }
            Some(other) => bail!("the comparator {other} is not supported: KeyFieldBasedComparator is"),
        }
        Ok(())
    }
}

/// What was given for a stage: a command or a module, or neither.
fn one_of(option: &str, command: Option<&str>, module: &Option<Stage>) -> anyhow::Result<Option<Stage>> {
    match (command, module) {
        (Some(_), Some(_)) => bail!("-{option} and -wasm-{option} exclude each other"),
        (Some(command), None) => stage(command).map(Some),
        (None, module) => Ok(module.clone()),
    }
}

/// A mapper, reducer or combiner: a command, or one of the few classes that need no Java.
fn stage(text: &str) -> anyhow::Result<Stage> {
    match text {
        "aggregate" => return Ok(Stage::Aggregate),
        "cat" | "/bin/cat" => return Ok(Stage::Identity),
        _ => {}
    }
    let is_class = text.starts_with("org.apache.hadoop.");
    match simple_name(text) {
        "IdentityMapper" | "IdentityReducer" if is_class || !text.contains(['/', ' ']) => return Ok(Stage::Identity),
        _ if is_class => bail!("{text} is a Java class: commands, `aggregate` and the identity are supported"),
        _ => {}
    }
    let words = words::split(text)?;
    if words.is_empty() {
        bail!("a mapper, reducer or combiner is empty");
    }
    Ok(Stage::Command(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_mapreduce::spec::Streaming;

    #[test]
    fn settings_of_streaming_mean_what_they_do_there() {
        let mut settings = Settings {
            mapper: Some("python3 map.py 'x y'".to_owned()),
            reducer: Some("NONE".to_owned()),
            partitioner: Some("org.apache.hadoop.mapred.lib.KeyFieldBasedPartitioner".to_owned()),
            ..Settings::default()
        };
        for (name, value) in [
            ("stream.num.map.output.key.fields", "4"),
            ("stream.map.output.field.separator", "."),
            ("mapreduce.map.output.key.field.separator", "."),
            ("mapreduce.partition.keypartitioner.options", "-k1,2"),
            ("something.else", "kept"),
        ] {
            settings.define((name.to_owned(), value.to_owned()));
        }
        let mut spec = JobSpec { program: Program::Streaming(Streaming::default()), ..JobSpec::default() };
        settings.apply(&mut spec).unwrap();
        let Program::Streaming(streaming) = &spec.program else { panic!("it was one") };
        let words = ["python3", "map.py", "x y"].map(str::to_owned).to_vec();
        assert_eq!((&streaming.mapper, &streaming.reducer), (&Stage::Command(words), &None));
        assert_eq!(streaming.map_output, FieldSplit { separator: ".".into(), key_fields: 4 });
        let fields = KeyFields { options: "-k1,2".into(), separator: ".".into() };
        assert_eq!(spec.partitioner, Partitioner::KeyFields(fields));
        assert_eq!(spec.conf["something.else"], "kept");
    }

    #[test]
    fn java_classes_are_refused_by_name() {
        let error = stage("org.apache.hadoop.mapred.lib.TokenCountMapper").unwrap_err();
        assert!(error.to_string().contains("TokenCountMapper"), "{error}");
        assert_eq!(stage("org.apache.hadoop.mapred.lib.IdentityReducer").unwrap(), Stage::Identity);
    }
}

//! The words of `granary job run` become a specification. Single and double dashes are the same.

use super::streaming::{self, Settings};
use super::words;
use anyhow::{Context, bail};
use granary_mapreduce::spec::{
    Archived, CachedFile, ChecksumAlgorithm, FileSource, Grep, InputFormat, JobSpec, Program, Stage, Streaming,
};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What was asked for.
pub(super) struct RunOptions {
    pub spec: JobSpec,
    pub detach: bool,
    pub json: bool,
    pub endpoint: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub region: Option<String>,
}

/// Words that were not yet read.
struct Words<'a> {
    rest: std::slice::Iter<'a, String>,
}

impl Words<'_> {
    fn value(&mut self, option: &str) -> anyhow::Result<String> {
        self.rest.next().cloned().with_context(|| format!("-{option} wants a value"))
    }
}

/// Reads the words; `None` when help is wanted.
pub(super) fn parse(words: &[String]) -> anyhow::Result<Option<RunOptions>> {
    let mut options = RunOptions {
        spec: JobSpec::default(),
        detach: false,
        json: false,
        endpoint: None,
        ca_file: None,
        region: None,
    };
    let mut settings = Settings::default();
    let mut words = Words { rest: words.iter() };
    let mut program = None;
    let mut positionals = Vec::new();
    while let Some(word) = words.rest.next() {
        let Some(option) =
            word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|option| !option.is_empty())
        else {
            match &program {
                None if settings.is_untouched() => program = Some(word.clone()),
                _ => positionals.push(word.clone()),
            }
            continue;
        };
        match option {
            "help" | "h" => return Ok(None),
            "detach" | "background" => options.detach = true,
            "json" => options.json = true,
            "verbose" => {}
            "endpoint" => options.endpoint = Some(words.value(option)?),
            "region" => options.region = Some(words.value(option)?),
            "ca-file" => options.ca_file = Some(words.value(option)?.into()),
            "name" => options.spec.name = words.value(option)?,
            "input" => options.spec.inputs.push(words.value(option)?),
            "output" => options.spec.output = words.value(option)?,
            "numReduceTasks" | "reduces" => options.spec.reduces = Some(number(option, &words.value(option)?)?),
            "lazyOutput" => options.spec.lazy_output = true,
            "archived" => options.spec.archived = archived(&words.value(option)?)?,
            "split-bytes" => options.spec.split_bytes_max = number(option, &words.value(option)?)?,
            "files" => {
                for file in words.value(option)?.split(',') {
                    options.spec.files.push(cached_file(file)?);
                }
            }
            "file" => options.spec.files.push(cached_file(&words.value(option)?)?),
            "cmdenv" => {
                let (name, value) = name_and_value(option, &words.value(option)?)?;
                options.spec.environment.insert(name, value);
            }
            // `-Dname=value` as well as `-D name=value`.
            "D" => settings.define(name_and_value(option, &words.value(option)?)?),
            _ if option.starts_with('D') && option.contains('=') => {
                settings.define(name_and_value("D", &option[1..])?);
            }
            "mapper" => settings.mapper = Some(words.value(option)?),
            "reducer" => settings.reducer = Some(words.value(option)?),
            "combiner" => settings.combiner = Some(words.value(option)?),
            "wasm-mapper" => settings.wasm.mapper = Some(module(&words.value(option)?, &mut options.spec.files)?),
            "wasm-reducer" => settings.wasm.reducer = Some(module(&words.value(option)?, &mut options.spec.files)?),
            "wasm-combiner" => settings.wasm.combiner = Some(module(&words.value(option)?, &mut options.spec.files)?),
            "partitioner" => settings.partitioner = Some(words.value(option)?),
            "inputformat" => options.spec.input_format = input_format(&words.value(option)?)?,
            "outputformat" => streaming::check_output_format(&words.value(option)?)?,
            "pattern" => settings.pattern = Some(words.value(option)?),
            "ignoreCase" => settings.grep.ignore_case = true,
            "invert" => settings.grep.invert = true,
            "count" => settings.grep.count = true,
            "rows" => settings.rows = Some(number(option, &words.value(option)?)?),
            "algorithm" => settings.algorithm = algorithm(&words.value(option)?)?,
            "libjars" | "archives" | "conf" | "io" | "inputreader" | "mapdebug" | "reducedebug" => {
                bail!("-{option} is not supported: see docs/jobs.md")
            }
            _ => bail!("-{option} is no option of a job; `granary job run --help` shows them"),
        }
    }
    options.spec.program = match &program {
        Some(name) => built_in(name, &mut positionals, &settings)?,
        None => Program::Streaming(Streaming::default()),
    };
    settings.apply(&mut options.spec)?;
    if let Some(word) = positionals.first() {
        bail!("{word:?} is not understood here");
    }
    Ok(Some(options))
}

fn built_in(name: &str, positionals: &mut Vec<String>, settings: &Settings) -> anyhow::Result<Program> {
    let first = |positionals: &mut Vec<String>| (!positionals.is_empty()).then(|| positionals.remove(0));
    Ok(match name {
        "wordcount" => Program::Wordcount,
        "grep" => {
            let pattern = settings.pattern.clone().or_else(|| first(positionals));
            let pattern = pattern.context("grep wants a pattern: granary job run grep PATTERN -input …")?;
            Program::Grep(Grep { pattern, ..settings.grep.clone() })
        }
        "sort" => Program::Sort,
        "distcp" => Program::Distcp,
        "checksum" => Program::Checksum(settings.algorithm),
        "identity" => Program::Identity,
        "teragen" => {
            let given = match settings.rows {
                Some(rows) => Some(rows),
                None => first(positionals).map(|rows| number("rows", &rows)).transpose()?,
            };
            Program::Teragen(given.context("teragen wants a number of records: granary job run teragen ROWS …")?)
        }
        "terasort" => Program::Terasort,
        "teravalidate" => Program::Teravalidate,
        _ => bail!("{name:?} is no built-in program; `granary job run --help` shows them"),
    })
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> anyhow::Result<T> {
    text.parse().ok().with_context(|| format!("-{option} wants a number, not {text:?}"))
}

fn name_and_value(option: &str, text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text.split_once('=').with_context(|| format!("-{option} wants NAME=VALUE, not {text:?}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn archived(word: &str) -> anyhow::Result<Archived> {
    match word {
        "fail" => Ok(Archived::Fail),
        "skip" => Ok(Archived::Skip),
        "restore" => Ok(Archived::Restore),
        _ => bail!("--archived is fail, skip or restore, not {word:?}"),
    }
}

fn algorithm(word: &str) -> anyhow::Result<ChecksumAlgorithm> {
    match word {
        "crc32c" => Ok(ChecksumAlgorithm::Crc32c),
        "crc64nvme" => Ok(ChecksumAlgorithm::Crc64nvme),
        "md5" => Ok(ChecksumAlgorithm::Md5),
        "sha256" => Ok(ChecksumAlgorithm::Sha256),
        _ => bail!("-algorithm is crc32c, crc64nvme, md5 or sha256"),
    }
}

fn input_format(class: &str) -> anyhow::Result<InputFormat> {
    match streaming::simple_name(class) {
        "TextInputFormat" => Ok(InputFormat::Text),
        "KeyValueTextInputFormat" => Ok(InputFormat::KeyValueText),
        _ => bail!("-inputformat {class} is not supported: TextInputFormat and KeyValueTextInputFormat are"),
    }
}

/// `path#name` or `url#name`; local files travel in the specification.
fn cached_file(text: &str) -> anyhow::Result<CachedFile> {
    let (path, name) = match text.split_once('#') {
        Some((path, name)) => (path, Some(name)),
        None => (text, None),
    };
    let base = path.rsplit('/').next().unwrap_or(path);
    let name = name.unwrap_or(base).to_owned();
    if path.contains("://") && !path.starts_with("file://") {
        return Ok(CachedFile { name, source: FileSource::Stored(path.to_owned()), executable: true });
    }
    let path = Path::new(path.strip_prefix("file://").unwrap_or(path));
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let mode = std::fs::metadata(path)?.permissions().mode();
    Ok(CachedFile { name, source: FileSource::Inline(bytes), executable: mode & 0o111 != 0 })
}

/// A WebAssembly module and its arguments. The module becomes one of the job's files, packed.
fn module(text: &str, files: &mut Vec<CachedFile>) -> anyhow::Result<Stage> {
    let mut words = words::split(text)?;
    let first = words.first_mut().context("a module is a file, and arguments after it")?;
    let mut file = cached_file(first)?;
    if let FileSource::Inline(bytes) = &file.source {
        file.source = FileSource::packed(bytes);
    }
    *first = file.name.clone();
    // The same module may be mapper, combiner and reducer.
    if !files.contains(&file) {
        files.push(file);
    }
    Ok(Stage::Module(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(words: &str) -> JobSpec {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let options = parse(&words).unwrap().unwrap();
        options.spec.validate().unwrap();
        options.spec
    }

    #[test]
    fn built_in_programs_are_named_first() {
        let wordcount = spec("wordcount -input s3://b/a -input s3://b/c -output s3://b/o -numReduceTasks 3");
        assert_eq!((wordcount.program, wordcount.reduces), (Program::Wordcount, Some(3)));
        assert_eq!(wordcount.inputs, ["s3://b/a", "s3://b/c"]);
        let grep = spec("grep ERR.* -count -input s3://b/a --output s3://b/o");
        assert!(matches!(grep.program, Program::Grep(grep) if grep.pattern == "ERR.*" && grep.count));
        assert_eq!(spec("teragen 1000 -output s3://b/o").program, Program::Teragen(1000));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for words in ["-input s3://b/a -libjars x.jar", "wordcount surplus", "nothing", "-output", "-D x"] {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            assert!(parse(&words).is_err(), "{words:?}");
        }
    }
}

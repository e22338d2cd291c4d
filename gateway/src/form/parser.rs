//! Takes `multipart/form-data` apart. Sans-io: bytes in, events out.
//!
//! Only the part called `file` may be large: it streams. Everything before it together is bounded by
//! [`FIELD_BYTES_MAX`], as AWS bounds it; what follows it is passed over, and bounded too.

use crate::error::{S3Error, S3ErrorCode};
use bytes::{Bytes, BytesMut};

/// Everything before the file's first byte: 20 KB.
pub(crate) const FIELD_BYTES_MAX: usize = 20 << 10;
/// Everything after its last byte.
const TRAILING_BYTES_MAX: usize = 64 << 10;
/// Fields of one form.
const FIELDS_MAX: usize = 256;
/// The longest boundary (RFC 2046).
const BOUNDARY_BYTES_MAX: usize = 70;
/// Spaces tolerated between a boundary and its line's end.
const PADDING_BYTES_MAX: usize = 64;

/// What a form consists of, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FormEvent {
    /// A field, complete.
    Field { name: String, value: String },
    /// The file begins. The name is what the browser says it is called, folders included.
    File { filename: String },
    /// Bytes of the file.
    Data(Bytes),
    /// The file is complete.
    FileEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// After a boundary, where either its line ends or the form does.
    Delimited,
    /// In the header lines of a part.
    Head,
    /// In a part that is kept whole, or passed over after the file.
    Value,
    File,
    End,
}

/// A form being read.
#[derive(Debug)]
pub(crate) struct FormParser {
    /// `CRLF--boundary`.
    delimiter: Vec<u8>,
    state: State,
    input: BytesMut,
    /// Name of the part being read.
    name: String,
    /// Bytes that may still be consumed outside of the file.
    budget: usize,
    fields: usize,
    seen_file: bool,
}

/// The boundary named by a `Content-Type`; `None` unless it is `multipart/form-data` with a valid one.
pub(crate) fn boundary_of(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim())
    })?;
    let boundary = boundary.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(boundary);
    let is_valid = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len())
        && boundary.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    is_valid.then_some(boundary)
}

impl FormParser {
    pub(crate) fn new(boundary: &str) -> Self {
        // The first boundary need not follow a line: with a line's end put before everything, it always does.
        Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            state: State::Preamble,
            input: BytesMut::from(&b"\r\n"[..]),
            name: String::new(),
            budget: FIELD_BYTES_MAX,
            fields: 0,
            seen_file: false,
        }
    }

    /// Adds bytes. Take the events before adding more: what is unread is kept.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.state != State::End {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The next event; `None` when more bytes are needed, or after the end.
    ///
    /// # Errors
    /// `MalformedPOSTRequest`, `MaxPostPreDataLengthExceededError`, `IncorrectNumberOfFilesInPostRequest`.
    pub(crate) fn next_event(&mut self) -> Result<Option<FormEvent>, S3Error> {
        loop {
            let step = match self.state {
                State::Preamble => self.pass_preamble()?,
                State::Delimited => self.after_delimiter()?,
                State::Head => self.head()?,
                State::Value => self.value()?,
                State::File => return self.file_data(),
                State::End => return Ok(None),
            };
            match step {
                Step::Event(event) => return Ok(Some(event)),
                Step::Continue => {}
                Step::NeedsInput => return Ok(None),
            }
        }
    }

    /// After the last byte: whether the form was complete.
    pub(crate) fn finish(&self) -> Result<(), S3Error> {
        match (self.state, self.seen_file) {
            (State::End, true) => Ok(()),
            (State::End, false) => Err(wrong_number_of_files()),
            (_, _) => Err(malformed()),
        }
    }

    fn pass_preamble(&mut self) -> Result<Step, S3Error> {
        let Some(at) = find(&self.input, &self.delimiter) else { return self.wait() };
        self.consume(at + self.delimiter.len())?;
        self.state = State::Delimited;
        Ok(Step::Continue)
    }

    fn after_delimiter(&mut self) -> Result<Step, S3Error> {
        if self.input.starts_with(b"--") {
            self.input.clear();
            self.state = State::End;
            return Ok(Step::Continue);
        }
        let padding = self.input.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match &self.input[padding..] {
            [b'\r', b'\n', ..] => {}
            [] | [b'\r'] | [b'-'] if padding <= PADDING_BYTES_MAX => return self.wait(),
            _ => return Err(malformed()),
        }
        // The line's end stays, so that an empty head ends like any other.
        self.consume(padding)?;
        self.state = State::Head;
        Ok(Step::Continue)
    }

    fn head(&mut self) -> Result<Step, S3Error> {
        let Some(at) = find(&self.input, b"\r\n\r\n") else { return self.wait() };
        let head = self.consume(at + 4)?;
        let part = PartHead::parse(&head)?;
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(S3Error::new(S3ErrorCode::MaxPostPreDataLengthExceededError));
        }
        if !part.name.eq_ignore_ascii_case("file") {
            self.name = part.name;
            self.state = State::Value;
            // A value's boundary may follow the head at once.
            return Ok(Step::Continue);
        }
        if self.seen_file {
            return Err(wrong_number_of_files());
        }
        self.seen_file = true;
        self.state = State::File;
        Ok(Step::Event(FormEvent::File { filename: part.filename }))
    }

    fn value(&mut self) -> Result<Step, S3Error> {
        let Some(at) = find(&self.input, &self.delimiter) else { return self.wait() };
        let mut value = self.consume(at + self.delimiter.len())?;
        value.truncate(at);
        self.state = State::Delimited;
        if self.seen_file {
            return Ok(Step::Continue);
        }
        let value = String::from_utf8(value.to_vec()).map_err(|_| malformed())?;
        Ok(Step::Event(FormEvent::Field { name: std::mem::take(&mut self.name), value }))
    }

    fn file_data(&mut self) -> Result<Option<FormEvent>, S3Error> {
        if let Some(at) = find(&self.input, &self.delimiter) {
            if at > 0 {
                return Ok(Some(FormEvent::Data(self.input.split_to(at).freeze())));
            }
            self.budget = TRAILING_BYTES_MAX;
            self.consume(self.delimiter.len())?;
            self.state = State::Delimited;
            return Ok(Some(FormEvent::FileEnd));
        }
        // What may be the beginning of a boundary waits for its rest.
        let ready = self.input.len().saturating_sub(self.delimiter.len() - 1);
        Ok((ready > 0).then(|| FormEvent::Data(self.input.split_to(ready).freeze())))
    }

    /// Takes bytes from the input that are not the file's.
    fn consume(&mut self, count: usize) -> Result<BytesMut, S3Error> {
        self.budget = self.budget.checked_sub(count).ok_or_else(|| self.too_long())?;
        Ok(self.input.split_to(count))
    }

    fn wait(&self) -> Result<Step, S3Error> {
        if self.input.len() > self.budget { Err(self.too_long()) } else { Ok(Step::NeedsInput) }
    }

    fn too_long(&self) -> S3Error {
        if self.seen_file {
            return malformed();
        }
        S3Error::new(S3ErrorCode::MaxPostPreDataLengthExceededError)
            .field("MaxPostPreDataLengthBytes", FIELD_BYTES_MAX.to_string())
    }
}

enum Step {
    Event(FormEvent),
    Continue,
    NeedsInput,
}

/// What the header lines of a part say.
struct PartHead {
    name: String,
    filename: String,
}

impl PartHead {
    fn parse(head: &[u8]) -> Result<Self, S3Error> {
        let head = std::str::from_utf8(head).map_err(|_| malformed())?;
        let disposition = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then(|| value.trim())
        });
        let (kind, mut rest) = disposition.ok_or_else(malformed)?.split_once(';').ok_or_else(malformed)?;
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return Err(malformed());
        }
        let (mut name, mut filename) = (None, None);
        while !rest.trim().is_empty() {
            let (parameter, after) = rest.split_once('=').ok_or_else(malformed)?;
            let (value, after) = parameter_value(after)?;
            let slot = match parameter.trim().to_ascii_lowercase().as_str() {
                "name" => &mut name,
                "filename" => &mut filename,
                _other => &mut None,
            };
            if slot.replace(value).is_some() {
                return Err(malformed());
            }
            rest = after;
        }
        Ok(Self { name: name.ok_or_else(malformed)?, filename: filename.unwrap_or_default() })
    }
}

/// A parameter's value and what follows it. In quotes only `\"` is an escape: some browsers send the backslashes of a
/// path as they are.
fn parameter_value(text: &str) -> Result<(String, &str), S3Error> {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return Ok((value.trim().to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                let rest = quoted[at + 1..].trim_start();
                let rest = if rest.is_empty() { rest } else { rest.strip_prefix(';').ok_or_else(malformed)? };
                return Ok((value, rest));
            }
            '\\' if characters.next_if(|(_, next)| *next == '"').is_some() => value.push('"'),
            other => value.push(other),
        }
    }
    Err(malformed())
}

/// Where `needle`, which begins with CR, first stands.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(offset) = haystack[from..].iter().position(|byte| *byte == b'\r') {
        let at = from + offset;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn malformed() -> S3Error {
    S3Error::new(S3ErrorCode::MalformedPOSTRequest)
}

fn wrong_number_of_files() -> S3Error {
    S3Error::new(S3ErrorCode::IncorrectNumberOfFilesInPostRequest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(name: &str, extra: &str, value: &str) -> String {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{extra}\r\n\r\n{value}\r\n")
    }

    /// Events with adjacent data joined, and the verdict at the end; the form arrives in pieces of `step` bytes.
    fn read(form: &[u8], step: usize) -> Result<Vec<FormEvent>, S3ErrorCode> {
        let mut parser = FormParser::new("B");
        let mut events: Vec<FormEvent> = Vec::new();
        for piece in form.chunks(step) {
            parser.push(piece);
            while let Some(event) = parser.next_event().map_err(|error| error.code())? {
                match (events.last_mut(), event) {
                    (Some(FormEvent::Data(so_far)), FormEvent::Data(more)) => {
                        *so_far = [&so_far[..], &more[..]].concat().into();
                    }
                    (_, event) => events.push(event),
                }
            }
        }
        parser.finish().map_err(|error| error.code())?;
        Ok(events)
    }

    #[test]
    fn boundaries_are_found() {
        for (content_type, boundary) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/mixed; boundary=abc", None),
            ("application/x-www-form-urlencoded; boundary=abc", None),
        ] {
            assert_eq!(boundary_of(content_type), boundary, "{content_type}");
        }
        assert_eq!(boundary_of(&format!("multipart/form-data; boundary={}", "x".repeat(71))), None);
    }

    #[test]
    fn fields_then_a_file_then_the_rest() {
        let form = [
            "a preamble nobody reads\r\n",
            &part("Key", "", "a\r\n--b"),
            &part("empty", "; filename=\"x\"\r\nContent-Type: text/plain", ""),
            &part("File", "; filename=\"C:\\dir\\q\\\"\u{e9}.txt\"", "line\r\n--\r\n--A\r\n-"),
            &part("late", "", "ignored"),
            "--B--\r\nan epilogue",
        ]
        .concat();
        let field = |name: &str, value: &str| FormEvent::Field { name: name.to_owned(), value: value.to_owned() };
        for step in [1, 2, 7, 4096] {
            assert_eq!(
                read(form.as_bytes(), step).unwrap(),
                [
                    field("Key", "a\r\n--b"),
                    field("empty", ""),
                    FormEvent::File { filename: "C:\\dir\\q\"\u{e9}.txt".to_owned() },
                    FormEvent::Data(Bytes::from_static(b"line\r\n--\r\n--A\r\n-")),
                    FormEvent::FileEnd,
                ],
                "{step}"
            );
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        use S3ErrorCode as C;
        let file = part("file", "", "x");
        let many = part("f", "", "").repeat(FIELDS_MAX + 1);
        for (form, code) in [
            (String::new(), C::MalformedPOSTRequest),
            ("--B--".to_owned(), C::IncorrectNumberOfFilesInPostRequest),
            (file.clone(), C::MalformedPOSTRequest),
            (format!("{file}{file}--B--"), C::IncorrectNumberOfFilesInPostRequest),
            ("--Bx\r\n\r\n".to_owned(), C::MalformedPOSTRequest),
            ("--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--".to_owned(), C::MalformedPOSTRequest),
            (part("a\"; name=\"b", "", "x"), C::MalformedPOSTRequest),
            (part("a", "; x\"", "x"), C::MalformedPOSTRequest),
            (part("key", "", &"x".repeat(FIELD_BYTES_MAX)), C::MaxPostPreDataLengthExceededError),
            ("x".repeat(FIELD_BYTES_MAX + 1), C::MaxPostPreDataLengthExceededError),
            (many, C::MaxPostPreDataLengthExceededError),
            (format!("{file}{}--B--", part("z", "", &"x".repeat(TRAILING_BYTES_MAX))), C::MalformedPOSTRequest),
        ] {
            for step in [1 << 10, 1 << 20] {
                assert_eq!(read(form.as_bytes(), step).unwrap_err(), code, "{:.80}", form);
            }
        }
        assert_eq!(
            read(b"--B\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\n", 9),
            Err(C::MalformedPOSTRequest)
        );
    }

    proptest! {
        #[test]
        fn a_file_survives_any_cut(
            file in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'A'), any::<u8>()], 0..400),
            step in 1usize..64,
        ) {
            prop_assume!(find(&[b"\r\n", &file[..], b"\r\n"].concat(), b"\r\n--B").is_none());
            let form = [part("file", "; filename=f", "").trim_end().as_bytes(), b"\r\n\r\n", &file, b"\r\n--B--\r\n"].concat();
            let events = read(&form, step).unwrap();
            let data: Vec<u8> = events.iter().flat_map(|event| match event {
                FormEvent::Data(bytes) => bytes.to_vec(),
                _ => Vec::new(),
            }).collect();
            prop_assert_eq!(data, file);
        }
    }
}

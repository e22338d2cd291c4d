//! A request taken apart: method, path, parameters. Names of parameters are taken in whatever case.

use super::error::WebError;
use crate::exception::{JavaException, RemoteException};
use granary_protocol::filesystem::FsPath;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use std::str::FromStr;

/// What every path of the file system begins with.
pub const PREFIX: &str = "/webhdfs/v1";
/// The most parameters of a request.
const PARAMETERS_MAX: usize = 128;

/// A request without its body.
#[derive(Debug)]
pub struct WebRequest {
    /// The path named; a text that is no path is refused when it is needed.
    path: String,
    parameters: Parameters,
}

/// The parameters behind the question mark.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl WebRequest {
    /// Takes a request apart.
    ///
    /// # Errors
    /// Text that is not UTF-8, or too much of it.
    pub fn parse(parts: &Parts) -> Result<WebRequest, WebError> {
        let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let path = decode(path)?;
        let path = if path.is_empty() { "/".to_owned() } else { path };
        Ok(WebRequest { path, parameters: Parameters::parse(parts.uri.query().unwrap_or_default())? })
    }

    /// The path.
    ///
    /// # Errors
    /// `InvalidPathException`.
    pub fn path(&self) -> Result<FsPath, WebError> {
        parse_path(&self.path)
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// A path that a parameter or the URL names.
///
/// # Errors
/// `InvalidPathException`.
pub fn parse_path(text: &str) -> Result<FsPath, WebError> {
    FsPath::parse(text)
        .map_err(|_| RemoteException::new(JavaException::InvalidPath, format!("Invalid path name {text}")).into())
}

fn decode(text: &str) -> Result<String, WebError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| WebError::parameter("path", "it is not UTF-8"))
}

impl Parameters {
    fn parse(query: &str) -> Result<Parameters, WebError> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = |text: &str| decode(&text.replace('+', " "));
            Ok((text(name)?.to_ascii_lowercase(), text(value)?))
        };
        let parsed: Vec<_> = pairs.take(PARAMETERS_MAX + 1).map(pair).collect::<Result<_, WebError>>()?;
        match parsed.len() <= PARAMETERS_MAX {
            true => Ok(Parameters(parsed)),
            false => Err(WebError::parameter("op", "too many parameters")),
        }
    }

    /// A parameter's value; an empty one is as good as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a parameter that may be repeated.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A value that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn required(&self, name: &'static str) -> Result<&str, WebError> {
        self.get(name).ok_or_else(|| WebError::parameter(name, format!("{name} = null is not a valid value.")))
    }

    /// A number.
    ///
    /// # Errors
    /// It is none.
    pub fn number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, WebError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| WebError::parameter(name, format!("Failed to parse \"{text}\" as a number.")))
        };
        self.get(name).map(parse).transpose()
    }

    /// A word that is true or false.
    ///
    /// # Errors
    /// It is neither.
    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, WebError> {
        let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(WebError::parameter(name, format!("Failed to parse \"{text}\" to Boolean."))),
        };
        self.get(name).map(parse).transpose()
    }

    /// Mode bits in octal.
    ///
    /// # Errors
    /// They are none.
    pub fn permission(&self, name: &'static str) -> Result<Option<u16>, WebError> {
        let parse = |text: &str| {
            let bits = u16::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o1777 && text.len() <= 4);
            bits.ok_or_else(|| WebError::parameter(name, format!("{text} is not a permission in octal.")))
        };
        self.get(name).map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(uri: &str) -> Result<WebRequest, WebError> {
        WebRequest::parse(&http::Request::get(uri).body(()).unwrap().into_parts().0)
    }

    #[test]
    fn paths_and_parameters_are_decoded() {
        let request = parse("/webhdfs/v1/b/a%20b%2Bc+d?OP=Open&offset=7&x=&flag=TRUE&dst=%2Fb%2Fx+y").unwrap();
        assert_eq!(request.path().unwrap().as_str(), "/b/a b+c+d");
        let parameters = request.parameters();
        assert_eq!((parameters.get("op"), parameters.get("x"), parameters.get("y")), (Some("Open"), None, None));
        assert_eq!(parameters.number::<u64>("offset"), Ok(Some(7)));
        assert_eq!(parameters.flag("flag"), Ok(Some(true)));
        assert_eq!(parameters.get("dst"), Some("/b/x y"));
        assert!(parameters.number::<u64>("op").is_err());
        assert_eq!(parse("/webhdfs/v1?op=x").unwrap().path().unwrap().as_str(), "/");
        assert!(parse("/webhdfs/v1/b/../c?op=x").unwrap().path().is_err());
        assert!(parse("/webhdfs/v1/b/%ff?op=x").is_err());
    }

    #[test]
    fn permissions_are_octal() {
        let permission = |text: &str| {
            parse(&format!("/webhdfs/v1/?permission={text}")).unwrap().parameters().permission("permission")
        };
        assert_eq!(permission("644"), Ok(Some(0o644)));
        assert_eq!(permission("1777"), Ok(Some(0o1777)));
        assert_eq!(permission(""), Ok(None));
        for bad in ["8", "2777", "77777", "rw-", "-1"] {
            assert!(permission(bad).is_err(), "{bad}");
        }
    }
}

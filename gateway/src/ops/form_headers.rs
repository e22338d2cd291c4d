//! The fields of an upload form as the headers of a PUT, so that both are one operation from here on.

use super::xml_reader::XmlDocument;
use crate::error::{S3Error, S3ErrorCode};
use crate::form::FormFields;
use crate::request::uri_encode_into;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Fields that are headers of the same name.
const SYSTEM_HEADERS: [&str; 7] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
];
/// Fields that mean as a header what they mean here, by the beginning of their names.
const AMZ_PREFIXES: [&str; 6] = [
    "x-amz-meta-",
    "x-amz-checksum-",
    "x-amz-server-side-encryption",
    "x-amz-object-lock-",
    "x-amz-grant-",
    "x-amz-website-redirect-location",
];
const AMZ_HEADERS: [&str; 4] =
    ["x-amz-storage-class", "x-amz-sdk-checksum-algorithm", "x-amz-request-payer", "x-amz-expected-bucket-owner"];
/// Fields of the signature.
const SIGNATURE_FIELDS: [&str; 5] =
    ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature"];
/// Elements of a tagging document: three a tag, with room for tags that are too many, which the PUT then refuses.
const TAGGING_ELEMENTS_MAX: usize = 128;

/// The headers a PUT of the same object would have. Fields that no PUT knows are left out, as AWS leaves them out.
///
/// # Errors
/// `InvalidArgument` for values no header can hold, `NotImplemented` for `x-amz-` fields that are not known,
/// `MalformedXML` for a malformed `tagging`.
pub(crate) fn headers_of_form(fields: &FormFields) -> Result<HeaderMap, S3Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter() {
        let (header, text) = match name {
            "acl" => ("x-amz-acl", value.to_owned()),
            "tagging" => ("x-amz-tagging", tagging_query(value)?),
            other if SYSTEM_HEADERS.contains(&other) || is_amz_header(other) => (other, value.to_owned()),
            other if SIGNATURE_FIELDS.contains(&other) => continue,
            other if other.starts_with("x-amz-") => {
                return Err(S3Error::new(S3ErrorCode::NotImplemented).field("Field", other));
            }
            _ignored => continue,
        };
        let is_clean = !text.bytes().any(|byte| byte < b' ' || byte == 0x7f);
        let (Ok(header), Ok(value), true) =
            (HeaderName::from_bytes(header.as_bytes()), HeaderValue::from_bytes(text.as_bytes()), is_clean)
        else {
            return Err(S3Error::invalid_argument("Field cannot be a header", name, text.escape_default().to_string()));
        };
        headers.insert(header, value);
    }
    Ok(headers)
}

fn is_amz_header(name: &str) -> bool {
    AMZ_HEADERS.contains(&name) || AMZ_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// `<Tagging><TagSet><Tag>…` as the query string that `x-amz-tagging` holds.
fn tagging_query(document: &str) -> Result<String, S3Error> {
    let mut xml = XmlDocument::open(document.as_bytes(), "Tagging", TAGGING_ELEMENTS_MAX)?;
    let mut query: Vec<u8> = Vec::new();
    while let Some(name) = xml.next_child()? {
        if name != "TagSet" {
            return Err(super::xml_reader::malformed());
        }
        while let Some(name) = xml.next_child()? {
            if name != "Tag" {
                return Err(super::xml_reader::malformed());
            }
            let (key, value) = tag(&mut xml)?;
            if !query.is_empty() {
                query.push(b'&');
            }
            uri_encode_into(&mut query, key.as_bytes(), false);
            query.push(b'=');
            uri_encode_into(&mut query, value.as_bytes(), false);
        }
    }
    xml.finish()?;
    Ok(String::from_utf8(query).expect("percent-encoding yields ASCII"))
}

fn tag(xml: &mut XmlDocument<'_>) -> Result<(String, String), S3Error> {
    let (mut key, mut value) = (None, None);
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "Key" => key = Some(xml.text()?),
            "Value" => value = Some(xml.text()?),
            _other => return Err(super::xml_reader::malformed()),
        }
    }
    key.zip(value).ok_or_else(super::xml_reader::malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Result<HeaderMap, S3ErrorCode> {
        let mut fields = FormFields::default();
        for (name, value) in pairs {
            fields.push(name, (*value).to_owned()).unwrap();
        }
        headers_of_form(&fields).map_err(|error| error.code())
    }

    #[test]
    fn fields_become_headers() {
        let headers = headers(&[
            ("key", "k"),
            ("Acl", "public-read"),
            ("Content-Type", "text/plain"),
            ("x-amz-meta-Name", "é"),
            ("x-amz-signature", "s"),
            ("policy", "p"),
            ("submit", "Upload"),
            (
                "tagging",
                "<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag><Tag><Value></Value><Key>c</Key></Tag>\
                 </TagSet></Tagging>",
            ),
        ])
        .unwrap();
        let pairs: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(pairs.len(), 4);
        for (name, value) in [
            ("x-amz-acl", "public-read"),
            ("content-type", "text/plain"),
            ("x-amz-meta-name", "é"),
            ("x-amz-tagging", "a%20b=1%262&c="),
        ] {
            assert!(pairs.contains(&(name, value.as_bytes())), "{name}");
        }
    }

    #[test]
    fn what_could_become_another_header_is_refused() {
        for (name, value, code) in [
            ("x-amz-meta-a", "a\r\nSet-Cookie: b", S3ErrorCode::InvalidArgument),
            ("x-amz-meta-a\r\nb", "a", S3ErrorCode::InvalidArgument),
            ("Content-Type", "a\0b", S3ErrorCode::InvalidArgument),
            ("x-amz-copy-source", "/b/k", S3ErrorCode::NotImplemented),
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", S3ErrorCode::NotImplemented),
            ("x-amz-decoded-content-length", "1", S3ErrorCode::NotImplemented),
            ("x-amz-trailer", "x-amz-checksum-crc32", S3ErrorCode::NotImplemented),
            ("tagging", "a=b", S3ErrorCode::MalformedXML),
            ("tagging", "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>", S3ErrorCode::MalformedXML),
        ] {
            assert_eq!(headers(&[(name, value)]).unwrap_err(), code, "{name}");
        }
    }
}

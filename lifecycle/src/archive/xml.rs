//! The few XML documents of S3 that the worker reads and writes.

use quick_xml::de::from_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// `InitiateMultipartUploadResult`.
#[derive(Debug, Deserialize)]
pub(super) struct Initiated {
    #[serde(rename = "UploadId")]
    pub upload: String,
}

/// `ListPartsResult`.
#[derive(Debug, Deserialize)]
pub(super) struct Parts {
    #[serde(rename = "Part", default)]
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Part {
    #[serde(rename = "PartNumber")]
    pub number: u32,
    #[serde(rename = "ETag")]
    pub etag: String,
    #[serde(rename = "Size")]
    pub size: u64,
}

/// `ListMultipartUploadsResult`.
#[derive(Debug, Deserialize)]
pub(super) struct Uploads {
    #[serde(rename = "Upload", default)]
    pub uploads: Vec<Upload>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Upload {
    #[serde(rename = "Key")]
    pub key: String,
    #[serde(rename = "UploadId")]
    pub upload: String,
}

/// `Error`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    #[serde(rename = "Code")]
    pub code: String,
    #[serde(rename = "Message")]
    pub message: String,
}

/// A document; `None` for anything else.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    from_str(std::str::from_utf8(body).ok()?).ok()
}

/// `CompleteMultipartUpload` of parts with these tags, from number 1 on.
pub(super) fn completion(etags: &[String]) -> String {
    let part = |(index, etag): (usize, &String)| {
        let etag = quick_xml::escape::escape(etag.as_str());
        format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", index + 1)
    };
    let parts: String = etags.iter().enumerate().map(part).collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_s3_are_read() {
        let parts: Parts = parse(
            br#"<?xml version="1.0" encoding="UTF-8"?>
            <ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket><UploadId>u</UploadId>
            <Part><PartNumber>1</PartNumber><LastModified>2010-11-10T20:48:34.000Z</LastModified>
            <ETag>"7778aef83f66abc1fa1e8477f296d394"</ETag><Size>10485760</Size></Part>
            <Part><PartNumber>3</PartNumber><ETag>&quot;aa&quot;</ETag><Size>5</Size></Part></ListPartsResult>"#,
        )
        .unwrap();
        assert_eq!(parts.parts[1], Part { number: 3, etag: "\"aa\"".to_owned(), size: 5 });
        assert_eq!(parse::<Parts>(b"<ListPartsResult></ListPartsResult>").unwrap().parts, []);
        let uploads: Uploads = parse(
            b"<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>u</UploadId></Upload></ListMultipartUploadsResult>",
        )
        .unwrap();
        assert_eq!((uploads.uploads[0].key.as_str(), uploads.uploads[0].upload.as_str()), ("k", "u"));
        let refusal: Refusal = parse(b"<Error><Code>NoSuchUpload</Code><Message>m</Message></Error>").unwrap();
        assert_eq!(refusal.code, "NoSuchUpload");
        assert!(parse::<Initiated>(b"<Error><Code>x</Code></Error>").is_none());
        assert!(parse::<Initiated>(b"nonsense").is_none());
    }

    #[test]
    fn parts_are_numbered_from_one() {
        let body = completion(&["\"a\"".to_owned(), "<".to_owned()]);
        assert_eq!(
            body,
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part>\
             <Part><PartNumber>2</PartNumber><ETag>&lt;</ETag></Part></CompleteMultipartUpload>"
        );
    }
}

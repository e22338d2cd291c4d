//! Errors as a browser shows them.

use crate::error::S3Error;
use std::fmt::Write as _;

/// The page AWS shows for an error. `while_showing` is the error met when the site's own error document was to be shown.
/// Everything in it is text: a key is never markup.
pub(crate) fn error_page(
    error: &S3Error,
    key: &str,
    while_showing: Option<&S3Error>,
    request_id: &str,
    host_id: &str,
) -> String {
    let status = error.status();
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let mut page = format!("<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n");
    let mut item = |name: &str, value: &str| {
        let _infallible = writeln!(page, "<li>{name}: {}</li>", escaped(value));
    };
    item("Code", error.code().as_str());
    item("Message", error.message());
    if !key.is_empty() {
        item("Key", key);
    }
    item("RequestId", request_id);
    item("HostId", host_id);
    page.push_str("</ul>\n");
    if let Some(other) = while_showing {
        page.push_str("<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n");
        let _infallible = write!(
            page,
            "<li>Code: {}</li>\n<li>Message: {}</li>\n</ul>\n",
            other.code().as_str(),
            escaped(other.message())
        );
    }
    page.push_str("<hr/>\n</body>\n</html>\n");
    page
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            control if control.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;

    #[test]
    fn a_key_is_text() {
        let error = S3Error::new(S3ErrorCode::NoSuchKey);
        let page = error_page(&error, "<script>'\"&\0", Some(&S3Error::new(S3ErrorCode::AccessDenied)), "RID", "HID");
        assert!(page.contains("<title>404 Not Found</title>"), "{page}");
        assert!(page.contains("<li>Code: NoSuchKey</li>") && page.contains("<li>RequestId: RID</li>"), "{page}");
        assert!(page.contains("<li>Key: &lt;script&gt;&#39;&quot;&amp;\u{fffd}</li>"), "{page}");
        assert!(page.contains("Custom Error Document</h3>\n<ul>\n<li>Code: AccessDenied</li>"), "{page}");
    }
}

//! The fields of a form that stand before its file.
//!
//! Names are compared without case, as AWS compares them, and each may stand once: a form that can be read in two ways is
//! refused.

use crate::auth::PostFormCredentials;
use crate::error::S3Error;

/// The fields, in order, names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FormFields(Vec<(String, String)>);

/// What a form presents to say who signed it.
#[derive(Debug)]
pub(crate) enum FormCredentials<'f> {
    /// Nothing: the caller is anonymous, and there is no policy.
    Nothing,
    /// A signature over the policy.
    Signed(PostFormCredentials<'f>),
}

impl FormFields {
    /// Adds a field.
    ///
    /// # Errors
    /// `InvalidArgument` for one that stands twice.
    pub(crate) fn push(&mut self, name: &str, value: String) -> Result<(), S3Error> {
        let name = name.to_ascii_lowercase();
        if self.get(&name).is_some() {
            return Err(S3Error::invalid_argument("POST form fields must not be repeated.", name, value));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// A field's value, by its name in lower case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Puts the file's own name, without folders, where `key` says `${filename}`.
    pub(crate) fn expand_filename(&mut self, filename: &str) {
        let own_name = filename.rsplit(['/', '\\']).next().unwrap_or_default();
        if let Some((_, key)) = self.0.iter_mut().find(|(name, _)| name == "key") {
            *key = key.replace("${filename}", own_name);
        }
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// `InvalidArgument`, in AWS's words.
    pub(crate) fn require(&self, name: &'static str) -> Result<&str, S3Error> {
        let lower = name.to_ascii_lowercase();
        self.get(&lower).ok_or_else(|| {
            let message = format!(
                "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
            );
            S3Error::invalid_argument(message, name, "")
        })
    }

    /// The credentials. Half of them are refused, never taken for none, and so are those of two versions.
    ///
    /// # Errors
    /// `InvalidArgument`
    pub(crate) fn credentials(&self) -> Result<FormCredentials<'_>, S3Error> {
        let has_any = |names: &[&str]| names.iter().any(|name| self.get(name).is_some());
        let version4 = has_any(&["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"]);
        let version2 = has_any(&["awsaccesskeyid", "signature"]);
        let security_token = self.get("x-amz-security-token");
        if version4 && version2 {
            return Err(S3Error::invalid_argument(
                "Only one auth mechanism allowed; only the x-amz-signature or the signature field should be specified",
                "x-amz-signature",
                "",
            ));
        }
        if version4 {
            return Ok(FormCredentials::Signed(PostFormCredentials::Version4 {
                policy_base64: self.require("policy")?,
                algorithm: self.require("x-amz-algorithm")?,
                credential: self.require("x-amz-credential")?,
                date: self.require("x-amz-date")?,
                signature: self.require("x-amz-signature")?,
                security_token,
            }));
        }
        if version2 || security_token.is_some() || self.get("policy").is_some() {
            return Ok(FormCredentials::Signed(PostFormCredentials::Version2 {
                policy_base64: self.require("policy")?,
                access_key_id: self.require("AWSAccessKeyId")?,
                signature: self.require("signature")?,
                security_token,
            }));
        }
        Ok(FormCredentials::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;

    fn fields(pairs: &[(&str, &str)]) -> FormFields {
        let mut fields = FormFields::default();
        for (name, value) in pairs {
            fields.push(name, (*value).to_owned()).unwrap();
        }
        fields
    }

    #[test]
    fn a_field_stands_once() {
        let mut fields = fields(&[("Key", "a")]);
        assert_eq!(fields.get("key"), Some("a"));
        assert_eq!(fields.push("kEY", "b".to_owned()).unwrap_err().code(), S3ErrorCode::InvalidArgument);
    }

    #[test]
    fn a_file_name_loses_its_folders() {
        for (filename, key) in [
            ("f.txt", "u/f.txt!f.txt"),
            ("C:\\a b\\f.txt", "u/f.txt!f.txt"),
            ("../../f.txt", "u/f.txt!f.txt"),
            ("", "u/!"),
            ("${filename}", "u/${filename}!${filename}"),
        ] {
            let mut fields = fields(&[("key", "u/${filename}!${filename}"), ("acl", "${filename}")]);
            fields.expand_filename(filename);
            assert_eq!((fields.get("key"), fields.get("acl")), (Some(key), Some("${filename}")));
        }
    }

    #[test]
    fn half_a_signature_is_not_none() {
        let missing = |pairs: &[(&str, &str)]| {
            let fields = fields(pairs);
            let error = fields.credentials().unwrap_err();
            assert_eq!(error.code(), S3ErrorCode::InvalidArgument);
            error.get_field("ArgumentName").unwrap().to_owned()
        };
        assert!(matches!(fields(&[("key", "k")]).credentials(), Ok(FormCredentials::Nothing)));
        assert_eq!(missing(&[("policy", "p")]), "AWSAccessKeyId");
        assert_eq!(missing(&[("policy", "p"), ("AWSAccessKeyId", "a")]), "signature");
        assert_eq!(missing(&[("signature", "s"), ("AWSAccessKeyId", "a")]), "policy");
        assert_eq!(missing(&[("x-amz-security-token", "t")]), "policy");
        assert_eq!(missing(&[("policy", "p"), ("x-amz-credential", "c")]), "x-amz-algorithm");
        assert_eq!(missing(&[("policy", "p"), ("x-amz-credential", "c"), ("signature", "s")]), "x-amz-signature");
    }
}

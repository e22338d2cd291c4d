//! The policy language in tables: what is refused and in which words, and what applies to what.

use super::*;
use crate::caller::{Caller, Session};
use granary_protocol::CanonicalId;
use proptest::prelude::*;

fn refused(document: &str) -> String {
    Policy::parse_for_bucket(document.as_bytes(), "pail").map(|_| ()).expect_err(document).to_string()
}

fn statement(elements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{{{elements}}}]}}"#)
}

#[test]
fn refusals_speak_as_aws_does() {
    const WHOLE: &str = r#""Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::pail/*""#;
    let with = |from: &str, to: &str| statement(&WHOLE.replace(from, to));
    let condition = |condition: &str| statement(&format!(r#"{WHOLE},"Condition":{condition}"#));
    let not_json = "Policies must be valid JSON and the first byte must be '{'";
    let no_resource = "Action does not apply to any resource(s) in statement";
    for (document, message) in [
        (String::new(), not_json),
        (" {}".to_owned(), not_json),
        ("{".to_owned(), "This policy contains invalid Json"),
        (r#"{"Version":"2012-10-17","Version":"2012-10-17"}"#.to_owned(), "This policy contains invalid Json"),
        (r#"{"Version":"2012-10-17"}"#.to_owned(), "Missing required field Statement"),
        (r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(), "Could not parse the policy: Statement is empty!"),
        (r#"{"Version":"2020-01-01","Statement":[]}"#.to_owned(), "The policy must contain a valid version string"),
        (r#"{"Versions":"2012-10-17","Statement":[]}"#.to_owned(), "Unknown field Versions"),
        (with(r#""Effect":"Allow","#, ""), "Missing required field Effect"),
        (with(r#""Allow""#, r#""allow""#), "Invalid effect: allow"),
        (with(r#""Principal":"*","#, ""), "Missing required field Principal"),
        (with(r#""Principal":"*""#, r#""Principal":"ann""#), "Invalid principal in policy"),
        (with(r#""Principal":"*""#, r#""Principal":{"AWS":"arn:aws:iam::*:root"}"#), "Invalid principal in policy"),
        (with(r#""Principal":"*""#, r#""Principal":{"CanonicalUser":"x"}"#), "Invalid principal in policy"),
        (with(r#""Principal":"*""#, r#""Principal":{}"#), "Invalid principal in policy"),
        (with(r#""Principal":"*""#, r#""NotPrincipal":"*""#), "Allow with NotPrincipal is not allowed."),
        (
            with(r#""Principal":"*""#, r#""Principal":"*","NotPrincipal":"*""#),
            "Statement contains both Principal and NotPrincipal",
        ),
        (with(r#""Action":"s3:GetObject","#, ""), "Missing required field Action"),
        (with("s3:GetObject", "s3:GetObjects"), "Policy has invalid action"),
        (with("s3:GetObject", "ec2:RunInstances"), "Policy has invalid action"),
        (with("s3:GetObject", "s3:ListAllMyBuckets"), no_resource),
        (with("s3:GetObject", "s3:ListBucket"), no_resource),
        (with("arn:aws:s3:::pail/*", "arn:aws:s3:::pail"), no_resource),
        (with(r#""s3:GetObject""#, r#"["s3:GetObject","s3:ListBucket"]"#), no_resource),
        (with(r#","Resource":"arn:aws:s3:::pail/*""#, ""), "Missing required field Resource"),
        (with("arn:aws:s3:::pail/*", "arn:aws:s3:::other/*"), "Policy has invalid resource"),
        (with("arn:aws:s3:::pail/*", "pail/*"), "Policy has invalid resource"),
        (with("arn:aws:s3:::pail/*", "arn:aws:s3:::pail/"), "Policy has invalid resource"),
        (with(r#""Effect""#, r#""Effects":1,"Effect""#), "Unknown field Effects"),
        (condition(r#"{"StringIs":{"aws:Referer":"x"}}"#), "Invalid Condition type : StringIs"),
        (condition(r#"{"StringEquals":{"s3:nonsense":"x"}}"#), "Policy has an invalid condition key"),
        (condition(r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/99"}}"#), "Policy has an invalid condition value"),
        (
            condition(r#"{"StringEquals":{"s3:prefix":"x"}}"#),
            "Conditions do not apply to combination of actions and resources in statement",
        ),
        (
            format!(r#"{{"Statement":[{{"Sid":"a",{WHOLE}}},{{"Sid":"a",{WHOLE}}}]}}"#),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
    ] {
        assert_eq!(refused(&document), message, "{document}");
    }
    let padding = " ".repeat(POLICY_BYTES_MAX);
    assert_eq!(refused(&format!("{{{padding}}}")), "Policy exceeds the maximum allowed document size.");
}

#[test]
fn what_aws_takes_is_taken() {
    for elements in [
        r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"*","Resource":["arn:aws:s3:::pail","arn:aws:s3:::pail/*"]"#,
        r#""Effect":"Allow","Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:user/a/b"]},"Action":["S3:getobject"],"Resource":"arn:aws:s3:::pail*""#,
        r#""Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::123456789012:root"},"NotAction":"s3:Get*","Resource":"arn:aws:s3:::*/*""#,
        r#""Sid":"x y","Effect":"Allow","Principal":{"AWS":"arn:aws:iam:::user/ann"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::*""#,
        r#""Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::pail/logs/*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::src"}}"#,
        r#""Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::pail/*","Condition":{"Null":{"s3:x-amz-server-side-encryption":true},"NumericGreaterThan":{"s3:object-lock-remaining-retention-days":10}}"#,
        r#""Effect":"Allow","Principal":"*","Action":"s3:*","NotResource":"arn:aws:s3:::pail/secret/*""#,
        r#""Effect":"Allow","Principal":{"AWS":"arn:aws:iam::tenant:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::pail/*""#,
    ] {
        Policy::parse_for_bucket(statement(elements).as_bytes(), "pail").expect(elements);
    }
    let single = r#"{"Id":"p","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::pail/*"}}"#;
    Policy::parse_for_bucket(single.as_bytes(), "pail").unwrap();
}

#[test]
fn identity_policies_name_no_principal() {
    let parse = |elements: &str| Policy::parse_identity(statement(elements).as_bytes());
    assert!(parse(r#""Effect":"Allow","Action":["s3:*","admin:Status"],"Resource":"*""#).is_ok());
    for (elements, error) in [
        (r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*""#, PolicyError::UnexpectedPrincipal),
        (r#""Effect":"Allow","Action":"s3:*""#, PolicyError::MissingField("Resource")),
        (r#""Effect":"Allow","Action":"GetObject","Resource":"*""#, PolicyError::InvalidAction),
        (r#""Effect":"Allow","Action":"s3:*","Resource":"pail""#, PolicyError::InvalidResource),
    ] {
        assert_eq!(parse(elements), Err(error), "{elements}");
    }
}

pub(crate) fn user(name: &str, account: &str) -> Caller {
    Caller {
        canonical_id: CanonicalId(format!("{account:0>64}")),
        account_id: account.to_owned(),
        user: name.to_owned(),
        display_name: name.to_owned(),
        is_root: false,
        policies: Vec::new(),
        session: None,
    }
}

#[test]
fn principals_are_matched() {
    let ann = user("ann", "111111111111");
    let session = Session { role: "r".to_owned(), name: "s".to_owned(), policy: None };
    let in_session = Caller { session: Some(session), ..ann.clone() };
    let canonical = format!(r#"{{"CanonicalUser":"{}"}}"#, ann.canonical_id);
    let by_id = format!(r#"{{"AWS":"arn:aws:iam:::user/{}"}}"#, ann.canonical_id);
    for (principal, anonymous, as_ann, as_session) in [
        (r#""*""#, true, true, true),
        (r#"{"AWS":"*"}"#, true, true, true),
        (r#"{"AWS":"111111111111"}"#, false, true, true),
        (r#"{"AWS":"222222222222"}"#, false, false, false),
        (r#"{"AWS":"arn:aws:iam::111111111111:root"}"#, false, true, true),
        (r#"{"AWS":"arn:aws:iam::111111111111:user/ann"}"#, false, true, false),
        (r#"{"AWS":"arn:aws:iam::222222222222:user/ann"}"#, false, false, false),
        (r#"{"AWS":["arn:aws:iam::222222222222:root","arn:aws:iam:::user/ann"]}"#, false, true, false),
        (by_id.as_str(), false, true, false),
        (canonical.as_str(), false, true, true),
        (r#"{"AWS":"arn:aws:iam::111111111111:role/r"}"#, false, false, true),
        (r#"{"AWS":"arn:aws:sts::111111111111:assumed-role/r/s"}"#, false, false, true),
        (r#"{"AWS":"arn:aws:sts::111111111111:assumed-role/r/t"}"#, false, false, false),
        (r#"{"Service":"logging.s3.amazonaws.com"}"#, false, false, false),
        (r#"{"Federated":"accounts.google.com"}"#, false, false, false),
    ] {
        let elements = format!(
            r#""Effect":"Allow","Principal":{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::pail/*""#
        );
        let policy = Policy::parse_for_bucket(statement(&elements).as_bytes(), "pail").unwrap();
        let context = RequestContext::new();
        let applies = |requester| {
            let question =
                Question { requester, action: "s3:GetObject", resource: "arn:aws:s3:::pail/k", context: &context };
            policy.evaluate(&question) == Verdict::Allow
        };
        assert_eq!(applies(Requester::Anonymous), anonymous, "{principal}");
        assert_eq!(applies(Requester::Caller(&ann)), as_ann, "{principal}");
        assert_eq!(applies(Requester::Caller(&in_session)), as_session, "{principal}");
    }
}

#[test]
fn actions_and_resources_are_matched() {
    for (elements, action, resource, expected) in [
        (r#""Action":"s3:Get*","Resource":"arn:aws:s3:::pail/*""#, "s3:GetObject", "arn:aws:s3:::pail/a/b", true),
        (r#""Action":"S3:GETOBJECT","Resource":"arn:aws:s3:::pail/*""#, "s3:GetObject", "arn:aws:s3:::pail/a", true),
        (
            r#""Action":"s3:GetObject","Resource":"arn:aws:s3:::pail/*""#,
            "s3:GetObjectVersion",
            "arn:aws:s3:::pail/a",
            false,
        ),
        (r#""NotAction":"s3:Get*","Resource":"*""#, "s3:PutObject", "arn:aws:s3:::pail/a", true),
        (r#""NotAction":"s3:Get*","Resource":"*""#, "s3:GetObject", "arn:aws:s3:::pail/a", false),
        (
            r#""Action":"s3:*","NotResource":"arn:aws:s3:::pail/secret*""#,
            "s3:GetObject",
            "arn:aws:s3:::pail/secret/a",
            false,
        ),
        (r#""Action":"s3:*","NotResource":"arn:aws:s3:::pail/secret*""#, "s3:GetObject", "arn:aws:s3:::pail/a", true),
        (r#""Action":"s3:*","Resource":"arn:aws:s3:::pail/*""#, "s3:ListBucket", "arn:aws:s3:::pail", false),
        (
            r#""Action":"*","Resource":"arn:aws:s3:::pai?/${aws:username}/*""#,
            "s3:GetObject",
            "arn:aws:s3:::pail/ann/x",
            true,
        ),
        (
            r#""Action":"*","Resource":"arn:aws:s3:::pail/${aws:username}/*""#,
            "s3:GetObject",
            "arn:aws:s3:::pail/bob/x",
            false,
        ),
        (r#""Action":"*","Resource":"arn:aws:s3:::PAIL/*""#, "s3:GetObject", "arn:aws:s3:::pail/x", false),
    ] {
        let policy = Policy::parse_identity(statement(&format!(r#""Effect":"Allow",{elements}"#)).as_bytes()).unwrap();
        let ann = user("ann", "111111111111");
        let mut context = RequestContext::new();
        context.add("aws:username", "ann");
        let question = Question { requester: Requester::Caller(&ann), action, resource, context: &context };
        assert_eq!(policy.evaluate(&question) == Verdict::Allow, expected, "{elements} {action} {resource}");
    }
}

#[test]
fn public_is_what_is_not_fixed() {
    let allow = |principal: &str, condition: &str| {
        statement(&format!(
            r#""Effect":"Allow","Principal":{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::pail/*"{condition}"#
        ))
    };
    let when = |condition: &str| format!(r#","Condition":{condition}"#);
    for (principal, condition, public) in [
        (r#""*""#, String::new(), true),
        (r#"{"AWS":"*"}"#, String::new(), true),
        (r#"{"AWS":["123456789012","*"]}"#, String::new(), true),
        (r#"{"AWS":"123456789012"}"#, String::new(), false),
        (r#""*""#, when(r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/32"}}"#), false),
        (r#""*""#, when(r#"{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","0.0.0.0/1"]}}"#), true),
        (r#""*""#, when(r#"{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/32"}}"#), true),
        (r#""*""#, when(r#"{"StringEquals":{"aws:SourceVpc":"vpc-91237329"}}"#), false),
        (r#""*""#, when(r#"{"StringLike":{"aws:SourceVpc":"vpc-*"}}"#), true),
        (r#""*""#, when(r#"{"StringEqualsIfExists":{"aws:SourceVpc":"vpc-1"}}"#), true),
        (r#""*""#, when(r#"{"StringNotEquals":{"aws:SourceVpc":"vpc-1"}}"#), true),
        (r#""*""#, when(r#"{"StringEquals":{"aws:PrincipalOrgID":"${aws:userid}"}}"#), true),
        (r#""*""#, when(r#"{"StringLike":{"aws:Referer":"http://example.com/x"}}"#), true),
        (r#""*""#, when(r#"{"Bool":{"aws:SecureTransport":"true"}}"#), true),
    ] {
        let policy = Policy::parse_for_bucket(allow(principal, &condition).as_bytes(), "pail").unwrap();
        assert_eq!(policy.is_public(), public, "{principal} {condition}");
    }
    let deny = allow(r#""*""#, "").replace("Allow", "Deny");
    assert!(!Policy::parse_for_bucket(deny.as_bytes(), "pail").unwrap().is_public());
}

proptest! {
    #[test]
    fn reading_never_panics(document in ".{0,300}") {
        let _ = Policy::parse_for_bucket(document.as_bytes(), "pail");
        let _ = Policy::parse_identity(format!("{{{document}").as_bytes());
    }

    #[test]
    fn nearly_policies_never_panic(
        effect in "(Allow|Deny|.{0,3})", principal in ".{0,30}", action in "(s3:)?.{0,20}",
        resource in "(arn:aws:s3:::)?.{0,20}", operator in "(ForAnyValue:)?[A-Za-z]{0,20}", key in "(s3:|aws:)?.{0,20}", value in ".{0,20}",
    ) {
        let text = |text: &str| serde_json::to_string(text).unwrap();
        let document = statement(&format!(
            r#""Effect":{},"Principal":{{"AWS":{}}},"Action":{},"Resource":{},"Condition":{{{}:{{{}:{}}}}}"#,
            text(&effect), text(&principal), text(&action), text(&resource), text(&operator), text(&key), text(&value),
        ));
        if let Ok(policy) = Policy::parse_resource(document.as_bytes()) {
            let mut context = RequestContext::new();
            context.add(key, value);
            let question = Question { requester: Requester::Anonymous, action: "s3:GetObject", resource: "arn:aws:s3:::pail/k", context: &context };
            policy.evaluate(&question);
            policy.is_public();
        }
    }
}

//! `LifecycleConfiguration`: the XML of [`granary_lifecycle::rules`].
//!
//! The stored form has one element more than AWS's: the minimum size that clients send and get in a header.

use super::Document;
use super::tagging::{read_tag, write_tag};
use crate::error::{S3Error, S3ErrorCode};
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_lifecycle::rules::{
    Calendar, Expiration, Fault, Filter, LifecycleConfiguration, NoncurrentExpiration, NoncurrentTransition, RULES_MAX,
    Rule, RuleError, Scope, Transition, TransitionMinimumSize, When, validate,
};
use granary_protocol::UnixMillis;
use granary_protocol::bucket::BucketDocument;
use granary_protocol::object::StorageClass;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Elements of the largest document: 1,000 rules with a few tags and all actions each.
const ELEMENTS_MAX: usize = RULES_MAX * 60;
/// The element that holds the header's word in the stored form.
const MINIMUM_SIZE: &str = "TransitionDefaultMinimumObjectSize";

/// A lifecycle configuration as a bucket keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredLifecycle(pub LifecycleConfiguration);

impl StoredLifecycle {
    /// Reads a request. Rules without an id get what `new_id` makes.
    ///
    /// # Errors
    /// `MalformedXML`, or what [`validate`] finds.
    pub fn parse_request(
        text: &[u8],
        minimum_size: TransitionMinimumSize,
        calendar: Calendar,
        mut new_id: impl FnMut() -> String,
    ) -> Result<Self, S3Error> {
        let root = Element::parse(text, "LifecycleConfiguration", ELEMENTS_MAX)?;
        let mut rules = root.only(&["Rule"])?.children().iter().map(read_rule).collect::<Result<Vec<_>, _>>()?;
        for rule in rules.iter_mut().filter(|rule| rule.id.is_empty()) {
            rule.id = new_id();
        }
        let configuration = LifecycleConfiguration { rules, minimum_size };
        validate(&configuration, calendar).map_err(|error| refusal(&error))?;
        Ok(Self(configuration))
    }

    /// The document for clients.
    pub fn to_response_xml(&self) -> Xml {
        let mut xml = Xml::document("LifecycleConfiguration", self.0.rules.len() * 256);
        self.0.rules.iter().for_each(|rule| write_rule(&mut xml, rule));
        xml
    }
}

/// Reads the rules a bucket keeps, for those who carry them out.
///
/// # Errors
/// Why they cannot be read.
pub fn lifecycle_rules(document: &[u8]) -> Result<LifecycleConfiguration, String> {
    StoredLifecycle::parse(document).map(|stored| stored.0).map_err(|error| error.to_string())
}

impl Document for StoredLifecycle {
    const KIND: BucketDocument = BucketDocument::Lifecycle;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "LifecycleConfiguration", ELEMENTS_MAX)?;
        let rules = root.only(&["Rule", MINIMUM_SIZE])?.all("Rule").map(read_rule).collect::<Result<_, _>>()?;
        let minimum_size = root.required_text(MINIMUM_SIZE)?;
        let minimum_size = TransitionMinimumSize::from_name(&minimum_size).ok_or_else(malformed)?;
        Ok(Self(LifecycleConfiguration { rules, minimum_size }))
    }

    fn to_xml(&self) -> Bytes {
        let mut xml = self.to_response_xml();
        xml.element(MINIMUM_SIZE, self.0.minimum_size.name());
        xml.into_bytes()
    }
}

fn refusal(error: &RuleError) -> S3Error {
    let code = match error.fault() {
        Fault::Argument => S3ErrorCode::InvalidArgument,
        Fault::Request => S3ErrorCode::InvalidRequest,
        Fault::Tag => S3ErrorCode::InvalidTag,
        Fault::Schema => return malformed(),
    };
    S3Error::with_message(code, error.to_string())
}

fn read_rule(element: &Element) -> Result<Rule, S3Error> {
    element.only(&[
        "ID",
        "Prefix",
        "Filter",
        "Status",
        "Expiration",
        "Transition",
        "NoncurrentVersionExpiration",
        "NoncurrentVersionTransition",
        "AbortIncompleteMultipartUpload",
    ])?;
    let enabled = match element.required_text("Status")?.trim() {
        "Enabled" => true,
        "Disabled" => false,
        _ => return Err(malformed()),
    };
    let scope = match (element.optional_text("Prefix")?, element.optional("Filter")?) {
        (Some(prefix), None) => Scope::Prefix(prefix),
        (None, Some(filter)) => Scope::Filter(read_filter(filter)?),
        (Some(_), Some(_)) | (None, None) => return Err(malformed()),
    };
    let abort = element.optional("AbortIncompleteMultipartUpload")?;
    let abort = abort.map(|abort| abort.only(&["DaysAfterInitiation"])?.required("DaysAfterInitiation")?.parsed());
    Ok(Rule {
        id: element.optional_text("ID")?.unwrap_or_default(),
        enabled,
        scope,
        expiration: element.optional("Expiration")?.map(read_expiration).transpose()?,
        transitions: element.all("Transition").map(read_transition).collect::<Result<_, _>>()?,
        noncurrent_expiration: element
            .optional("NoncurrentVersionExpiration")?
            .map(read_noncurrent_expiration)
            .transpose()?,
        noncurrent_transitions: element
            .all("NoncurrentVersionTransition")
            .map(read_noncurrent_transition)
            .collect::<Result<_, _>>()?,
        abort_upload_days: abort.transpose()?,
    })
}

/// AWS wants several conditions inside `And`. They are also taken beside each other and beside `And`, as other stores
/// take them: all must hold.
fn read_filter(element: &Element) -> Result<Filter, S3Error> {
    element.only(&["Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And"])?;
    let Some(and) = element.optional("And")? else { return read_conditions(element, false) };
    let beside = match element.children().len() {
        1 => None,
        _ => Some(Box::new(read_conditions(element, false)?)),
    };
    let inside = and.only(&["Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"])?;
    Ok(Filter { beside, ..read_conditions(inside, true)? })
}

fn read_conditions(conditions: &Element, and: bool) -> Result<Filter, S3Error> {
    let size = |name| conditions.optional(name)?.map(Element::parsed).transpose();
    Ok(Filter {
        and,
        prefix: conditions.optional_text("Prefix")?,
        tags: conditions.all("Tag").map(read_tag).collect::<Result<_, _>>()?,
        size_greater_than: size("ObjectSizeGreaterThan")?,
        size_less_than: size("ObjectSizeLessThan")?,
        beside: None,
    })
}

fn read_expiration(element: &Element) -> Result<Expiration, S3Error> {
    element.only(&["Days", "Date", "ExpiredObjectDeleteMarker"])?;
    match (read_when(element)?, element.optional_flag("ExpiredObjectDeleteMarker")?) {
        (Some(when), None) => Ok(Expiration::At(when)),
        (None, Some(flag)) => Ok(Expiration::ExpiredObjectDeleteMarker(flag)),
        (Some(_), Some(_)) | (None, None) => Err(malformed()),
    }
}

fn read_transition(element: &Element) -> Result<Transition, S3Error> {
    element.only(&["Days", "Date", "StorageClass"])?;
    let when = read_when(element)?.ok_or_else(malformed)?;
    Ok(Transition { when, class: read_class(element)? })
}

fn read_noncurrent_expiration(element: &Element) -> Result<NoncurrentExpiration, S3Error> {
    element.only(&["NoncurrentDays", "NewerNoncurrentVersions"])?;
    let newer_versions = element.optional("NewerNoncurrentVersions")?.map(Element::parsed).transpose()?;
    Ok(NoncurrentExpiration { days: element.required("NoncurrentDays")?.parsed()?, newer_versions })
}

fn read_noncurrent_transition(element: &Element) -> Result<NoncurrentTransition, S3Error> {
    element.only(&["NoncurrentDays", "NewerNoncurrentVersions", "StorageClass"])?;
    let newer_versions = element.optional("NewerNoncurrentVersions")?.map(Element::parsed).transpose()?;
    let days = element.required("NoncurrentDays")?.parsed()?;
    Ok(NoncurrentTransition { days, newer_versions, class: read_class(element)? })
}

fn read_class(element: &Element) -> Result<StorageClass, S3Error> {
    StorageClass::from_name(element.required_text("StorageClass")?.trim()).ok_or_else(malformed)
}

fn read_when(element: &Element) -> Result<Option<When>, S3Error> {
    match (element.optional("Days")?, element.optional_text("Date")?) {
        (Some(days), None) => Ok(Some(When::Days(days.parsed()?))),
        (None, Some(date)) => read_date(date.trim()).map(|date| Some(When::Date(date))).ok_or_else(malformed),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(malformed()),
    }
}

/// `2030-01-01T00:00:00Z`, with or without a fraction; a day alone means its midnight.
fn read_date(text: &str) -> Option<UnixMillis> {
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let date = OffsetDateTime::parse(&whole, &Rfc3339).ok()?;
    u64::try_from(date.unix_timestamp_nanos() / 1_000_000).ok().map(UnixMillis)
}

fn write_rule(xml: &mut Xml, rule: &Rule) {
    xml.open("Rule");
    xml.element("ID", &rule.id);
    match &rule.scope {
        Scope::Prefix(prefix) => xml.element("Prefix", prefix),
        Scope::Filter(filter) => write_filter(xml, filter),
    }
    xml.element("Status", if rule.enabled { "Enabled" } else { "Disabled" });
    for transition in &rule.transitions {
        xml.open("Transition");
        write_when(xml, transition.when);
        xml.element("StorageClass", transition.class.name());
        xml.close("Transition");
    }
    if let Some(expiration) = rule.expiration {
        xml.open("Expiration");
        match expiration {
            Expiration::At(when) => write_when(xml, when),
            Expiration::ExpiredObjectDeleteMarker(flag) => xml.plain("ExpiredObjectDeleteMarker", flag),
        }
        xml.close("Expiration");
    }
    for transition in &rule.noncurrent_transitions {
        xml.open("NoncurrentVersionTransition");
        write_noncurrent(xml, transition.days, transition.newer_versions);
        xml.element("StorageClass", transition.class.name());
        xml.close("NoncurrentVersionTransition");
    }
    if let Some(expiration) = rule.noncurrent_expiration {
        xml.open("NoncurrentVersionExpiration");
        write_noncurrent(xml, expiration.days, expiration.newer_versions);
        xml.close("NoncurrentVersionExpiration");
    }
    if let Some(days) = rule.abort_upload_days {
        xml.open("AbortIncompleteMultipartUpload");
        xml.plain("DaysAfterInitiation", days);
        xml.close("AbortIncompleteMultipartUpload");
    }
    xml.close("Rule");
}

fn write_filter(xml: &mut Xml, filter: &Filter) {
    xml.open("Filter");
    if let Some(beside) = &filter.beside {
        write_conditions(xml, beside);
    }
    if filter.and {
        xml.open("And");
    }
    write_conditions(xml, filter);
    if filter.and {
        xml.close("And");
    }
    xml.close("Filter");
}

fn write_conditions(xml: &mut Xml, filter: &Filter) {
    if let Some(prefix) = &filter.prefix {
        xml.element("Prefix", prefix);
    }
    filter.tags.iter().for_each(|tag| write_tag(xml, tag));
    if let Some(bytes) = filter.size_greater_than {
        xml.plain("ObjectSizeGreaterThan", bytes);
    }
    if let Some(bytes) = filter.size_less_than {
        xml.plain("ObjectSizeLessThan", bytes);
    }
}

fn write_when(xml: &mut Xml, when: When) {
    match when {
        When::Days(days) => xml.plain("Days", days),
        When::Date(date) => xml.time("Date", date),
    }
}

fn write_noncurrent(xml: &mut Xml, days: i32, newer_versions: Option<i32>) {
    if let Some(versions) = newer_versions {
        xml.plain("NewerNoncurrentVersions", versions);
    }
    xml.plain("NoncurrentDays", days);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rules: &str) -> Result<StoredLifecycle, S3Error> {
        let text = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
        StoredLifecycle::parse_request(text.as_bytes(), TransitionMinimumSize::default(), Calendar::REAL, || {
            "made".to_owned()
        })
    }

    fn rule(inner: &str) -> String {
        format!("<Rule><Filter/><Status>Enabled</Status>{inner}</Rule>")
    }

    #[test]
    fn round_trip() {
        let all = "<Rule><ID>all</ID><Filter><And><Prefix>a&amp;/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>\
                   <ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And>\
                   </Filter><Status>Enabled</Status><Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass>\
                   </Transition><Expiration><Days>90</Days></Expiration><NoncurrentVersionTransition>\
                   <NewerNoncurrentVersions>3</NewerNoncurrentVersions><NoncurrentDays>1</NoncurrentDays>\
                   <StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition><NoncurrentVersionExpiration>\
                   <NoncurrentDays>2</NoncurrentDays></NoncurrentVersionExpiration></Rule>";
        let dated = "<Rule><ID>date</ID><Filter><Prefix></Prefix></Filter><Status>Disabled</Status>\
                     <Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration><AbortIncompleteMultipartUpload>\
                     <DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>";
        let read = parse(&format!("{all}{dated}")).unwrap();
        assert_eq!(StoredLifecycle::parse(&read.to_xml()).unwrap(), read);
        let shown = String::from_utf8(read.to_response_xml().into_bytes().to_vec()).unwrap();
        assert!(shown.contains(all) && shown.contains(dated), "{shown}");
        assert!(!shown.contains(MINIMUM_SIZE));
    }

    #[test]
    fn conditions_stand_beside_each_other_and_beside_and() {
        let days = "<Expiration><Days>1</Days></Expiration>";
        let tag = |key: &str| format!("<Tag><Key>{key}</Key><Value>v</Value></Tag>");
        let beside = format!("<Prefix>a/</Prefix>{}", tag("k"));
        for (inside, tags, covered) in [
            (beside.clone(), vec!["k"], true),
            (beside.clone(), vec!["l"], false),
            (format!("{beside}<And><Prefix>a</Prefix>{}</And>", tag("l")), vec!["k", "l"], true),
            (format!("{beside}<And><Prefix>a</Prefix>{}</And>", tag("l")), vec!["k"], false),
        ] {
            let filter = format!("<Filter>{inside}</Filter>");
            let read = parse(&rule(days).replace("<Filter/>", &filter)).unwrap();
            let shown = String::from_utf8(read.to_response_xml().into_bytes().to_vec()).unwrap();
            assert!(shown.contains(&filter), "{shown}");
            assert_eq!(StoredLifecycle::parse(&read.to_xml()).unwrap(), read);
            let tag = |key: &str| granary_protocol::object::Tag { key: key.to_owned(), value: "v".to_owned() };
            let tags: Vec<_> = tags.into_iter().map(tag).collect();
            assert_eq!(read.0.rules[0].scope.covers("a/b", 1, &tags), covered, "{filter}");
        }
    }

    #[test]
    fn ids_are_made_and_dates_read() {
        let old = "<Rule><Prefix>p</Prefix><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>";
        let read = parse(old).unwrap();
        assert_eq!((read.0.rules[0].id.as_str(), &read.0.rules[0].scope), ("made", &Scope::Prefix("p".to_owned())));
        for text in ["2017-09-27", "2017-09-27T00:00:00Z", "2017-09-27T00:00:00.000Z", "2017-09-27T00:00:00+00:00"] {
            assert_eq!(read_date(text), Some(UnixMillis(1_506_470_400_000)), "{text}");
        }
        for text in ["20170927", "soon", "1960-01-01", ""] {
            assert_eq!(read_date(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        use S3ErrorCode::*;
        let days = "<Expiration><Days>1</Days></Expiration>";
        for (rules, code) in [
            (String::new(), MalformedXML),
            (rule(""), InvalidRequest),
            (rule("<Expiration/>"), MalformedXML),
            (rule("<Expiration><Days>1</Days><Date>2030-01-01</Date></Expiration>"), MalformedXML),
            (rule("<Expiration><Days>soon</Days></Expiration>"), MalformedXML),
            (rule("<Expiration><Days>99999999999</Days></Expiration>"), MalformedXML),
            (rule("<Expiration><Days>0</Days></Expiration>"), InvalidArgument),
            (rule("<Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>"), InvalidArgument),
            (rule("<Transition><Days>1</Days><StorageClass>COLD</StorageClass></Transition>"), MalformedXML),
            (rule("<Transition><Days>1</Days></Transition>"), MalformedXML),
            (rule(&format!("{days}{days}")), MalformedXML),
            (rule(&format!("{days}<Other/>")), MalformedXML),
            (rule(days).replace("Enabled", "enabled"), MalformedXML),
            (rule(days).replace("<Filter/>", ""), MalformedXML),
            (rule(days).replace("<Filter/>", "<Filter/><Prefix/>"), MalformedXML),
            (rule(days).replace("<Filter/>", "<Filter><And/><Prefix/></Filter>"), MalformedXML),
            (rule(days).replace("<Filter/>", "<Filter><Prefix/><Prefix/></Filter>"), MalformedXML),
            (rule(days).replace("<Filter/>", "<Filter><Tag><Key/><Value/></Tag></Filter>"), InvalidTag),
        ] {
            assert_eq!(parse(&rules).unwrap_err().code(), code, "{rules}");
        }
    }
}

//! `NotificationConfiguration`: which events go where.
//!
//! Checked here is what the document alone can tell; whether a destination exists is known where events are delivered.
//! Source: "Amazon S3 Event Notifications", user guide.

use super::Document;
use crate::error::{S3Error, S3ErrorCode};
use crate::ops::Element;
use crate::ops::xml_reader::malformed;
use crate::ops::xml_writer::Xml;
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;
use std::collections::BTreeSet;

/// AWS's limit.
const TARGETS_MAX: usize = 100;
const ELEMENTS_MAX: usize = TARGETS_MAX * 48;
const ID_CHARACTERS_MAX: usize = 255;
const FILTER_VALUE_BYTES_MAX: usize = 1024;

/// Events AWS sends, and the groups it names with `*`.
const EVENTS: [&str; 30] = [
    "s3:ReducedRedundancyLostObject",
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Post",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationNotTracked",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationReplicatedAfterThreshold",
    "s3:LifecycleTransition",
    "s3:IntelligentTiering",
    "s3:ObjectAcl:Put",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Put",
    "s3:ObjectTagging:Delete",
    "s3:ObjectAnnotation:*",
    "s3:ObjectAnnotation:Put",
    "s3:ObjectAnnotation:Delete",
];

/// Where the events of a bucket go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NotificationConfiguration {
    /// In the order they were given.
    pub targets: Vec<EventTarget>,
    /// Whether everything also goes to the event bus.
    pub event_bridge: bool,
}

/// A destination and the events it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventTarget {
    /// The kind of destination.
    pub kind: EventTargetKind,
    /// Unique in its configuration; shown in every event.
    pub id: String,
    /// The destination.
    pub arn: String,
    /// Names of events or of groups of them.
    pub events: Vec<String>,
    /// What keys begin with.
    pub prefix: Option<String>,
    /// What keys end with.
    pub suffix: Option<String>,
}

/// The element a destination is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventTargetKind {
    /// `TopicConfiguration`
    Topic,
    /// `QueueConfiguration`
    Queue,
    /// `CloudFunctionConfiguration`
    Function,
}

impl EventTargetKind {
    const ALL: [Self; 3] = [Self::Topic, Self::Queue, Self::Function];

    /// The element, and the one inside it that holds the ARN.
    fn tags(self) -> (&'static str, &'static str) {
        match self {
            Self::Topic => ("TopicConfiguration", "Topic"),
            Self::Queue => ("QueueConfiguration", "Queue"),
            Self::Function => ("CloudFunctionConfiguration", "CloudFunction"),
        }
    }
}

impl EventTarget {
    /// Whether it gets an event (`s3:ObjectCreated:Put`) about a key.
    pub fn wants(&self, event: &str, key: &str) -> bool {
        let names = |wanted: &String| match wanted.strip_suffix('*') {
            Some(group) => event.starts_with(group),
            None => event == wanted,
        };
        key.starts_with(self.prefix.as_deref().unwrap_or_default())
            && key.ends_with(self.suffix.as_deref().unwrap_or_default())
            && self.events.iter().any(names)
    }
}

impl NotificationConfiguration {
    /// Reads a request. Targets without an id get what `new_id` makes.
    ///
    /// # Errors
    /// `MalformedXML`, `InvalidArgument`.
    pub fn parse_request(text: &[u8], mut new_id: impl FnMut() -> String) -> Result<Self, S3Error> {
        let mut configuration = Self::parse(text)?;
        for target in configuration.targets.iter_mut().filter(|target| target.id.is_empty()) {
            target.id = new_id();
        }
        configuration.check()?;
        Ok(configuration)
    }

    fn check(&self) -> Result<(), S3Error> {
        if self.targets.len() > TARGETS_MAX {
            return Err(invalid("The number of notification configurations must not exceed 100"));
        }
        self.targets.iter().try_for_each(check_target)?;
        let ids: BTreeSet<&str> = self.targets.iter().map(|target| target.id.as_str()).collect();
        if ids.len() != self.targets.len() {
            return Err(invalid("Same ID used for multiple configurations. IDs must be unique"));
        }
        for (at, target) in self.targets.iter().enumerate() {
            if self.targets[..at].iter().any(|other| overlap(target, other)) {
                return Err(invalid(
                    "Configurations overlap. Configurations on the same bucket cannot share a common event type.",
                ));
            }
        }
        Ok(())
    }
}

fn check_target(target: &EventTarget) -> Result<(), S3Error> {
    if target.id.chars().count() > ID_CHARACTERS_MAX {
        return Err(invalid("The ID of a notification configuration must not exceed 255 characters"));
    }
    if let Some(event) = target.events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
        return Err(S3Error::invalid_argument("A specified event is not supported for notifications.", "Event", event));
    }
    let mut parts = target.arn.splitn(6, ':');
    let is_arn = parts.next() == Some("arn") && parts.clone().count() == 5 && parts.all(|part| part.len() < 1024);
    if !is_arn {
        return Err(S3Error::invalid_argument("The ARN is not well formed", target.kind.tags().1, &target.arn));
    }
    let too_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > FILTER_VALUE_BYTES_MAX);
    match too_long(&target.prefix) || too_long(&target.suffix) {
        true => Err(invalid("The value of a filter rule must not exceed 1024 characters")),
        false => Ok(()),
    }
}

/// Whether some event about some key would go to both.
fn overlap(one: &EventTarget, other: &EventTarget) -> bool {
    let group = |event: &str| event.strip_suffix('*').map(str::to_owned);
    let same_event = |a: &String, b: &String| match (group(a), group(b)) {
        (Some(a), _) => b.starts_with(&a),
        (None, Some(b)) => a.starts_with(&b),
        (None, None) => a == b,
    };
    let (prefix, suffix) = (text(&one.prefix), text(&one.suffix));
    let (other_prefix, other_suffix) = (text(&other.prefix), text(&other.suffix));
    one.events.iter().any(|a| other.events.iter().any(|b| same_event(a, b)))
        && (prefix.starts_with(other_prefix) || other_prefix.starts_with(prefix))
        && (suffix.ends_with(other_suffix) || other_suffix.ends_with(suffix))
}

fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

fn invalid(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidArgument, message)
}

impl Document for NotificationConfiguration {
    const KIND: BucketDocument = BucketDocument::Notification;

    fn parse(text: &[u8]) -> Result<Self, S3Error> {
        let root = Element::parse(text, "NotificationConfiguration", ELEMENTS_MAX)?;
        root.only(&[
            "TopicConfiguration",
            "QueueConfiguration",
            "CloudFunctionConfiguration",
            "EventBridgeConfiguration",
        ])?;
        let mut targets = Vec::new();
        for child in root.children() {
            if let Some(kind) = EventTargetKind::ALL.into_iter().find(|kind| kind.tags().0 == child.name()) {
                targets.push(read_target(child, kind)?);
            }
        }
        Ok(Self { targets, event_bridge: root.optional("EventBridgeConfiguration")?.is_some() })
    }

    fn to_xml(&self) -> Bytes {
        let mut xml = Xml::document("NotificationConfiguration", self.targets.len() * 384);
        for target in &self.targets {
            let (outer, inner) = target.kind.tags();
            xml.open(outer);
            xml.element("Id", &target.id);
            xml.element(inner, &target.arn);
            target.events.iter().for_each(|event| xml.element("Event", event));
            write_filter(&mut xml, target);
            xml.close(outer);
        }
        if self.event_bridge {
            xml.element("EventBridgeConfiguration", "");
        }
        xml.into_bytes()
    }
}

fn read_target(element: &Element, kind: EventTargetKind) -> Result<EventTarget, S3Error> {
    let (_, arn) = kind.tags();
    element.only(&["Id", arn, "Event", "Filter"])?;
    let events: Vec<String> =
        element.all("Event").map(|event| event.text().map(|text| text.trim().to_owned())).collect::<Result<_, _>>()?;
    if events.is_empty() {
        return Err(malformed());
    }
    let (prefix, suffix) = match element.optional("Filter")? {
        None => (None, None),
        Some(filter) => read_filter(filter)?,
    };
    Ok(EventTarget {
        kind,
        id: element.optional_text("Id")?.unwrap_or_default(),
        arn: element.required_text(arn)?.trim().to_owned(),
        events,
        prefix,
        suffix,
    })
}

fn read_filter(filter: &Element) -> Result<(Option<String>, Option<String>), S3Error> {
    let (mut prefix, mut suffix) = (None, None);
    let Some(key) = filter.only(&["S3Key"])?.optional("S3Key")? else { return Ok((None, None)) };
    for rule in key.only(&["FilterRule"])?.children() {
        rule.only(&["Name", "Value"])?;
        let value = Some(rule.required_text("Value")?);
        let (slot, twice) = match rule.required_text("Name")?.trim().to_ascii_lowercase().as_str() {
            "prefix" => (&mut prefix, "Cannot specify more than one prefix rule in a filter."),
            "suffix" => (&mut suffix, "Cannot specify more than one suffix rule in a filter."),
            _ => return Err(invalid("filter rule name must be either prefix or suffix")),
        };
        if slot.is_some() {
            return Err(invalid(twice));
        }
        *slot = value;
    }
    Ok((prefix, suffix))
}

fn write_filter(xml: &mut Xml, target: &EventTarget) {
    let rules = [("Prefix", &target.prefix), ("Suffix", &target.suffix)];
    if rules.iter().all(|(_, value)| value.is_none()) {
        return;
    }
    xml.open("Filter");
    xml.open("S3Key");
    for (name, value) in rules {
        if let Some(value) = value {
            xml.open("FilterRule");
            xml.element("Name", name);
            xml.element("Value", value);
            xml.close("FilterRule");
        }
    }
    xml.close("S3Key");
    xml.close("Filter");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(inner: &str) -> Result<NotificationConfiguration, S3Error> {
        let text = format!("<NotificationConfiguration>{inner}</NotificationConfiguration>");
        NotificationConfiguration::parse_request(text.as_bytes(), || "made".to_owned())
    }

    fn queue(id: &str, events: &[&str], filter: &str) -> String {
        let events: String = events.iter().map(|event| format!("<Event>{event}</Event>")).collect();
        format!("<QueueConfiguration>{id}<Queue>arn:aws:sqs:::q</Queue>{events}{filter}</QueueConfiguration>")
    }

    fn filter(rules: &[(&str, &str)]) -> String {
        let rule = |(name, value): &(&str, &str)| {
            format!("<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>")
        };
        format!("<Filter><S3Key>{}</S3Key></Filter>", rules.iter().map(rule).collect::<String>())
    }

    const PUT: &str = "s3:ObjectCreated:Put";

    #[test]
    fn round_trip() {
        let first = queue("<Id>i</Id>", &["s3:ObjectCreated:*"], &filter(&[("prefix", "a/"), ("Suffix", ".jpg")]));
        let second = queue("", &["s3:ObjectRemoved:Delete", "s3:ObjectTagging:*"], "");
        let topic = "<TopicConfiguration><Topic>arn:aws:sns:us-east-1:000000000000:t</Topic>\
                     <Event>s3:ObjectRestore:Post</Event><Id>t</Id></TopicConfiguration>";
        let read = parse(&format!("{first}{second}{topic}<EventBridgeConfiguration/>")).unwrap();
        assert_eq!(NotificationConfiguration::parse(&read.to_xml()).unwrap(), read);
        assert_eq!((read.targets.len(), read.targets[1].id.as_str(), read.event_bridge), (3, "made", true));
        assert!(read.targets[0].wants(PUT, "a/b.jpg"));
        assert!(!read.targets[0].wants(PUT, "b.jpg"));
        assert!(!read.targets[0].wants("s3:ObjectRemoved:Delete", "a/b.jpg"));
        assert_eq!(parse("").unwrap(), NotificationConfiguration::default());
    }

    #[test]
    fn what_is_refused() {
        use S3ErrorCode::*;
        for (inner, code) in [
            (queue("", &[], ""), MalformedXML),
            (queue("", &["s3:ObjectEaten"], ""), InvalidArgument),
            (queue("", &[PUT], "").replace("arn:aws:sqs:::q", "q"), InvalidArgument),
            (queue("", &[PUT], &filter(&[("prefix", "a"), ("prefix", "b")])), InvalidArgument),
            (queue("", &[PUT], &filter(&[("middle", "a")])), InvalidArgument),
            (queue(&format!("<Id>{}</Id>", "i".repeat(256)), &[PUT], ""), InvalidArgument),
            (queue("<Id>a</Id>", &[PUT], "") + &queue("<Id>a</Id>", &["s3:ObjectAcl:Put"], ""), InvalidArgument),
            (queue("<Id>a</Id>", &[PUT], "") + &queue("<Id>b</Id>", &["s3:ObjectCreated:*"], ""), InvalidArgument),
            ("<Other/>".to_owned(), MalformedXML),
        ] {
            assert_eq!(parse(&inner).unwrap_err().code(), code, "{inner}");
        }
        let apart = queue("<Id>a</Id>", &[PUT], &filter(&[("prefix", "a")]))
            + &queue("<Id>b</Id>", &[PUT], &filter(&[("prefix", "b")]));
        assert_eq!(parse(&apart).unwrap().targets.len(), 2);
    }
}

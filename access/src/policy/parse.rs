//! Reading a policy. Everything that is not the language is refused.

use super::error::PolicyError;
use super::principal::parse_principals;
use super::{Effect, Listed, POLICY_BYTES_MAX, Policy, Statement};
use crate::condition::{Condition, Operator};
use crate::json::Json;
use crate::pattern::Pattern;

/// The most statements of a policy: more than fit in its bytes.
const STATEMENTS_MAX: usize = 1000;

/// What a policy is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PolicyKind {
    /// A resource: every statement says for whom.
    Resource,
    /// An identity or a session: no statement does.
    Identity,
}

impl Policy {
    /// Reads an identity or session policy.
    ///
    /// # Errors
    /// [`PolicyError`], whose text is for the author.
    pub fn parse_identity(document: &[u8]) -> Result<Policy, PolicyError> {
        let policy = parse(document, PolicyKind::Identity)?;
        policy.check_identity_elements()?;
        Ok(policy)
    }

    /// Actions are `*` or `service:name`, resources `*` or ARNs.
    fn check_identity_elements(&self) -> Result<(), PolicyError> {
        for statement in &self.statements {
            let is_action = |action: &Pattern| {
                action.text() == "*"
                    || action
                        .text()
                        .split_once(':')
                        .is_some_and(|(service, name)| !service.is_empty() && !name.is_empty())
            };
            if !statement.actions.items.iter().all(is_action) {
                return Err(PolicyError::InvalidAction);
            }
            let is_resource = |resource: &Pattern| resource.text() == "*" || resource.text().starts_with("arn:");
            if !statement.resources.items.iter().all(is_resource) {
                return Err(PolicyError::InvalidResource);
            }
        }
        Ok(())
    }
}

/// Reads a policy of a kind. What depends on a bucket is checked elsewhere.
pub(super) fn parse(document: &[u8], kind: PolicyKind) -> Result<Policy, PolicyError> {
    if document.len() > POLICY_BYTES_MAX {
        return Err(PolicyError::TooLarge);
    }
    if document.first() != Some(&b'{') {
        return Err(PolicyError::NotJson);
    }
    let Some(Json::Object(members)) = Json::parse(document) else { return Err(PolicyError::InvalidJson) };
    let (mut version, mut statements) = (None, None);
    for (name, value) in &members {
        match name.as_str() {
            "Version" => version = Some(value),
            "Id" => check_id(value, "Id")?,
            "Statement" => statements = Some(value),
            other => return Err(PolicyError::UnknownField(other.to_owned())),
        }
    }
    let variables = match version.map(|version| version.text()) {
        None | Some(Some("2008-10-17")) => false,
        Some(Some("2012-10-17")) => true,
        Some(_) => return Err(PolicyError::InvalidVersion),
    };
    let statements = statements.ok_or(PolicyError::MissingField("Statement"))?.one_or_more();
    if statements.is_empty() {
        return Err(PolicyError::EmptyStatement);
    }
    if statements.len() > STATEMENTS_MAX {
        return Err(PolicyError::TooLarge);
    }
    let mut sids = Vec::new();
    let mut parsed = Vec::with_capacity(statements.len());
    for statement in statements {
        let (sid, statement) = parse_statement(statement, kind, variables)?;
        if let Some(sid) = sid.filter(|sid| !sid.is_empty()) {
            if sids.contains(&sid) {
                return Err(PolicyError::DuplicateSid);
            }
            sids.push(sid);
        }
        parsed.push(statement);
    }
    Ok(Policy { statements: parsed })
}

fn check_id(value: &Json, name: &'static str) -> Result<(), PolicyError> {
    value.text().map(|_| ()).ok_or(PolicyError::InvalidId(name))
}

/// The elements of a statement, not yet read.
#[derive(Default)]
struct Elements<'j> {
    sid: Option<&'j Json>,
    effect: Option<&'j Json>,
    principal: Element<'j>,
    action: Element<'j>,
    resource: Element<'j>,
    condition: Option<&'j Json>,
}

/// An element or its negation.
#[derive(Default)]
struct Element<'j> {
    plain: Option<&'j Json>,
    negated: Option<&'j Json>,
}

impl<'j> Element<'j> {
    /// The value and whether it is the negation's. Exactly one of the two must be there.
    fn either(&self, name: &'static str) -> Result<(&'j Json, bool), PolicyError> {
        match (self.plain, self.negated) {
            (Some(value), None) => Ok((value, false)),
            (None, Some(value)) => Ok((value, true)),
            (Some(_), Some(_)) => Err(PolicyError::BothForms(name)),
            (None, None) => Err(PolicyError::MissingField(name)),
        }
    }

    fn is_present(&self) -> bool {
        self.plain.is_some() || self.negated.is_some()
    }
}

fn parse_statement(
    statement: &Json,
    kind: PolicyKind,
    variables: bool,
) -> Result<(Option<String>, Statement), PolicyError> {
    let Json::Object(members) = statement else { return Err(PolicyError::InvalidJson) };
    let mut found = Elements::default();
    for (name, value) in members {
        match name.as_str() {
            "Sid" => found.sid = Some(value),
            "Effect" => found.effect = Some(value),
            "Principal" => found.principal.plain = Some(value),
            "NotPrincipal" => found.principal.negated = Some(value),
            "Action" => found.action.plain = Some(value),
            "NotAction" => found.action.negated = Some(value),
            "Resource" => found.resource.plain = Some(value),
            "NotResource" => found.resource.negated = Some(value),
            "Condition" => found.condition = Some(value),
            other => return Err(PolicyError::UnknownField(other.to_owned())),
        }
    }
    if let Some(sid) = found.sid {
        check_id(sid, "Sid")?;
    }
    let sid = found.sid.and_then(Json::text).map(str::to_owned);
    let effect = parse_effect(found.effect)?;
    let principals = parse_principal_element(&found.principal, kind, effect)?;
    let actions = parse_patterns(&found.action, "Action", variables, PolicyError::InvalidAction)?;
    let resources = parse_patterns(&found.resource, "Resource", variables, PolicyError::InvalidResource)?;
    let conditions = found.condition.map_or(Ok(Vec::new()), |element| parse_conditions(element, variables))?;
    Ok((sid, Statement { effect, principals, actions, resources, conditions }))
}

fn parse_effect(element: Option<&Json>) -> Result<Effect, PolicyError> {
    match element.ok_or(PolicyError::MissingField("Effect"))?.scalar().as_deref() {
        Some("Allow") => Ok(Effect::Allow),
        Some("Deny") => Ok(Effect::Deny),
        other => Err(PolicyError::InvalidEffect(other.unwrap_or_default().to_owned())),
    }
}

fn parse_principal_element(
    element: &Element<'_>,
    kind: PolicyKind,
    effect: Effect,
) -> Result<Option<Listed<super::principal::Principal>>, PolicyError> {
    match kind {
        PolicyKind::Identity if element.is_present() => Err(PolicyError::UnexpectedPrincipal),
        PolicyKind::Identity => Ok(None),
        PolicyKind::Resource => {
            let (value, negated) = element.either("Principal")?;
            if negated && effect == Effect::Allow {
                return Err(PolicyError::AllowNotPrincipal);
            }
            Ok(Some(Listed { items: parse_principals(value)?, negated }))
        }
    }
}

fn parse_patterns(
    element: &Element<'_>,
    name: &'static str,
    variables: bool,
    invalid: PolicyError,
) -> Result<Listed<Pattern>, PolicyError> {
    let (value, negated) = element.either(name)?;
    let mut items = Vec::new();
    for item in value.one_or_more() {
        let text = item.text().filter(|text| !text.is_empty()).ok_or_else(|| invalid.clone())?;
        // Variables have no meaning in actions.
        let variables = variables && name == "Resource";
        items.push(Pattern::parse(text, variables).ok_or_else(|| invalid.clone())?);
    }
    if items.is_empty() {
        return Err(PolicyError::MissingField(name));
    }
    Ok(Listed { items, negated })
}

fn parse_conditions(element: &Json, variables: bool) -> Result<Vec<Condition>, PolicyError> {
    let Json::Object(operators) = element else { return Err(PolicyError::InvalidJson) };
    let mut conditions = Vec::new();
    for (name, keys) in operators {
        let operator = Operator::parse(name).ok_or_else(|| PolicyError::InvalidOperator(name.clone()))?;
        let Json::Object(keys) = keys else { return Err(PolicyError::InvalidJson) };
        for (key, values) in keys {
            let mut patterns = Vec::new();
            for value in values.one_or_more() {
                let text = value.scalar().ok_or(PolicyError::InvalidConditionValue)?;
                patterns.push(Pattern::parse(&text, variables).ok_or(PolicyError::InvalidConditionValue)?);
            }
            if key.is_empty() || patterns.is_empty() {
                return Err(PolicyError::InvalidConditionKey);
            }
            let condition = Condition::new(operator, key, patterns).ok_or(PolicyError::InvalidConditionValue)?;
            conditions.push(condition);
        }
    }
    Ok(conditions)
}

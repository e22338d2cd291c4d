//! Why a policy is not accepted, in AWS's words. All of them are `MalformedPolicy` of S3.

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not JSON.
    #[error("Policies must be valid JSON and the first byte must be '{{'")]
    NotJson,
    /// JSON, but with a name twice, or ending early.
    #[error("This policy contains invalid Json")]
    InvalidJson,
    /// Longer than a policy may be.
    #[error("Policy exceeds the maximum allowed document size.")]
    TooLarge,
    /// An element the language does not have.
    #[error("Unknown field {0}")]
    UnknownField(String),
    /// `Version` is neither of the two there are.
    #[error("The policy must contain a valid version string")]
    InvalidVersion,
    /// An element is missing.
    #[error("Missing required field {0}")]
    MissingField(&'static str),
    /// No statement.
    #[error("Could not parse the policy: Statement is empty!")]
    EmptyStatement,
    /// `Id` or `Sid` is not text, or has characters it may not have.
    #[error("Policy has invalid {0}")]
    InvalidId(&'static str),
    /// Two statements of one `Sid`.
    #[error("Statement IDs (SID) in a single policy must be unique.")]
    DuplicateSid,
    /// Neither `Allow` nor `Deny`.
    #[error("Invalid effect: {0}")]
    InvalidEffect(String),
    /// Not a principal.
    #[error("Invalid principal in policy")]
    InvalidPrincipal,
    /// `Allow` for everybody but somebody.
    #[error("Allow with NotPrincipal is not allowed.")]
    AllowNotPrincipal,
    /// A principal in an identity policy.
    #[error("Policy document should not specify a principal.")]
    UnexpectedPrincipal,
    /// Not an action.
    #[error("Policy has invalid action")]
    InvalidAction,
    /// Not a resource, or none of the bucket's.
    #[error("Policy has invalid resource")]
    InvalidResource,
    /// An action that no resource of its statement can be the object of.
    #[error("Action does not apply to any resource(s) in statement")]
    ActionWithoutResource,
    /// Not an operator.
    #[error("Invalid Condition type : {0}")]
    InvalidOperator(String),
    /// Not a condition key.
    #[error("Policy has an invalid condition key")]
    InvalidConditionKey,
    /// A value that its operator cannot compare.
    #[error("Policy has an invalid condition value")]
    InvalidConditionValue,
    /// A condition key that no action of its statement knows.
    #[error("Conditions do not apply to combination of actions and resources in statement")]
    ConditionWithoutAction,
    /// Both an element and its negation.
    #[error("Statement contains both {0} and Not{0}")]
    BothForms(&'static str),
}

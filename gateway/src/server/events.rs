//! What an operation did becomes messages in the queue, before its client hears of the success.
//!
//! A success whose messages cannot be queued is answered as a failure: the client tries again, and the receiver learns
//! twice of what it would otherwise not learn of at all.

use super::bucket_settings::BucketSettings;
use super::refusal::Refusal;
use super::request::S3Response;
use super::request_facts::RequestFacts;
use super::state::GatewayState;
use crate::documents::NotificationConfiguration;
use crate::notifications::{MessageContext, ObjectEvents, message_of, test_message};
use granary_protocol::event::{EVENT_BATCH_MAX, NewEvent};

/// Takes from the response what its operation announced, and queues the messages the bucket wants.
///
/// # Errors
/// What the namenode answers, and an unreadable notification document.
pub(super) async fn queue_events(
    state: &GatewayState,
    settings: Option<&BucketSettings>,
    facts: &RequestFacts,
    response: &mut S3Response,
) -> Result<(), Refusal> {
    let Some(events) = response.extensions_mut().remove::<ObjectEvents>() else { return Ok(()) };
    let Some(settings) = settings.filter(|_| !state.targets.is_empty()) else { return Ok(()) };
    let configuration = settings.notification()?;
    if configuration.is_none() && events.tested.is_empty() {
        return Ok(());
    }
    let remote_ip = facts.remote_ip.map(|address| address.to_string()).unwrap_or_default();
    let principal = facts.principal();
    let context = MessageContext {
        region: &state.config.region,
        bucket: settings.info.name.as_str(),
        bucket_owner: settings.info.owner.as_str(),
        principal: &principal,
        source_ip: &remote_ip,
        request_id: facts.request_id.as_str(),
        host_id: state.request_ids.host_id().to_str().unwrap_or_default(),
        now: state.now(),
    };
    let messages = messages(state, configuration, &context, &events);
    for batch in messages.chunks(EVENT_BATCH_MAX as usize) {
        state.client.append_events(batch.to_vec()).await?;
    }
    if !messages.is_empty() {
        state.events_queued.notify_one();
    }
    Ok(())
}

fn messages(
    state: &GatewayState,
    configuration: Option<&NotificationConfiguration>,
    context: &MessageContext<'_>,
    events: &ObjectEvents,
) -> Vec<NewEvent> {
    // A target the operator has taken away gets nothing, like a queue that was deleted.
    let is_known = |arn: &str| state.targets.find(arn).is_some();
    let test = |arn: &String| NewEvent { target: arn.clone(), body: test_message(context) };
    let mut messages: Vec<NewEvent> = events.tested.iter().filter(|arn| is_known(arn)).map(test).collect();
    let targets = configuration.map(|configuration| configuration.targets.as_slice()).unwrap_or_default();
    for event in &events.happened {
        let wanting =
            targets.iter().filter(|target| target.wants(event.kind.name(), &event.key) && is_known(&target.arn));
        messages.extend(
            wanting.map(|target| NewEvent { target: target.arn.clone(), body: message_of(context, event, &target.id) }),
        );
    }
    messages
}

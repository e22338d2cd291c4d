//! What an operation did becomes messages in the queue, before its client hears of the success.
//!
//! What was committed is never answered as a failure because its messages found no place: they wait here, and are queued
//! before the next change of a bucket that announces changes, or by the worker. While any wait, such a change is refused
//! before it is made. So messages are lost only with a process that ends while the queue takes none.

use super::bucket_settings::BucketSettings;
use super::operation::Operation;
use super::refusal::Refusal;
use super::request::S3Response;
use super::request_facts::RequestFacts;
use super::state::GatewayState;
use crate::documents::NotificationConfiguration;
use crate::notifications::{MessageContext, ObjectEvents, message_of, test_message};
use granary_protocol::Failure;
use granary_protocol::event::{EVENT_BATCH_MAX, NewEvent};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the worker tries to queue what waits.
const RETRY: Duration = Duration::from_secs(1);
/// How long the last attempt may take when the gateway stops.
const LAST_ATTEMPT: Duration = Duration::from_secs(5);

/// Messages that the queue did not take. As many as the requests then in flight had.
#[derive(Default)]
pub(super) struct WaitingEvents(Mutex<Vec<NewEvent>>);

impl WaitingEvents {
    fn take(&self) -> Vec<NewEvent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts messages before those that came since.
    fn put_back(&self, mut events: Vec<NewEvent>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.append(&mut waiting);
        *waiting = events;
    }
}

/// Queues what waits, so that what the operation is about to do can be told, too.
///
/// # Errors
/// What the namenode answers, and an unreadable notification document.
pub(super) async fn make_room_for_events(
    state: &GatewayState,
    operation: Operation,
    settings: Option<&BucketSettings>,
) -> Result<(), Refusal> {
    let Some(settings) = settings.filter(|_| !state.targets.is_empty() && operation.changes_object()) else {
        return Ok(());
    };
    match settings.notification()? {
        Some(_) => Ok(queue_waiting(state).await?),
        None => Ok(()),
    }
}

/// Takes from the response what its operation announced, and queues the messages the bucket wants.
pub(super) async fn queue_events(
    state: &GatewayState,
    settings: Option<&BucketSettings>,
    facts: &RequestFacts,
    response: &mut S3Response,
) {
    let Some(events) = response.extensions_mut().remove::<ObjectEvents>() else { return };
    let Some(settings) = settings.filter(|_| !state.targets.is_empty()) else { return };
    // One that cannot be read was reported, and refused before anything was changed.
    let configuration = settings.notification().ok().flatten();
    if configuration.is_none() && events.tested.is_empty() {
        return;
    }
    let remote_ip = facts.remote_ip().map(|address| address.to_string()).unwrap_or_default();
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
    if messages.is_empty() {
        return;
    }
    if let Err(failure) = append(state, messages).await {
        tracing::warn!(%failure, bucket = %settings.info.name, "events wait: the queue takes none");
    }
}

/// Tries again, now and then, until `served`, and once more then.
pub(super) async fn run(state: Arc<GatewayState>, served: CancellationToken) {
    while !served.is_cancelled() {
        tokio::select! {
            () = served.cancelled() => {}
            () = tokio::time::sleep(RETRY) => {
                if let Err(failure) = queue_waiting(&state).await {
                    tracing::debug!(%failure, "events wait: the queue takes none");
                }
            }
        }
    }
    if !matches!(tokio::time::timeout(LAST_ATTEMPT, queue_waiting(&state)).await, Ok(Ok(()))) {
        tracing::warn!("events were lost at the end: the queue took none");
    }
}

async fn queue_waiting(state: &GatewayState) -> Result<(), Failure> {
    let waiting = state.events_waiting.take();
    if waiting.is_empty() { Ok(()) } else { append(state, waiting).await }
}

/// Queues messages. What is not taken waits.
async fn append(state: &GatewayState, mut messages: Vec<NewEvent>) -> Result<(), Failure> {
    while !messages.is_empty() {
        let batch = messages.len().min(EVENT_BATCH_MAX as usize);
        if let Err(failure) = state.client.append_events(messages[..batch].to_vec()).await {
            state.events_waiting.put_back(messages);
            return Err(failure);
        }
        messages.drain(..batch);
    }
    state.events_queued.notify_one();
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

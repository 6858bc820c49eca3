//! Actions that services of the cloud carry out: messages in Zaqar's queues, Heat's healing of stacks.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{
    Delivery, DeliveryFailure, MessageQueues, QueueAccess, QueueMessage, StackHealer, UnhealthyMembers,
};
use nephometer_model::Secret;
use serde_json::{Value, json};

use super::{Address, Notifier, Parcel, Told};
use crate::definition::ActionScheme;

/// How long a subscription holds unless the address says otherwise; seconds.
const SUBSCRIPTION_SECONDS: i64 = 3600;

/// Carries out `zaqar` and `trust+zaqar`.
///
/// `zaqar://?topic=T&subscriber=S&ttl=N` puts the message into the queue `<alarm id>-<T>` of the service's project and
/// subscribes each `subscriber`; with a `queue_name` and a signature it goes to that queue of the signer. With a trust it
/// goes to the owner's queue `queue_name`.
pub struct ZaqarNotifier {
    queues: Arc<dyn MessageQueues>,
}

impl ZaqarNotifier {
    /// The schemes that it carries out.
    pub const SCHEMES: [ActionScheme; 2] = [ActionScheme::Zaqar, ActionScheme::TrustZaqar];

    /// Puts messages into `queues`.
    pub fn new(queues: Arc<dyn MessageQueues>) -> Self {
        Self { queues }
    }
}

#[async_trait]
impl Notifier for ZaqarNotifier {
    async fn deliver(&self, address: &Address, parcel: &Parcel) -> Result<(), DeliveryFailure> {
        for delivery in parcel.deliveries() {
            self.queues.post(queue_message(address, delivery)?).await?;
        }
        Ok(())
    }
}

fn queue_message(address: &Address, delivery: &Delivery) -> Result<QueueMessage, DeliveryFailure> {
    let missing = |name: &str| DeliveryFailure::Final(format!("the action has no parameter `{name}`"));
    let body: Value = serde_json::from_str(&delivery.message.payload)
        .map_err(|error| DeliveryFailure::Final(format!("the message cannot be read: {error}")))?;
    let first = |name: &str| address.values(name).into_iter().next();
    let (queue, access) = if let Some(trust_id) = &address.trust_id {
        (
            address.last("queue_name").ok_or_else(|| missing("queue_name"))?,
            QueueAccess::Trust(trust_id.clone()),
        )
    } else if let Some(queue) = first("queue_name") {
        (queue, pre_signed(first))
    } else {
        let topic = address.last("topic").ok_or_else(|| missing("topic"))?;
        (format!("{}-{topic}", delivery.message.alarm_id), QueueAccess::Service)
    };
    let by_trust = address.trust_id.is_some();
    let subscribers = if by_trust { Vec::new() } else { address.values("subscriber") };
    let ttl_seconds = match address.last("ttl").filter(|_| !by_trust) {
        None => SUBSCRIPTION_SECONDS,
        Some(text) => text
            .trim()
            .parse()
            .map_err(|_| DeliveryFailure::Final("the action's `ttl` is no whole number".to_owned()))?,
    };
    let (id, body) = (delivery.message.id, json!({ "body": body }));
    Ok(QueueMessage { id, queue, access, body, subscribers, ttl_seconds })
}

fn pre_signed(first: impl Fn(&str) -> Option<String>) -> QueueAccess {
    let text = |name: &str| first(name).unwrap_or_default();
    let list = |name: &str| text(name).split(',').map(str::to_owned).collect();
    QueueAccess::PreSigned {
        project_id: text("project_id"),
        paths: list("paths"),
        methods: list("methods"),
        expires: text("expires"),
        signature: Secret::new(text("signature")),
    }
}

/// Carries out `trust+heat`: has the members replaced that an alarm on a load balancer found unhealthy.
pub struct HeatNotifier {
    stacks: Arc<dyn StackHealer>,
}

impl HeatNotifier {
    /// The schemes that it carries out.
    pub const SCHEMES: [ActionScheme; 1] = [ActionScheme::TrustHeat];

    /// Heals `stacks`.
    pub fn new(stacks: Arc<dyn StackHealer>) -> Self {
        Self { stacks }
    }

    async fn heal(&self, address: &Address, delivery: &Delivery) -> Result<(), DeliveryFailure> {
        let data = Told::of(delivery)?.reason_data;
        let text = |name: &str| data[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let (Some(stack_id), Some(group_id)) = (text("stack_id"), text("asg_id")) else {
            let text = "the alarm names no stack_id and asg_id, which healing needs";
            return Err(DeliveryFailure::Final(text.to_owned()));
        };
        let members = data["unhealthy_members"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ids = members.iter().filter_map(|member| member["id"].as_str().map(str::to_owned));
        let trust_id = address.trust_id.clone().unwrap_or_default();
        let members = UnhealthyMembers { trust_id, stack_id, group_id, member_ids: ids.collect() };
        let alarm = &delivery.message.alarm_id;
        match self.stacks.heal(members).await? {
            0 => tracing::warn!(%alarm, "no unhealthy resource was found for the alarm"),
            count => {
                tracing::info!(%alarm, count, "unhealthy members were marked and their stack is updated")
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Notifier for HeatNotifier {
    async fn deliver(&self, address: &Address, parcel: &Parcel) -> Result<(), DeliveryFailure> {
        for delivery in parcel.deliveries() {
            self.heal(address, delivery).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nephometer_drivers::NewDelivery;
    use nephometer_model::{AlarmId, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn message(action: &str) -> Result<QueueMessage, DeliveryFailure> {
        let message = NewDelivery {
            id: Uuid::from_u128(1),
            alarm_id: AlarmId("a".to_owned()),
            project_id: None,
            action: action.to_owned(),
            payload: r#"{"alarm_id": "a"}"#.to_owned(),
            not_before: Timestamp::default(),
            group: None,
        };
        let delivery = Delivery { message, created_at: Timestamp::default(), attempts: 0, last_error: None };
        queue_message(&Address::parse(action)?, &delivery)
    }

    #[test]
    fn queues_by_every_right() {
        let own = message("zaqar://?topic=t&subscriber=http://a/%3Fb&subscriber=mailto:c@d").unwrap();
        assert_eq!((own.queue.as_str(), own.access), ("a-t", QueueAccess::Service));
        assert_eq!((own.subscribers.len(), own.ttl_seconds), (2, 3600));
        assert_eq!(own.body, json!({"body": {"alarm_id": "a"}}));
        let trusted = message("trust+zaqar://tr:delete@?queue_name=q&subscriber=x").unwrap();
        assert_eq!((trusted.queue.as_str(), trusted.access), ("q", QueueAccess::Trust("tr".to_owned())));
        assert!(trusted.subscribers.is_empty());
        let signed =
            "zaqar://?queue_name=q&project_id=p&paths=/a,/b&methods=GET,POST&expires=2030&signature=s&ttl=9";
        let signed = message(signed).unwrap();
        let QueueAccess::PreSigned { project_id, paths, methods, expires, signature } = signed.access else {
            panic!("not signed");
        };
        assert_eq!((project_id.as_str(), expires.as_str(), signature.expose()), ("p", "2030", "s"));
        assert_eq!(
            (paths, methods, signed.ttl_seconds),
            (vec!["/a".to_owned(), "/b".to_owned()], vec!["GET".to_owned(), "POST".to_owned()], 9)
        );
        for (action, missing) in [
            ("zaqar://?subscriber=x", "topic"),
            ("trust+zaqar://tr@?topic=x", "queue_name"),
            ("zaqar://?topic=t&ttl=x", "ttl"),
        ] {
            assert!(message(action).unwrap_err().to_string().contains(missing));
        }
    }
}

//! What a webhook is sent: upstream's body, or, where its action asks for groups, all that a group says.

use nephometer_drivers::{Delivery, DeliveryFailure};
use nephometer_model::python;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::notify::Parcel;

/// Groups are named after their messages by this.
const NAMESPACE: Uuid = Uuid::from_u128(0x6e65_7068_6f6d_5465_8472_6772_6f75_7073);

/// A request's body, and its name: the same as long as the body is.
pub(super) struct Content {
    pub(super) id: Uuid,
    pub(super) body: String,
}

impl Content {
    /// Of a parcel.
    pub(super) fn of(parcel: &Parcel) -> Result<Self, DeliveryFailure> {
        let first = &parcel.first().message;
        let Some(group) = &first.group else {
            return Ok(Self { id: first.id, body: first.payload.clone() });
        };
        let agreed = serde_json::from_str(&group.key).unwrap_or(Value::Null);
        let deliveries = parcel.deliveries();
        let notifications = deliveries.iter().map(notification).collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<u8> = deliveries.iter().flat_map(|one| one.message.id.into_bytes()).collect();
        Ok(Self {
            id: Uuid::new_v5(&NAMESPACE, &ids),
            body: python::dumps(&json!({ "group": agreed, "notifications": notifications })),
        })
    }
}

/// A message of a group: its id, and what it would say by itself.
fn notification(delivery: &Delivery) -> Result<Map<String, Value>, DeliveryFailure> {
    let told: Map<String, Value> = serde_json::from_str(&delivery.message.payload)
        .map_err(|error| DeliveryFailure::Final(format!("the message cannot be read: {error}")))?;
    let mut notification = Map::with_capacity(told.len() + 1);
    notification.insert("notification_id".to_owned(), delivery.message.id.to_string().into());
    notification.extend(told);
    Ok(notification)
}

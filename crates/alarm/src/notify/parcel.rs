//! What goes to a target as one: a message as a rule, several where their action asks for groups.

use std::collections::BTreeMap;

use nephometer_drivers::Delivery;

/// Most messages that go as one; more where one alarm alone has more.
const MOST_MESSAGES: usize = 100;
/// Most bytes that they say; more where one alarm alone says more.
const MOST_BYTES: usize = 1 << 20;

/// Messages to one target, oldest first; never none. Several only where they are a group: of one project, to one action,
/// and equal in what groups are made by.
#[derive(Debug, Clone)]
pub struct Parcel(Vec<Delivery>);

impl Parcel {
    /// One message.
    pub fn one(delivery: Delivery) -> Self {
        Self(vec![delivery])
    }

    /// The oldest message. Where it goes and what it is grouped by, it has in common with the others.
    pub fn first(&self) -> &Delivery {
        &self.0[0]
    }

    /// All messages.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.0
    }

    /// How many messages.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    /// Puts messages that were taken together into parcels. Those of one alarm in a group are not torn apart: the outbox
    /// holds them together.
    pub(crate) fn pack(taken: Vec<Delivery>) -> Vec<Self> {
        let mut parcels = Vec::new();
        // By group, then by alarm, with the places at which they came.
        let mut groups: BTreeMap<_, BTreeMap<_, Vec<(usize, Delivery)>>> = BTreeMap::new();
        for (place, delivery) in taken.into_iter().enumerate() {
            let message = &delivery.message;
            let Some(group) = &message.group else {
                parcels.push(Self::one(delivery));
                continue;
            };
            let name = (message.project_id.clone(), message.action.clone(), group.key.clone());
            let alarm = message.alarm_id.clone();
            groups.entry(name).or_default().entry(alarm).or_default().push((place, delivery));
        }
        parcels.extend(groups.into_values().flat_map(|alarms| fill(alarms.into_values())));
        parcels
    }
}

/// Fills one parcel after the other with messages of alarms, and puts each into the order in which they came.
fn fill(alarms: impl Iterator<Item = Vec<(usize, Delivery)>>) -> Vec<Parcel> {
    let mut parcels: Vec<Vec<(usize, Delivery)>> = Vec::new();
    let (mut messages, mut bytes) = (0, 0);
    for alarm in alarms {
        let own_bytes: usize = alarm.iter().map(|(_, delivery)| delivery.message.payload.len()).sum();
        messages += alarm.len();
        bytes += own_bytes;
        match parcels.last_mut() {
            Some(parcel) if messages <= MOST_MESSAGES && bytes <= MOST_BYTES => parcel.extend(alarm),
            _ => {
                (messages, bytes) = (alarm.len(), own_bytes);
                parcels.push(alarm);
            }
        }
    }
    let in_order = |mut parcel: Vec<(usize, Delivery)>| {
        parcel.sort_by_key(|(place, _)| *place);
        Parcel(parcel.into_iter().map(|(_, delivery)| delivery).collect())
    };
    parcels.into_iter().map(in_order).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nephometer_drivers::{DeliveryGroup, NewDelivery};
    use nephometer_model::{AlarmId, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn delivery(number: u128, alarm: u128, key: Option<&str>, bytes: usize) -> Delivery {
        let group = key.map(|key| DeliveryGroup { key: key.to_owned(), wait: Duration::ZERO });
        let message = NewDelivery {
            id: Uuid::from_u128(number),
            alarm_id: AlarmId(format!("{alarm:04}")),
            project_id: None,
            action: "http://h".to_owned(),
            payload: "x".repeat(bytes),
            not_before: Timestamp::default(),
            group,
        };
        Delivery { message, created_at: Timestamp::default(), attempts: 0, last_error: None }
    }

    fn packed(taken: Vec<Delivery>) -> Vec<Vec<u128>> {
        let numbers = |parcel: &Parcel| {
            parcel.deliveries().iter().map(|delivery| delivery.message.id.as_u128()).collect::<Vec<_>>()
        };
        let mut parcels: Vec<_> = Parcel::pack(taken).iter().map(numbers).collect();
        parcels.sort();
        parcels
    }

    #[test]
    fn groups_are_parcels_in_the_order_of_their_messages() {
        let taken = vec![
            delivery(1, 9, Some("g"), 1),
            delivery(2, 2, None, 1),
            delivery(3, 3, Some("h"), 1),
            delivery(4, 4, Some("g"), 1),
            delivery(5, 9, Some("g"), 1),
            delivery(6, 6, None, 1),
        ];
        assert_eq!(packed(taken), [vec![1, 4, 5], vec![2], vec![3], vec![6]]);
    }

    #[test]
    fn parcels_have_an_end_but_do_not_tear_alarms_apart() {
        let many = (1..=250).map(|number| delivery(number, number, Some("g"), 1)).collect();
        assert_eq!(packed(many).iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        let of_one = (1..=120).map(|number| delivery(number, 1, Some("g"), 1)).collect();
        assert_eq!(packed(of_one).len(), 1);
        let large = (1..=3).map(|number| delivery(number, number, Some("g"), MOST_BYTES / 2)).collect();
        assert_eq!(packed(large), [vec![1, 2], vec![3]]);
    }
}

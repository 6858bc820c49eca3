//! Health of the members of a load balancer's pool.

use nephometer_drivers::PoolMembersError;
use nephometer_model::time::{NS_PER_SECOND, parse_timestamp};
use nephometer_model::{AlarmState, LoadBalancerRule, Timestamp, python};
use serde_json::{Value, json};

use super::{Decision, Verdict, movement};

/// From which age on members count.
#[derive(Debug, Clone, Copy)]
pub struct MemberAge {
    /// When it is asked.
    pub now: Timestamp,
    /// Younger members are still starting and are left out; seconds.
    pub grace_seconds: i64,
}

impl MemberAge {
    /// Whether a member is grown up; one whose time of creation cannot be read is not.
    fn counts(self, member: &Value) -> bool {
        let created = member["created_at"].as_str().and_then(|text| parse_timestamp(text, self.now).ok());
        created.is_some_and(|created| {
            self.now.ns().saturating_sub(created.ns()) >= self.grace_seconds.saturating_mul(NS_PER_SECOND)
        })
    }
}

/// What the members of a pool mean for an alarm that stands in `current`.
pub fn members(
    rule: &LoadBalancerRule,
    current: AlarmState,
    repeat: bool,
    age: MemberAge,
    members: &Result<Vec<Value>, PoolMembersError>,
) -> Decision {
    let unhealthy = |member: &&Value| {
        age.counts(member) && member["admin_state_up"] == true && member["operating_status"] == "ERROR"
    };
    let (state, sick, why) = match members {
        Ok(members) => {
            let sick: Vec<&Value> = members.iter().filter(unhealthy).collect();
            (if sick.is_empty() { AlarmState::Ok } else { AlarmState::Alarm }, sick, None)
        }
        Err(error) => {
            let why = match error {
                PoolMembersError::Unreachable(_) => "failed to communicate with load balancing service",
                PoolMembersError::Refused(content) => content,
            };
            (AlarmState::InsufficientData, Vec::new(), Some(why.to_owned()))
        }
    };
    let movement = movement(current, state);
    let last = sick.last().copied().cloned().unwrap_or_default();
    let reason = why.unwrap_or_else(|| match state == current {
        true => format!("{movement} {state}"),
        false => format!(
            "{movement} {state} due to {} members unhealthy, most recent: {}",
            sick.len(),
            python::repr(&last)
        ),
    });
    let reason_data = json!({
        "type": "loadbalancer_member_health", "count": sick.len(), "most_recent": last, "unhealthy_members": sick,
        "pool_id": rule.pool_id, "stack_id": rule.stack_id, "asg_id": rule.autoscaling_group_id,
    });
    Decision::uncounted(Verdict { state, reason, reason_data }, current, repeat)
}

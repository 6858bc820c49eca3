//! The alarm API's rules: upstream's names, both sets of default checks and routes, as data.

use super::catalogue::{Catalogue, DeprecatedRule, RuleDefault, Scope};

const ADMIN: &str = "rule:context_is_admin";
const ADMIN_OR_OWNER: &str = "rule:context_is_admin or project_id:%(project_id)s";
const READER: &str = "rule:project_reader_or_admin";
const MEMBER: &str = "rule:project_member_or_admin";

/// What most rules said before they told readers from members.
const OLD_OWNER: &str = "rule:admin_or_owner";

/// The release that told them apart.
const SINCE: &str = "Wallaby";

/// The rules of the alarm API, which only tokens that are scoped to a project may ask for.
pub const ALARM_RULES: Catalogue = Catalogue {
    api: "alarm",
    rules: &[
        RuleDefault::base("context_is_admin", "role:admin"),
        RuleDefault::base("segregation", ADMIN),
        RuleDefault::base("admin_or_owner", ADMIN_OR_OWNER),
        RuleDefault::base("default", ADMIN_OR_OWNER),
        RuleDefault::base("project_reader", "role:reader and project_id:%(project_id)s"),
        RuleDefault::base("project_member", "role:member and project_id:%(project_id)s"),
        RuleDefault::base("project_reader_or_admin", "rule:project_reader or rule:context_is_admin"),
        RuleDefault::base("project_member_or_admin", "rule:project_member or rule:context_is_admin"),
        changed("telemetry:get_alarm", READER, OLD_OWNER, &[("GET", "/v2/alarms/{alarm_id}")]),
        changed("telemetry:get_alarms", READER, OLD_OWNER, &[("GET", "/v2/alarms")]),
        rule("telemetry:get_alarms:all_projects", ADMIN, &[("GET", "/v2/alarms")]),
        changed("telemetry:query_alarm", READER, OLD_OWNER, &[("POST", "/v2/query/alarms")]),
        changed("telemetry:create_alarm", MEMBER, "", &[("POST", "/v2/alarms")]),
        changed("telemetry:change_alarm", MEMBER, OLD_OWNER, &[("PUT", "/v2/alarms/{alarm_id}")]),
        changed("telemetry:delete_alarm", MEMBER, OLD_OWNER, &[("DELETE", "/v2/alarms/{alarm_id}")]),
        changed("telemetry:get_alarm_state", READER, OLD_OWNER, &[("GET", "/v2/alarms/{alarm_id}/state")]),
        changed("telemetry:change_alarm_state", MEMBER, OLD_OWNER, &[("PUT", "/v2/alarms/{alarm_id}/state")]),
        changed("telemetry:alarm_history", READER, OLD_OWNER, &[("GET", "/v2/alarms/{alarm_id}/history")]),
        changed("telemetry:query_alarm_history", READER, OLD_OWNER, &[("POST", "/v2/query/alarms/history")]),
        changed("telemetry:get_quotas", READER, OLD_OWNER, &[("GET", "/v2/quotas")]),
        rule("telemetry:update_quotas", ADMIN, &[("POST", "/v2/quotas")]),
        rule("telemetry:delete_quotas", ADMIN, &[("DELETE", "/v2/quotas/{project_id}")]),
        rule("telemetry:get_metrics", READER, &[("GET", "/v2/metrics")]),
        rule("telemetry:get_metrics:all_projects", ADMIN, &[("GET", "/v2/metrics")]),
    ],
};

type Operations = &'static [(&'static str, &'static str)];

const fn rule(name: &'static str, check: &'static str, operations: Operations) -> RuleDefault {
    RuleDefault { name, check, scopes: &[Scope::Project], operations, deprecated: None }
}

/// A rule that said `old` under the same name.
const fn changed(
    name: &'static str,
    check: &'static str,
    old: &'static str,
    operations: Operations,
) -> RuleDefault {
    let deprecated = DeprecatedRule { name, check: old, since: SINCE };
    RuleDefault { deprecated: Some(deprecated), ..rule(name, check, operations) }
}

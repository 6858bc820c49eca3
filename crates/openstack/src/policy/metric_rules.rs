//! The metric API's rules: upstream's names, default checks and routes, as data.

use super::catalogue::{Catalogue, RuleDefault, Scope};

const ADMIN: &str = "role:admin";
const ADMIN_OR_SERVICE: &str = "rule:admin_or_service";
const ADMIN_OR_CREATOR: &str = "rule:admin_or_creator";
const EVERYBODY: &str = "";
const SEEN_BY_RESOURCE_OWNER: &str = "rule:admin_or_creator or rule:resource_owner";
const SEARCHED_BY_RESOURCE_OWNER: &str = "rule:admin_or_service or rule:creator or rule:resource_owner";
const SEEN_BY_METRIC_OWNER: &str = "rule:admin_or_service or rule:creator or rule:metric_owner";
const LISTED_FOR_METRIC_OWNER: &str = "rule:admin_or_creator or rule:metric_owner";
const WRITTEN_BY_CREATOR: &str = "rule:admin_or_service or rule:creator";

/// The rules of the metric API, which tokens of every scope may ask for.
pub const METRIC_RULES: Catalogue = Catalogue {
    api: "metric",
    rules: &[
        RuleDefault::base("context_is_admin", "role:admin"),
        RuleDefault::base(
            "admin_or_creator",
            "role:admin or user:%(creator)s or project_id:%(created_by_project_id)s",
        ),
        RuleDefault::base("admin_or_service", "role:admin or role:service"),
        RuleDefault::base("creator", "user:%(creator)s or project_id:%(created_by_project_id)s"),
        RuleDefault::base("resource_owner", "project_id:%(project_id)s"),
        RuleDefault::base("metric_owner", "project_id:%(resource.project_id)s"),
        rule("get status", ADMIN, &[("GET", "/v1/status")]),
        rule("create resource", EVERYBODY, &[("POST", "/v1/resource/{resource_type}")]),
        rule(
            "get resource",
            SEEN_BY_RESOURCE_OWNER,
            &[("GET", "/v1/resource/{resource_type}/{resource_id}")],
        ),
        rule(
            "update resource",
            WRITTEN_BY_CREATOR,
            &[("PATCH", "/v1/resource/{resource_type}/{resource_id}")],
        ),
        rule(
            "delete resource",
            ADMIN_OR_CREATOR,
            &[("DELETE", "/v1/resource/{resource_type}/{resource_id}")],
        ),
        rule("delete resources", ADMIN_OR_CREATOR, &[("DELETE", "/v1/resource/{resource_type}")]),
        rule("list resource", SEEN_BY_RESOURCE_OWNER, &[("GET", "/v1/resource/{resource_type}")]),
        rule(
            "search resource",
            SEARCHED_BY_RESOURCE_OWNER,
            &[("POST", "/v1/search/resources/{resource_type}")],
        ),
        rule("create resource type", ADMIN_OR_SERVICE, &[("POST", "/v1/resource_type")]),
        rule("get resource type", EVERYBODY, &[("GET", "/v1/resource_type/{resource_type}")]),
        rule("update resource type", ADMIN_OR_SERVICE, &[("PATCH", "/v1/resource_type/{resource_type}")]),
        rule("delete resource type", ADMIN, &[("DELETE", "/v1/resource_type/{resource_type}")]),
        rule("list resource type", EVERYBODY, &[("GET", "/v1/resource_type")]),
        rule("create archive policy", ADMIN_OR_SERVICE, &[("POST", "/v1/archive_policy")]),
        rule("get archive policy", EVERYBODY, &[("GET", "/v1/archive_policy/{archive_policy}")]),
        rule("update archive policy", ADMIN, &[("PATCH", "/v1/archive_policy/{archive_policy}")]),
        rule("delete archive policy", ADMIN, &[("DELETE", "/v1/archive_policy/{archive_policy}")]),
        rule("list archive policy", EVERYBODY, &[("GET", "/v1/archive_policy")]),
        rule("create archive policy rule", ADMIN, &[("POST", "/v1/archive_policy_rule")]),
        rule(
            "get archive policy rule",
            EVERYBODY,
            &[("GET", "/v1/archive_policy_rule/{archive_policy_rule}")],
        ),
        rule(
            "update archive policy rule",
            ADMIN,
            &[("PATCH", "/v1/archive_policy_rule/{archive_policy_rule}")],
        ),
        rule(
            "delete archive policy rule",
            ADMIN,
            &[("DELETE", "/v1/archive_policy_rule/{archive_policy_rule}")],
        ),
        rule("list archive policy rule", EVERYBODY, &[("GET", "/v1/archive_policy_rule")]),
        rule("create metric", EVERYBODY, &[("POST", "/v1/metric")]),
        rule("get metric", SEEN_BY_METRIC_OWNER, &[("GET", "/v1/metric/{metric}")]),
        rule("delete metric", ADMIN_OR_CREATOR, &[("DELETE", "/v1/metric/{metric}")]),
        rule("list metric", LISTED_FOR_METRIC_OWNER, &[("GET", "/v1/metric")]),
        rule("search metric", LISTED_FOR_METRIC_OWNER, &[("POST", "/v1/search/metric")]),
        rule(
            "post measures",
            WRITTEN_BY_CREATOR,
            &[
                ("POST", "/v1/metric/{metric}/measures"),
                ("POST", "/v1/batch/metrics/measures"),
                ("POST", "/v1/batch/resources/metrics/measures"),
            ],
        ),
        rule("get measures", SEEN_BY_METRIC_OWNER, &[("GET", "/v1/metric/{metric}/measures")]),
    ],
};

const fn rule(
    name: &'static str,
    check: &'static str,
    operations: &'static [(&'static str, &'static str)],
) -> RuleDefault {
    RuleDefault { name, check, scopes: Scope::ALL, operations, deprecated: None }
}

//! Upstream's rule names and default checks, as data.

const ADMIN: &str = "role:admin";
const ADMIN_OR_SERVICE: &str = "rule:admin_or_service";
const ADMIN_OR_CREATOR: &str = "rule:admin_or_creator";
const EVERYBODY: &str = "";
const SEEN_BY_RESOURCE_OWNER: &str = "rule:admin_or_creator or rule:resource_owner";
const SEEN_BY_METRIC_OWNER: &str = "rule:admin_or_service or rule:creator or rule:metric_owner";
const LISTED_FOR_METRIC_OWNER: &str = "rule:admin_or_creator or rule:metric_owner";
const WRITTEN_BY_CREATOR: &str = "rule:admin_or_service or rule:creator";

/// Rules that other rules refer to, then the rules of the metric API: (name, check).
pub const DEFAULT_RULES: &[(&str, &str)] = &[
    ("context_is_admin", ADMIN),
    ("admin_or_creator", "role:admin or user:%(creator)s or project_id:%(created_by_project_id)s"),
    ("admin_or_service", "role:admin or role:service"),
    ("creator", "user:%(creator)s or project_id:%(created_by_project_id)s"),
    ("resource_owner", "project_id:%(project_id)s"),
    ("metric_owner", "project_id:%(resource.project_id)s"),
    ("get status", ADMIN),
    ("create resource", EVERYBODY),
    ("get resource", SEEN_BY_RESOURCE_OWNER),
    ("update resource", WRITTEN_BY_CREATOR),
    ("delete resource", ADMIN_OR_CREATOR),
    ("delete resources", ADMIN_OR_CREATOR),
    ("list resource", SEEN_BY_RESOURCE_OWNER),
    ("search resource", "rule:admin_or_service or rule:creator or rule:resource_owner"),
    ("create resource type", ADMIN_OR_SERVICE),
    ("get resource type", EVERYBODY),
    ("list resource type", EVERYBODY),
    ("update resource type", ADMIN_OR_SERVICE),
    ("delete resource type", ADMIN),
    ("create archive policy", ADMIN_OR_SERVICE),
    ("get archive policy", EVERYBODY),
    ("list archive policy", EVERYBODY),
    ("update archive policy", ADMIN),
    ("delete archive policy", ADMIN),
    ("create archive policy rule", ADMIN),
    ("get archive policy rule", EVERYBODY),
    ("list archive policy rule", EVERYBODY),
    ("update archive policy rule", ADMIN),
    ("delete archive policy rule", ADMIN),
    ("create metric", EVERYBODY),
    ("get metric", SEEN_BY_METRIC_OWNER),
    ("delete metric", ADMIN_OR_CREATOR),
    ("list metric", LISTED_FOR_METRIC_OWNER),
    ("search metric", LISTED_FOR_METRIC_OWNER),
    ("post measures", WRITTEN_BY_CREATOR),
    ("get measures", SEEN_BY_METRIC_OWNER),
];

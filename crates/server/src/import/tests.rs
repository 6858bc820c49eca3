//! The reader against oslo.config's rules, and whole files.

use proptest::prelude::*;

use super::ini::Ini;
use super::*;
use crate::config::{Config, Layers};

fn imported(text: &str) -> (String, Config) {
    let toml = gnocchi("/etc/gnocchi/gnocchi.conf", text).unwrap();
    let layers = Layers { file: Some(("x.toml".into(), toml.clone())), ..Layers::default() };
    let config = Config::load(layers).unwrap_or_else(|problems| panic!("{problems:?} in\n{toml}"));
    (toml, config)
}

#[test]
fn reads_as_oslo_config_does() {
    let text = "\
top = 1
[Storage]
# comment
; comment
file_basepath : \"/srv/a b\"
s3-bucket-prefix = x=y:z ; not a comment
list = a,
    b,
\tc

again = 1
again = 2
path = ${file_basepath}/x/$list_/${storage.driver}/$$/\\$/$top/${nosuch}/$-
[incoming]
file_basepath = ${storage.file_basepath}
";
    let ini = Ini::parse(text).unwrap();
    let get = |section, option| ini.get(section, option);
    assert_eq!(get("DEFAULT", "top").as_deref(), Some("1"));
    assert_eq!(get("storage", "file_basepath").as_deref(), Some("/srv/a b"));
    assert_eq!(get("storage", "s3_bucket_prefix").as_deref(), Some("x=y:z ; not a comment"));
    assert_eq!(get("storage", "list").as_deref(), Some("a,\nb,\nc"));
    assert_eq!(get("storage", "again").as_deref(), Some("2"));
    assert_eq!(ini.get_all("storage", "again"), ["1", "2"]);
    assert_eq!(get("storage", "path").as_deref(), Some("/srv/a b/x//file/$/$/1//$-"));
    assert_eq!(get("incoming", "file_basepath").as_deref(), Some("/srv/a b"));
    assert_eq!(get("incoming", "nosuch"), None);
}

#[test]
fn mistakes_have_a_line() {
    for (text, expected) in [
        ("[api\n", "line 1: a section lacks its closing bracket"),
        ("[]\n", "line 1: a section has no name"),
        ("\n  x = 1", "line 2: continues nothing"),
        ("x = 1\n\n  y", "line 3: continues nothing"),
        ("word", "line 1: neither a section nor option = value"),
        ("= 1", "line 1: an option has no name"),
    ] {
        assert_eq!(Ini::parse(text).unwrap_err().to_string(), expected, "{text:?}");
    }
    let endless = Ini::parse("a = ${b}\nb = ${a}x").unwrap();
    assert!(endless.get("DEFAULT", "a").is_some());
}

#[test]
fn a_usual_file_becomes_a_usable_configuration() {
    let text = "\
[DEFAULT]
debug = true
log_file = /var/log/gnocchi.log
[api]
host = 0.0.0.0
port = 8141
auth_mode = basic
max_limit = 500
enable_proxy_headers_parsing = yes
[indexer]
url = postgresql+psycopg2://gnocchi:hush@db/gnocchi
[storage]
driver = ceph
ceph_secret = hush
[metricd]
workers = 4
metric_inactive_after = 86400
resource_cleanup_after = 2592000
[statsd]
resource_id = 07f26121-5777-48ba-8a0b-d70468133dd9
host = ::1
flush_delay = 5
archive_policy_name = high
[archive_policy]
default_aggregation_methods = mean, max
[oslo_policy]
policy_file = policy.yaml
policy_dirs = policy.d
policy_dirs = /srv/policy
enforce_scope = false
[cors]
allowed_origin = http://a,http://b
[keystone_authtoken]
memcached_servers = hush
[made_up]
x = 1
";
    let (toml, config) = imported(text);
    assert_eq!(config.metric_api.listen, "0.0.0.0:8141");
    assert!(config.metric_api.allow_insecure_listen && config.metric_api.http.enable_proxy_headers_parsing);
    assert_eq!(config.metric_api.max_limit, 500);
    assert_eq!(config.metric_api.http.cors_allowed_origins, ["http://a", "http://b"]);
    assert_eq!((config.log.level.as_str(), config.index.url.expose()), ("debug", ""));
    assert_eq!((config.statsd.enabled, config.statsd.listen.as_str()), (true, "[::1]:8125"));
    assert_eq!(config.statsd.archive_policy_name, "high");
    assert_eq!(config.metric.default_aggregation_methods, ["mean", "max"]);
    assert_eq!(config.policy.file, "/etc/gnocchi/policy.yaml");
    assert_eq!(config.policy.dirs, ["/etc/gnocchi/policy.d", "/srv/policy"]);
    assert!(!config.policy.enforce_scope && config.policy.enforce_new_defaults);
    assert_eq!(config.expirer.resource_inactive_after_seconds, 86_400);
    assert_eq!(config.expirer.resource_cleanup_after_seconds, 2_592_000);
    for expected in [
        "#url = \"postgresql://gnocchi:(secret)@db/gnocchi\"",
        "password is not repeated here",
        "# [DEFAULT] log_file: logs go to",
        "# [storage] ceph_secret: measures are kept in",
        "# [metricd] workers: there is no backlog",
        "# [keystone_authtoken] memcached_servers: tokens are validated by Keystone itself",
        "# [made_up] x: Gnocchi 4.7 has no such option",
    ] {
        assert!(toml.contains(expected), "{expected} not in\n{toml}");
    }
    assert!(!toml.contains("hush"));
}

#[test]
fn an_empty_file_and_strange_values_work_too() {
    let (_, config) = imported("");
    assert!(!config.statsd.enabled);
    assert_eq!(config.metric_api, Config::default().metric_api);
    let (toml, config) = imported("[api]\nmax_limit = many\n[indexer]\nurl = mysql+pymysql://h/d");
    assert_eq!(config.metric_api.max_limit, 1000);
    assert!(
        toml.contains("max_limit = many: not understood") && toml.contains("mysql+pymysql is not supported")
    );
}

#[test]
fn an_import_never_opens_what_keystone_guarded() {
    let toml = gnocchi("x", "[api]\nhost = 0.0.0.0\nauth_mode = keystone").unwrap();
    let layers = Layers { file: Some(("x.toml".into(), toml)), ..Layers::default() };
    let problems = Config::load(layers).unwrap_err();
    assert!(problems[0].to_string().contains("keystone_authtoken.auth_url: is needed"), "{problems:?}");
}

#[test]
fn the_service_user_is_taken_over_without_its_secrets() {
    let toml = gnocchi(
        "x",
        "[api]\nhost = 0.0.0.0\nauth_mode = keystone\n[keystone_authtoken]\nauth_type = password\n\
         auth_url = http://keystone:5000\nusername = gnocchi\npassword = hunter2\ntoken = hunter2\n\
         application_credential_secret = hunter2\nproject_name = service\n\
         user_domain_name = Default\nproject_domain_name = Default\ntoken_cache_time = 60\ninsecure = yes\n\
         service_token_roles = service,trusted\nservice_token_roles_required = True\nhttp_connect_timeout = 5",
    );
    let toml = toml.unwrap();
    let file = "#password_file = \"/etc/nephometer/password\"";
    assert!(toml.contains(file) && !toml.contains("hunter2"), "{toml}");
    let load = |text: &str| {
        Config::load(Layers { file: Some(("x.toml".into(), text.to_owned())), ..Layers::default() })
    };
    let problems = load(&toml).unwrap_err();
    assert!(problems[0].to_string().contains("keystone_authtoken.password: is needed"), "{problems:?}");
    // What a person does next.
    let config = load(&toml.replace(file, &file[1..])).unwrap();
    let keystone = &config.keystone_authtoken;
    assert_eq!((config.metric_api.listen.as_str(), keystone.token_cache_time), ("0.0.0.0:8041", 60));
    assert_eq!(keystone.session.username, "gnocchi");
    assert!(keystone.session.insecure && !config.metric_api.allow_insecure_listen);
    assert_eq!(keystone.service_token_roles, ["service", "trusted"]);
}

#[test]
fn every_mapped_option_changes_the_outcome() {
    let (nothing, _) = imported("[statsd]\nresource_id = x");
    for (section, option) in options::mapped() {
        let value = match option {
            "debug" | "enable_proxy_headers_parsing" => "true",
            "verbose" => "false",
            "auth_mode" => "remoteuser",
            "url" => "postgresql://x/y",
            "host" => "127.0.0.2",
            "default_aggregation_methods" => "max",
            _ => "77",
        };
        let text = format!("[statsd]\nresource_id = x\n[{section}]\n{option} = {value}");
        let (toml, _) = imported(&text);
        assert_ne!(toml, nothing, "{section}.{option}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in "[\\[\\]a-z${}.=: \\t\\n#\\\\]{0,120}") {
        let _ = gnocchi("x", &text);
    }
}

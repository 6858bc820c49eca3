//! The reader against oslo.config's rules, and whole files.

use proptest::prelude::*;

use super::ini::Ini;
use super::*;
use crate::config::{Config, Layers};

const GNOCCHI: &str = "/etc/gnocchi/gnocchi.conf";
const AODH: &str = "/etc/aodh/aodh.conf";
const CEILOMETER: &str = "/etc/ceilometer/ceilometer.conf";
/// An agent whose exporter speaks TLS.
const EXPORTING: &str = "[polling]\nenable_prometheus_exporter = true\nprometheus_tls_enable = true\n\
                         prometheus_tls_certfile = a.pem\nprometheus_tls_keyfile = b.pem\n";

fn toml_of(files: &[(&str, &str)]) -> String {
    let files: Vec<_> = files.iter().map(|&(path, text)| File { path, text, program: None }).collect();
    import(&files).unwrap()
}

fn load(toml: &str) -> Result<Config, Vec<crate::config::Problem>> {
    Config::load(Layers { file: Some(("x.toml".into(), toml.to_owned())), ..Layers::default() })
}

fn imported(files: &[(&str, &str)]) -> (String, Config) {
    let toml = toml_of(files);
    let config = load(&toml).unwrap_or_else(|problems| panic!("{problems:?} in\n{toml}"));
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
    let default = |section: &str, option: &str| gnocchi::GNOCCHI.default_of(section, option);
    let get_all = |section, option| ini.get_all(section, option, default);
    let get = |section, option| get_all(section, option).pop();
    assert_eq!(get("DEFAULT", "top").as_deref(), Some("1"));
    assert_eq!(get("storage", "file_basepath").as_deref(), Some("/srv/a b"));
    assert_eq!(get("storage", "s3_bucket_prefix").as_deref(), Some("x=y:z ; not a comment"));
    assert_eq!(get("storage", "list").as_deref(), Some("a,\nb,\nc"));
    assert_eq!(get("storage", "again").as_deref(), Some("2"));
    assert_eq!(get_all("storage", "again"), ["1", "2"]);
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
    assert_eq!(endless.get_all("DEFAULT", "a", |_, _| None).len(), 1);
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
    let (toml, config) = imported(&[(GNOCCHI, text)]);
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
    let (_, config) = imported(&[(GNOCCHI, "")]);
    assert!(!config.statsd.enabled);
    assert_eq!(config.metric_api, Config::default().metric_api);
    let (toml, config) =
        imported(&[(GNOCCHI, "[api]\nmax_limit = many\n[indexer]\nurl = mysql+pymysql://h/d")]);
    assert_eq!(config.metric_api.max_limit, 1000);
    assert!(
        toml.contains("max_limit = many: not understood") && toml.contains("mysql+pymysql is not supported")
    );
}

#[test]
fn an_import_never_opens_what_keystone_guarded() {
    for (path, text) in [(GNOCCHI, "[api]\nhost = 0.0.0.0\nauth_mode = keystone"), (AODH, "")] {
        let problems = load(&toml_of(&[(path, text)])).unwrap_err();
        assert!(problems[0].to_string().contains("keystone_authtoken.auth_url: is needed"), "{problems:?}");
    }
}

#[test]
fn the_service_user_is_taken_over_without_its_secrets() {
    let toml = toml_of(&[(
        GNOCCHI,
        "[api]\nhost = 0.0.0.0\nauth_mode = keystone\n[keystone_authtoken]\nauth_type = password\n\
         auth_url = http://keystone:5000\nusername = gnocchi\npassword = hunter2\ntoken = hunter2\n\
         application_credential_secret = hunter2\nproject_name = service\n\
         user_domain_name = Default\nproject_domain_name = Default\ntoken_cache_time = 60\ninsecure = yes\n\
         service_token_roles = service,trusted\nservice_token_roles_required = True\nhttp_connect_timeout = 5",
    )]);
    let file = "#password_file = \"/etc/nephometer/password\"";
    assert!(toml.contains(file) && !toml.contains("hunter2"), "{toml}");
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

/// The options of a program that become something.
fn mapped(upstream: &'static Upstream) -> impl Iterator<Item = &'static upstream::Row> {
    upstream.rows().filter(|row| !matches!(row.fate, upstream::Fate::Gone(_)))
}

#[test]
fn every_mapped_option_changes_the_outcome() {
    for (path, before, upstream) in [
        (GNOCCHI, "[statsd]\nresource_id = x\n", &gnocchi::GNOCCHI),
        (AODH, "", &aodh::AODH),
        (CEILOMETER, EXPORTING, &ceilometer::CEILOMETER),
    ] {
        let nothing = toml_of(&[(path, before)]);
        for row in mapped(upstream) {
            let value = match row.option {
                "debug" | "ssl" => "true",
                "verbose" | "enable_notifications" => "false",
                "auth_mode" => "remoteuser",
                "url" | "connection" => "postgresql://x/y",
                "host" => "127.0.0.2",
                "driver" => "messagingv2",
                // They count where there is a driver.
                "topics" => "77\ndriver = messagingv2",
                "default_aggregation_methods" => "max",
                // It says where the others are.
                "auth_section" => "elsewhere\n[elsewhere]\nusername = u",
                _ => "77",
            };
            let text = format!("{before}[{}]\n{} = {value}", row.section, row.option);
            assert_ne!(toml_of(&[(path, &text)]), nothing, "{}.{}", row.section, row.option);
        }
    }
}

#[test]
fn every_key_that_a_table_names_is_ours_in_that_form() {
    for upstream in UPSTREAMS {
        for row in mapped(upstream) {
            let upstream::Fate::Key(section, key, form) = row.fate else { continue };
            let value = match form {
                upstream::Form::Text => "\"x\"",
                // The file that is to hold it.
                upstream::Form::Secret => continue,
                upstream::Form::Boolean => "true",
                upstream::Form::Integer | upstream::Form::Natural => "7",
                upstream::Form::Number => "7.0",
                upstream::Form::List => "[\"x\"]",
            };
            let wrong = load(&format!("[{section}]\n{key} = {value}\n")).err().unwrap_or_default();
            let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
            assert!(!wrong.iter().any(|problem| problem.contains("x.toml")), "{section}.{key}: {wrong:?}");
        }
    }
}

/// A `ceilometer.conf` as deployments have it.
const DEPLOYED_CEILOMETER: &str = "\
[DEFAULT]
pollsters_definitions_dirs = /etc/ceilometer/pollsters.d
pollsters_definitions_dirs = /srv/pollsters
transport_url = rabbit://openstack:hush@10.0.0.1:5672//
pipeline_cfg_file = pipeline.yaml
polling_namespaces = compute,ipmi
libvirt_type = qemu
[polling]
cfg_file = polling.yaml
batch_size = 100
identity_name_discovery = yes
enable_prometheus_exporter = true
prometheus_listen_addresses = 0.0.0.0:9101,[::1]:9101
[compute]
instance_discovery_method = naive
[coordination]
backend_url = redis://:hush@10.0.0.1:6379
[publisher]
telemetry_secret = hush
[rgw_admin_credentials]
access_key = key
secret_key = hush
[service_types]
cinder = block-storage
[service_credentials]
auth_type = password
auth_url = http://keystone:5000
username = ceilometer
password = hush
project_name = service
user_domain_name = Default
project_domain_name = Default
interface = internalURL
region_name = one
[oslo_messaging_notifications]
topics = telemetry,other
";

#[test]
fn a_deployed_ceilometer_polls_as_it_did() {
    let toml = toml_of(&[(CEILOMETER, DEPLOYED_CEILOMETER)]);
    assert!(!toml.contains("hush"), "{toml}");
    for told in ["[coordination] backend_url: agents divide", "#deliver_by = \"bus\"", "telemetry_secret"] {
        assert!(toml.contains(told), "{told} not in\n{toml}");
    }
    // What a person does next.
    let given = toml.replace("[service_credentials]\n", "[service_credentials]\npassword = \"hush\"\n");
    let config = load(&given).unwrap_or_else(|problems| panic!("{problems:?} in\n{toml}"));
    let polling = &config.polling;
    assert_eq!(polling.namespaces, ["compute", "ipmi"]);
    assert_eq!((polling.batch_size, polling.cfg_file.as_str()), (100, "/etc/ceilometer/polling.yaml"));
    assert_eq!(config.pipeline.cfg_file, "/etc/ceilometer/pipeline.yaml");
    assert!(
        polling.identity_name_discovery
            && polling.enable_prometheus_exporter
            && polling.allow_insecure_listen
    );
    assert_eq!(polling.prometheus_listen_addresses, ["0.0.0.0:9101", "[::1]:9101"]);
    assert_eq!(polling.pollsters_definitions_dirs, ["/etc/ceilometer/pollsters.d", "/srv/pollsters"]);
    assert_eq!(config.publisher.polling_topic, "telemetry");
    let credentials = &config.service_credentials.session;
    assert_eq!((credentials.interface.as_str(), credentials.region_name.as_str()), ("internal", "one"));
    assert_eq!(
        (config.service_types.cinder.as_str(), config.radosgw.access_key.as_str()),
        ("block-storage", "key")
    );
}

/// An `aodh.conf` as deployments have it.
const DEPLOYED_AODH: &str = "\
[DEFAULT]
debug = False
transport_url = rabbit://openstack:hush@10.0.0.1:5672,openstack:hush@10.0.0.2:5672//
control_exchange = alarms
evaluation_interval = 30
additional_ingestion_lag = 20
event_alarm_cache_ttl = 30
member_creation_time = 240
rest_notifier_certificate_file = /etc/aodh/client.pem
rest_notifier_ssl_verify = false
rest_notifier_max_retries = 3
enable_evaluation_results_metrics = true
record_history = true
[api]
paste_config = /etc/aodh/api-paste.ini
project_alarm_quota = 500
alarm_max_actions = 5
gnocchi_external_project_owner = services
[coordination]
backend_url = redis://:hush@10.0.0.1:6379
[database]
connection = mysql+pymysql://aodh:hush@10.0.0.1/aodh
max_retries = -1
alarm_history_time_to_live = 2592000
[evaluator]
workers = 4
[listener]
batch_size = 20
[keystone_authtoken]
auth_section = service_credentials
www_authenticate_uri = http://10.0.0.1:5000
memcached_servers = 10.0.0.1:11211
[service_credentials]
auth_type = password
auth_url = http://10.0.0.1:5000
username = aodh
password = hush
project_name = service
user_domain_id = default
project_domain_name = Default
region_name = RegionOne
interface = internalURL
[oslo_messaging_notifications]
driver = messagingv2
[oslo_messaging_rabbit]
heartbeat_timeout_threshold = 30
rabbit_quorum_queue = true
kombu_reconnect_delay = 1
[oslo_middleware]
enable_proxy_headers_parsing = True
[oslo_policy]
enforce_scope = false
policy_file = policy.yaml
[cors]
allowed_origin = https://dashboard
";

#[test]
fn a_usual_aodh_conf_becomes_a_usable_configuration() {
    let toml = toml_of(&[(AODH, DEPLOYED_AODH)]);
    assert!(!toml.contains("hush"), "{toml}");
    let file = "#password_file = \"/etc/nephometer/password\"";
    let config =
        load(&toml.replace(file, &file[1..])).unwrap_or_else(|problems| panic!("{problems:?} in\n{toml}"));
    let (alarm, keystone) = (&config.alarm, &config.keystone_authtoken.session);
    assert!(config.alarms_ask_keystone() && config.alarm_api.http.enable_proxy_headers_parsing);
    assert_eq!(config.alarm_api.http.cors_allowed_origins, ["https://dashboard"]);
    assert_eq!((alarm.evaluation_interval_seconds, alarm.additional_ingestion_lag_seconds), (30, 20));
    assert_eq!((alarm.member_creation_time_seconds, alarm.history_time_to_live_seconds), (240, 2_592_000));
    assert_eq!((alarm.project_alarm_quota, alarm.alarm_max_actions), (500, 5));
    assert_eq!(alarm.gnocchi_external_project_owner, "services");
    assert!(alarm.enable_evaluation_results_metrics && !config.alarm_notifier.ssl_verify);
    assert_eq!(config.alarm_notifier.certificate_file, "/etc/aodh/client.pem");
    assert_eq!(config.alarm_bus.event_exchanges, ["alarms", "ceilometer"]);
    assert_eq!((config.alarm_bus.control_exchange.as_str(), config.alarm_bus.batch_size), ("alarms", 20));
    assert_eq!(config.messaging.heartbeat_timeout_threshold_seconds, 30);
    assert!(config.messaging.rabbit_quorum_queue);
    assert_eq!((keystone.username.as_str(), keystone.auth_url.as_str()), ("aodh", "http://10.0.0.1:5000"));
    assert_eq!((keystone.region_name.as_str(), keystone.interface.as_str()), ("RegionOne", "internal"));
    assert_eq!(config.alarm_policy.file, "/etc/aodh/policy.yaml");
    assert!(!config.alarm_policy.enforce_scope);
    for expected in [
        "mysql+pymysql is not supported",
        "#transport_url = \"rabbit://…\"",
        "#enforce_new_defaults = false",
        "#listen = \"127.0.0.1:8042\"",
        "# [DEFAULT] event_alarm_cache_ttl: changes of event alarms count at once",
        "# [DEFAULT] rest_notifier_max_retries: a message is repeated until",
        "# [coordination] backend_url: evaluators share the alarms by leases",
        "# [evaluator] workers: one process uses all processors",
        "#change_topics = [\"notifications\"]",
        "# [oslo_messaging_rabbit] kombu_reconnect_delay: connections to the message bus",
        "# [keystone_authtoken] memcached_servers: tokens are validated by Keystone itself",
    ] {
        assert!(toml.contains(expected), "{expected} not in\n{toml}");
    }
    assert!(!toml.contains("[service_credentials] username"), "{toml}");
}

#[test]
fn several_files_become_one() {
    let gnocchi = "[api]\nauth_mode = keystone\n[keystone_authtoken]\nauth_url = http://k\nusername = gnocchi\n\
                   password = hush\nproject_name = service\ndefault_domain_id = default";
    let gnocchi_later = (GNOCCHI, "[api]\nmax_limit = 77\n[keystone_authtoken]\nproject_name = services");
    let toml = toml_of(&[(GNOCCHI, gnocchi), (AODH, DEPLOYED_AODH), gnocchi_later]);
    let file = "#password_file = \"/etc/nephometer/password\"";
    let config =
        load(&toml.replace(file, &file[1..])).unwrap_or_else(|problems| panic!("{problems:?} in\n{toml}"));
    assert_eq!(config.metric_api.max_limit, 77);
    assert_eq!(config.alarm.project_alarm_quota, 500);
    let keystone = &config.keystone_authtoken.session;
    assert_eq!((keystone.username.as_str(), keystone.project_name.as_str()), ("gnocchi", "services"));
    assert!(
        toml.contains("[keystone_authtoken] username says \"aodh\" for username, which is set already"),
        "{toml}"
    );
    assert_eq!(toml.matches(file).count(), 1);
}

#[test]
fn whose_a_file_is() {
    let whose =
        |path, text, program| import(&[File { path, text, program }]).map_err(|error| error.to_string());
    let is_aodh = |toml: Result<String, String>| toml.unwrap().contains("[alarm_api]");
    assert!(is_aodh(whose("/etc/aodh/config", "[evaluator]\nworkers = 1", None)));
    assert!(is_aodh(whose("x", "", Some("aodh"))));
    assert!(!is_aodh(whose("gnocchi-api.conf", "[evaluator]\nworkers = 1", None)));
    assert_eq!(
        whose("/srv/aodh/x", "", None).unwrap_err(),
        "/srv/aodh/x: it does not show whose file it is: say --from gnocchi or aodh or ceilometer"
    );
}

proptest! {
    #[test]
    fn never_panics(text in "[\\[\\]a-z${}.=: \\t\\n#\\\\]{0,120}") {
        for program in programs() {
            let _ = import(&[File { path: "x", text: &text, program: Some(program) }]);
        }
    }
}

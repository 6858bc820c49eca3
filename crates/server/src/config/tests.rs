//! Precedence, unknown keys, collected problems, the documented default file.

use toml::{Table, Value};

use super::layers::{default_table, leaf_keys};
use super::*;

fn layers(file: &str, env: &[(&str, &str)], flags: &[&str]) -> Layers {
    Layers {
        file: (!file.is_empty()).then(|| ("test.toml".into(), file.to_owned())),
        env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
    }
}

fn problems(file: &str, env: &[(&str, &str)], flags: &[&str]) -> Vec<String> {
    let problems = Config::load(layers(file, env, flags)).expect_err("has problems");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let file = "[metric_api]\nmax_limit = 1\nlisten = '127.0.0.1:1'\n[log]\nlevel = 'warn'";
    let env = [
        ("NEPHOMETER__METRIC_API__MAX_LIMIT", "2"),
        ("NEPHOMETER__METRIC_API__LISTEN", "[::1]:2"),
        ("HOME", "/"),
    ];
    let config = Config::load(layers(file, &env, &["metric_api.max_limit=3"])).unwrap();
    assert_eq!(config.metric_api.max_limit, 3);
    assert_eq!(config.metric_api.listen, "[::1]:2");
    assert_eq!(config.log.level, "warn");
    assert_eq!(config.admin, Config::default().admin);
}

#[test]
fn texts_are_typed_by_the_default() {
    let flags = [
        "metric_api.cors_allowed_origins=http://a, http://b",
        "statsd.flush_delay_seconds=3",
        "statsd.enabled=false",
        "metric.default_aggregation_methods=['mean', 'rate:95pct']",
        "storage.data_dir=/tmp/with=sign",
    ];
    let config = Config::load(layers("", &[], &flags)).unwrap();
    assert_eq!(config.metric_api.http.cors_allowed_origins, ["http://a", "http://b"]);
    assert!((config.statsd.flush_delay_seconds - 3.0).abs() < 1e-9);
    assert!(!config.statsd.enabled);
    assert_eq!(config.metric.default_aggregation_methods, ["mean", "rate:95pct"]);
    assert_eq!(config.storage.data_dir.to_str(), Some("/tmp/with=sign"));
}

#[test]
fn every_problem_is_reported_with_its_source() {
    let file = "[metric_api]\nmax_limt = 1\nauth_mode = 'magic'\n[nosuch]\nx = 1\n[admin]\nlisten = 3";
    let found = problems(file, &[("NEPHOMETER__STATSD__ENABLED", "perhaps")], &["data_dir=/x", "nothing"]);
    assert_eq!(found.len(), 7, "{found:#?}");
    let all = found.join("\n");
    for expected in [
        "--set nothing: expected section.key=value",
        "metric_api.max_limt (in test.toml): no such key; did you mean metric_api.max_limit?",
        "metric_api.auth_mode (in test.toml): unknown variant `magic`",
        "nosuch.x (in test.toml): no such key",
        "admin.listen (in test.toml): invalid type: integer `3`, expected a string",
        "statsd.enabled (from NEPHOMETER__STATSD__ENABLED): expected boolean, found `perhaps`",
        "data_dir (from --set): no such key; did you mean storage.data_dir?",
    ] {
        assert!(all.contains(expected), "{expected} not in\n{all}");
    }
    assert!(problems("[metric_api", &[], &[])[0].starts_with("test.toml:"));
    assert!(problems("metric_api = 3", &[], &[])[0].contains("is a section"));
}

#[test]
fn meaning_is_checked_after_merging() {
    let flags = [
        "metric_api.listen=0.0.0.0:8041",
        "statsd.listen=0.0.0.0:8125",
        "metric_api.max_limit=0",
        "metric_api.path_prefix=gnocchi/",
        "metric.default_aggregation_methods=mean,avg",
        "index.url=mysql://x",
        "admin.listen=here",
        "statsd.flush_delay_seconds=-1",
        "alarm_api.listen=0.0.0.0:8042",
        "alarm_api.max_body_bytes=0",
        "alarm.user_alarm_quota=-2",
        "alarm.evaluation_interval_seconds=0",
    ];
    let found = problems("", &[], &flags);
    assert_eq!(found.len(), 12, "{found:#?}");
    let exposed = problems("", &[], &["metric_api.auth_mode=remoteuser", "metric_api.listen=0.0.0.0:1"]);
    assert!(exposed[0].contains("believes the header"), "{exposed:?}");
    for safe in [
        ["metric_api.listen=0.0.0.0:1", "metric_api.allow_insecure_listen=true"],
        ["statsd.listen=0.0.0.0:1", "statsd.enabled=false"],
        ["metric_api.listen=[::ffff:127.0.0.1]:1", "admin.listen="],
        ["alarm_api.listen=0.0.0.0:1", "alarm_api.allow_insecure_listen=true"],
        ["alarm_api.listen=", "alarm_api.auth_mode=noauth"],
    ] {
        Config::load(layers("", &[], &safe)).unwrap();
    }
}

#[test]
fn certificates_of_all_clients_are_authentication() {
    let asking = ["admin.listen=0.0.0.0:1", "admin.tls_cert_file=a.pem", "admin.tls_client_ca_file=ca.pem"];
    Config::load(layers("", &[], &asking)).unwrap();
    for (undone, expected) in [
        ("admin.tls_client_certificates=optional", "admin.listen: it tells everybody"),
        ("admin.tls_client_ca_file=", "admin.listen: it tells everybody"),
        ("admin.tls_cert_file=", "admin.tls_client_ca_file: is of no use without admin.tls_cert_file"),
        ("admin.tls_min_version=1.1", "admin.tls_min_version (from --set): unknown variant `1.1`"),
    ] {
        let found = problems("", &[], &[asking[0], asking[1], asking[2], undone]).join("\n");
        assert!(found.contains(expected), "{expected} not in {found}");
    }
    let statsd =
        ["statsd.listen=0.0.0.0:1", "statsd.tls_cert_file=a.pem", "statsd.tls_client_ca_file=ca.pem"];
    assert_eq!(problems("", &[], &statsd).len(), 1, "datagrams prove nothing");
    Config::load(layers("", &[], &[statsd[0], statsd[1], statsd[2], "statsd.udp=false"])).unwrap();
}

#[test]
fn keystone_is_checked_where_it_is_used_and_may_be_reached_by_all() {
    let mode = "metric_api.auth_mode=keystone";
    let found = problems("", &[], &[mode]).join("\n");
    for missing in ["auth_url: is needed", "username: is needed", "password: is needed"] {
        assert!(found.contains(&format!("keystone_authtoken.{missing}")), "{found}");
    }
    let file = "[keystone_authtoken]\nauth_url = 'https://keystone:5000/v3'\nusername = 'nephometer'\n\
                user_domain_name = 'Default'\nproject_name = 'service'\nproject_domain_name = 'Default'\n\
                timeout = 5\ntoken_cache_time = 60";
    let env = [("NEPHOMETER__KEYSTONE_AUTHTOKEN__PASSWORD", "hunter2")];
    let config = Config::load(layers(file, &env, &[mode, "metric_api.listen=0.0.0.0:8041"])).unwrap();
    assert_eq!(config.keystone_authtoken.token_cache_time, 60);
    assert_eq!(config.keystone_authtoken.session.password.expose(), "hunter2");
    let shown = toml::to_string(&config).unwrap();
    assert!(shown.contains("(secret)") && !shown.contains("hunter2"), "{shown}");
    let unused = ["keystone_authtoken.auth_url=nonsense"];
    Config::load(layers("", &[], &unused)).unwrap();
    Config::load(layers(file, &env, &[mode, "alarm_api.listen=0.0.0.0:8042"])).unwrap();
    let alone = ["alarm_api.auth_mode=keystone"];
    assert!(problems("", &[], &alone).join("\n").contains("keystone_authtoken.auth_url"));
    let claimed = [mode, "alarm_api.auth_mode=noauth", "alarm_api.listen=0.0.0.0:8042"];
    assert!(problems(file, &env, &claimed).join("\n").contains("alarm_api.listen: auth_mode=noauth"));
}

#[test]
fn problems_repeat_no_secret() {
    let section = "[keystone_authtoken]\n";
    for wrong in
        ["password = [\"hunter2\"]", "password = \"hunter2", "password = hunter2", "passwort = 'hunter2'"]
    {
        let found = problems(&format!("{section}{wrong}"), &[], &[]).join("\n");
        assert!(!found.contains("hunter2"), "{found}");
    }
    assert!(problems("[log]\n\nlevel = ", &[], &[])[0].starts_with("test.toml: line 3: "));
}

#[test]
fn the_documented_file_is_the_defaults() {
    let documented: Table = DEFAULT_FILE.parse().unwrap();
    let defaults = default_table();
    assert_eq!(leaf_keys(&documented), leaf_keys(&defaults));
    assert_eq!(Value::Table(documented), Value::Table(defaults));
    let mut commented = false;
    for line in DEFAULT_FILE.lines() {
        let is_key = line.contains(" = ") && !line.starts_with('#');
        assert!(!is_key || commented, "no comment above: {line}");
        commented = line.starts_with('#');
    }
}

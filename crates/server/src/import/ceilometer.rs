//! `ceilometer.conf`.

use std::path::Path;

use super::common;
use super::document::Document;
use super::upstream::Fate::{Gone, Key, Mapped};
use super::upstream::Form::{Boolean, Integer, List, Natural, Number, Secret, Text};
use super::upstream::{Row, Source, Upstream, parse_bool, row};

const USER: &str = "service_credentials";
const NO_WORKERS: &str = "one process uses all processors";
const NO_COORDINATION: &str = "agents divide their work by leases in the index, where index.url is the same PostgreSQL for all (polling.divide_work)";
const NOTIFICATION: &str = "the notification agent is not part of this version";
const RGW: &str = "the gateway is found in the catalogue by service_types.radosgw";
const BUS: &str = "connections to the message bus are managed by the program";
const CACHE: &str = "names and attributes are remembered in this process";
const ROOTWRAP: &str = "ipmi.command says how ipmitool is called, with sudo before it where that is needed";

/// Ceilometer.
pub(super) const CEILOMETER: Upstream = Upstream {
    name: "ceilometer",
    release: "Ceilometer 27",
    tables: &[OWN, SERVICES, CREDENTIALS, common::LOGGING],
    special,
};

const OWN: &[Row] = &[
    row("DEFAULT", "host", "", Key("polling", "host", Text)),
    row(
        "DEFAULT",
        "max_parallel_requests",
        "64",
        Gone("service_credentials.calls_at_once bounds calls to each service"),
    ),
    row("DEFAULT", "sample_source", "openstack", Key("polling", "sample_source", Text)),
    row(
        "DEFAULT",
        "reserved_metadata_namespace",
        "metering.",
        Key("user_metadata", "reserved_metadata_namespace", List),
    ),
    row("DEFAULT", "reserved_metadata_keys", "", Key("user_metadata", "reserved_metadata_keys", List)),
    row(
        "DEFAULT",
        "reserved_metadata_length",
        "256",
        Key("user_metadata", "reserved_metadata_length", Natural),
    ),
    row("DEFAULT", "pipeline_cfg_file", "pipeline.yaml", Mapped),
    row("DEFAULT", "event_pipeline_cfg_file", "event_pipeline.yaml", Gone(NOTIFICATION)),
    row(
        "DEFAULT",
        "pollsters_definitions_dirs",
        "/etc/ceilometer/pollsters.d",
        Key("polling", "pollsters_definitions_dirs", List),
    ),
    row("DEFAULT", "polling_namespaces", "compute,central", Key("polling", "namespaces", List)),
    row("DEFAULT", "hypervisor_inspector", "libvirt", Gone("libvirt is the only one")),
    row("DEFAULT", "libvirt_type", "kvm", Mapped),
    row("DEFAULT", "libvirt_uri", "", Key("compute", "libvirt_uri", Text)),
    row("DEFAULT", "reseller_prefix", "AUTH_", Key("central", "reseller_prefix", Text)),
    row("DEFAULT", "rootwrap_config", "/etc/ceilometer/rootwrap.conf", Gone(ROOTWRAP)),
    row("DEFAULT", "transport_url", "rabbit://", Mapped),
    row("DEFAULT", "control_exchange", "ceilometer", Key("publisher", "control_exchange", Text)),
    row(
        "DEFAULT",
        "graceful_shutdown_timeout",
        "60",
        Gone("a cycle that runs when the agent stops has three seconds to end"),
    ),
    row("DEFAULT", "notification_workers", "1", Gone(NO_WORKERS)),
    row("polling", "cfg_file", "polling.yaml", Mapped),
    row("polling", "batch_size", "50", Key("polling", "batch_size", Natural)),
    row("polling", "partitioning_group_prefix", "", Key("polling", "partitioning_group_prefix", Text)),
    row("central", "partitioning_group_prefix", "", Key("polling", "partitioning_group_prefix", Text)),
    row("polling", "heartbeat_socket_dir", "", Key("polling", "heartbeat_socket_dir", Text)),
    row("polling", "identity_name_discovery", "false", Key("polling", "identity_name_discovery", Boolean)),
    row("polling", "tenant_name_discovery", "false", Key("polling", "identity_name_discovery", Boolean)),
    row("polling", "ignore_disabled_projects", "false", Key("central", "ignore_disabled_projects", Boolean)),
    row("polling", "enable_notifications", "true", Mapped),
    row(
        "polling",
        "enable_prometheus_exporter",
        "false",
        Key("polling", "enable_prometheus_exporter", Boolean),
    ),
    row("polling", "prometheus_listen_addresses", "127.0.0.1:9101", Mapped),
    row("polling", "prometheus_tls_enable", "false", Mapped),
    row("polling", "prometheus_tls_certfile", "", Mapped),
    row("polling", "prometheus_tls_keyfile", "", Mapped),
    row(
        "polling",
        "threads_to_process_pollsters",
        "1",
        Key("polling", "threads_to_process_pollsters", Natural),
    ),
    row("polling", "pollsters_definitions_dirs", "", Key("polling", "pollsters_definitions_dirs", List)),
    row("compute", "instance_discovery_method", "libvirt_metadata", Mapped),
    row(
        "compute",
        "resource_update_interval",
        "0",
        Key("compute", "resource_update_interval_seconds", Natural),
    ),
    row("compute", "resource_cache_expiry", "3600", Key("compute", "resource_cache_expiry_seconds", Natural)),
    row(
        "compute",
        "report_stopped_instance_metrics",
        "false",
        Key("compute", "report_stopped_instance_metrics", Boolean),
    ),
    row("compute", "fetch_extra_metadata", "false", Key("compute", "fetch_extra_metadata", Boolean)),
    row("coordination", "*", "", Gone(NO_COORDINATION)),
    row("event", "*", "", Gone(NOTIFICATION)),
    row("meter", "*", "", Gone(NOTIFICATION)),
    row("notification", "*", "", Gone(NOTIFICATION)),
    row("ipmi", "polling_retry", "3", Key("ipmi", "polling_retry", Integer)),
    row("ipmi", "node_manager_init_retry", "3", Key("ipmi", "node_manager_init_retry", Natural)),
    row(
        "publisher",
        "telemetry_secret",
        "change this for valid signing",
        Key("publisher", "telemetry_secret", Secret),
    ),
    row("publisher_notifier", "metering_topic", "metering", Key("publisher", "metering_topic", Text)),
    row("publisher_notifier", "event_topic", "event", Gone(NOTIFICATION)),
    row(
        "publisher_notifier",
        "telemetry_driver",
        "messagingv2",
        Gone("messages have the form of messagingv2"),
    ),
    row(
        "publisher_notifier",
        "metering_driver",
        "messagingv2",
        Gone("messages have the form of messagingv2"),
    ),
    row("rgw_admin_credentials", "access_key", "", Key("radosgw", "access_key", Text)),
    row("rgw_admin_credentials", "secret_key", "", Key("radosgw", "secret", Secret)),
    row("rgw_client", "implicit_tenants", "false", Key("radosgw", "implicit_tenants", Boolean)),
    row("rgw_client", "insecure", "true", Key("radosgw", "insecure", Boolean)),
    row("rgw_client", "cafile", "", Key("radosgw", "cafile", Text)),
    row("rgw_client", "rgw_service_name", "", Gone(RGW)),
    row("rgw_client", "*", "", Gone("TLS 1.2 and 1.3 are spoken")),
    row("gnocchi", "*", "", Gone("the user of [service_credentials] writes to Gnocchi")),
    row("zaqar", "*", "", Gone("the user of [service_credentials] writes to Zaqar")),
    row("cache", "*", "", Gone(CACHE)),
    row("oslo_messaging_notifications", "topics", "notifications", Mapped),
    row("oslo_messaging_notifications", "*", "", Gone(BUS)),
    row("oslo_messaging_rabbit", "ssl", "false", Key("messaging", "ssl", Boolean)),
    row("oslo_messaging_rabbit", "ssl_ca_file", "", Key("messaging", "ssl_ca_file", Text)),
    row("oslo_messaging_rabbit", "ssl_cert_file", "", Key("messaging", "ssl_cert_file", Text)),
    row("oslo_messaging_rabbit", "ssl_key_file", "", Key("messaging", "ssl_key_file", Text)),
    row(
        "oslo_messaging_rabbit",
        "amqp_durable_queues",
        "false",
        Key("messaging", "amqp_durable_queues", Boolean),
    ),
    row("oslo_messaging_rabbit", "amqp_auto_delete", "false", Key("messaging", "amqp_auto_delete", Boolean)),
    row(
        "oslo_messaging_rabbit",
        "rabbit_quorum_queue",
        "false",
        Key("messaging", "rabbit_quorum_queue", Boolean),
    ),
    row("oslo_messaging_rabbit", "*", "", Gone(BUS)),
];

const SERVICES: &[Row] = &[
    row("service_types", "aodh", "alarming", Key("service_types", "aodh", Text)),
    row("service_types", "cinder", "volumev3", Key("service_types", "cinder", Text)),
    row("service_types", "designate", "dns", Key("service_types", "designate", Text)),
    row("service_types", "glance", "image", Key("service_types", "glance", Text)),
    row("service_types", "manila", "sharev2", Key("service_types", "manila", Text)),
    row("service_types", "neutron", "network", Key("service_types", "neutron", Text)),
    row("service_types", "nova", "compute", Key("service_types", "nova", Text)),
    row("service_types", "octavia", "load-balancer", Key("service_types", "octavia", Text)),
    row("service_types", "swift", "object-store", Key("service_types", "swift", Text)),
    row("service_types", "radosgw", "", Key("service_types", "radosgw", Text)),
];

/// The user that polls and publishes.
const CREDENTIALS: &[Row] = &[
    row(USER, "auth_type", "", Key(USER, "auth_type", Text)),
    row(USER, "auth_url", "", Key(USER, "auth_url", Text)),
    row(USER, "username", "", Key(USER, "username", Text)),
    row(USER, "user_id", "", Key(USER, "user_id", Text)),
    row(USER, "password", "", Key(USER, "password", Secret)),
    row(USER, "user_domain_id", "", Key(USER, "user_domain_id", Text)),
    row(USER, "user_domain_name", "", Key(USER, "user_domain_name", Text)),
    row(USER, "project_id", "", Key(USER, "project_id", Text)),
    row(USER, "project_name", "", Key(USER, "project_name", Text)),
    row(USER, "project_domain_id", "", Key(USER, "project_domain_id", Text)),
    row(USER, "project_domain_name", "", Key(USER, "project_domain_name", Text)),
    row(USER, "domain_id", "", Key(USER, "domain_id", Text)),
    row(USER, "domain_name", "", Key(USER, "domain_name", Text)),
    row(USER, "default_domain_id", "", Key(USER, "default_domain_id", Text)),
    row(USER, "default_domain_name", "", Key(USER, "default_domain_name", Text)),
    row(USER, "system_scope", "", Key(USER, "system_scope", Text)),
    row(USER, "trust_id", "", Key(USER, "trust_id", Text)),
    row(USER, "application_credential_id", "", Key(USER, "application_credential_id", Text)),
    row(USER, "application_credential_name", "", Key(USER, "application_credential_name", Text)),
    row(USER, "application_credential_secret", "", Key(USER, "application_credential_secret", Secret)),
    row(USER, "cafile", "", Key(USER, "cafile", Text)),
    row(USER, "certfile", "", Key(USER, "certfile", Text)),
    row(USER, "keyfile", "", Key(USER, "keyfile", Text)),
    row(USER, "insecure", "", Key(USER, "insecure", Boolean)),
    row(USER, "timeout", "", Key(USER, "timeout", Number)),
    row(USER, "region_name", "", Key(USER, "region_name", Text)),
    row(USER, "interface", "public", Mapped),
    row(USER, "*", "", Gone("other ways to sign in are not supported")),
];

fn special(source: &Source<'_>, document: &mut Document) {
    files(source, document);
    delivery(source, document);
    exporter(source, document);
    if let Some(text) = source.get(USER, "interface") {
        let value = text.strip_suffix("URL").unwrap_or(&text).to_owned();
        document.section(USER).set("interface", value, "[service_credentials] interface");
    }
    for (section, option) in [("DEFAULT", "libvirt_type"), ("compute", "instance_discovery_method")] {
        if let Some(text) = source.get(section, option) {
            document.section("compute").set(option, text, &format!("[{section}] {option}"));
        }
    }
    common::bus(source, document);
    common::log(source, document);
}

/// Definition files; relative ones are looked for where oslo.config looks.
fn files(source: &Source<'_>, document: &mut Document) {
    let directory = Path::new(source.path).parent().unwrap_or(Path::new(""));
    for (section, option, ours) in
        [("polling", "cfg_file", "polling"), ("DEFAULT", "pipeline_cfg_file", "pipeline")]
    {
        if let Some(file) = source.get(section, option) {
            let path = directory.join(&file).display().to_string();
            document.section(ours).set("cfg_file", path, &format!("[{section}] {option}, which must exist"));
        }
    }
}

/// Where polled samples go: upstream's agents send them to the notification agent.
fn delivery(source: &Source<'_>, document: &mut Document) {
    let notifies = parse_bool(&source.get_or_default("polling", "enable_notifications")).unwrap_or(true);
    let exports =
        parse_bool(&source.get_or_default("polling", "enable_prometheus_exporter")).unwrap_or(false);
    let out = document.section("polling");
    if !notifies && exports {
        out.set("deliver_by", "exporter", "[polling] enable_notifications = false");
    } else {
        out.comment("Samples go through the pipelines in this process. To the notification agent, as Ceilometer's own agents send them:");
        out.propose("deliver_by", "bus");
    }
    if let Some(topic) = source.get_all("oslo_messaging_notifications", "topics").first() {
        let topic = topic.split(',').next().unwrap_or_default().trim().to_owned();
        document.section("publisher").set(
            "polling_topic",
            topic,
            "[oslo_messaging_notifications] topics, the first",
        );
    }
}

fn exporter(source: &Source<'_>, document: &mut Document) {
    let listed = source.get_all("polling", "prometheus_listen_addresses");
    let addresses: Vec<String> =
        listed.iter().flat_map(|text| text.split(',')).map(|text| text.trim().to_owned()).collect();
    if !addresses.is_empty() {
        let is_open = addresses.iter().any(|address| {
            let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
            !common::is_loopback(host.trim_matches(['[', ']']))
        });
        let out = document.section("polling");
        let values: Vec<toml::Value> = addresses.into_iter().map(Into::into).collect();
        out.set("prometheus_listen_addresses", values, "[polling] prometheus_listen_addresses");
        if is_open {
            out.set(
                "allow_insecure_listen",
                true,
                "Whoever reaches these addresses is told, as upstream has it.",
            );
        }
    }
    if parse_bool(&source.get_or_default("polling", "prometheus_tls_enable")) == Some(true) {
        for (option, key) in
            [("prometheus_tls_certfile", "tls_cert_file"), ("prometheus_tls_keyfile", "tls_key_file")]
        {
            if let Some(file) = source.get("polling", option) {
                document.section("polling").set(key, file, &format!("[polling] {option}"));
            }
        }
    }
}

//! What the types alone cannot say about a configuration: addresses, ranges, and combinations that would be unsafe.

use std::net::{IpAddr, SocketAddr};

use super::{AuthMode, Config, Problem};

impl Config {
    /// Everything that is wrong with the merged configuration.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_addresses(&mut problems);
        self.check_identity(&mut problems);
        self.check_ranges(&mut problems);
        self.check_names(&mut problems);
        problems.extend(self.limits.problems());
        let engine = self.engine.problems().into_iter();
        problems.extend(engine.map(|problem| Problem::new(format!("engine.{problem}"))));
        problems
    }

    fn check_addresses(&self, problems: &mut Vec<Problem>) {
        let mut check = |key: &str, text: &str| {
            if let Err(reason) = parse_listen(text) {
                problems.push(Problem::new(format!("{key}: {reason}")));
            }
        };
        check("metric_api.listen", &self.metric_api.listen);
        check("statsd.listen", &self.statsd.listen);
        if self.alarm_api.is_on() {
            check("alarm_api.listen", &self.alarm_api.listen);
        }
        if !self.admin.listen.is_empty() {
            check("admin.listen", &self.admin.listen);
        }
        problems.extend(self.index.problems());
        problems.extend(self.measure_link.problems());
    }

    fn check_identity(&self, problems: &mut Vec<Problem>) {
        let api = &self.metric_api;
        if self.asks_keystone() {
            let found = self.keystone_authtoken.problems().into_iter();
            problems.extend(found.map(|problem| Problem::new(format!("keystone_authtoken.{problem}"))));
        }
        if api.auth_mode == AuthMode::RemoteUser
            && api.remote_user_header.parse::<http::HeaderName>().is_err()
        {
            problems.push(Problem::new(format!(
                "metric_api.remote_user_header: `{}` is no header name",
                api.remote_user_header
            )));
        }
        for (section, tls) in [
            ("metric_api", &api.tls),
            ("alarm_api", &self.alarm_api.tls),
            ("admin", &self.admin.tls),
            ("statsd", &self.statsd.tls),
        ] {
            problems.extend(tls.problems(section));
        }
        self.check_exposure(problems);
    }

    /// What listens beyond loopback without checking who speaks must be wanted in as many words.
    fn check_exposure(&self, problems: &mut Vec<Problem>) {
        let Self { metric_api, alarm_api, measure_link, admin, statsd, .. } = self;
        let is_proven = metric_api.auth_mode == AuthMode::Keystone || metric_api.tls.proves_clients();
        let trust = match metric_api.auth_mode {
            AuthMode::RemoteUser => "auth_mode=remoteuser believes the header of whoever sends it",
            _ => "auth_mode=basic checks no password",
        };
        for (section, listen, allowed, why) in [
            ("metric_api", &metric_api.listen, metric_api.allow_insecure_listen || is_proven, trust),
            (
                "alarm_api",
                &alarm_api.listen,
                alarm_api.allow_insecure_listen
                    || self.alarms_ask_keystone()
                    || alarm_api.tls.proves_clients(),
                "auth_mode=noauth believes what callers say of themselves",
            ),
            (
                "measure_link",
                &measure_link.listen,
                measure_link.allow_insecure_listen || measure_link.tls.is_on(),
                "without TLS its token can be overheard",
            ),
            (
                "admin",
                &admin.listen,
                admin.allow_insecure_listen || admin.tls.proves_clients(),
                "it tells everybody",
            ),
            (
                "statsd",
                &statsd.listen,
                statsd.allow_insecure_listen
                    || !statsd.enabled
                    || (!statsd.udp && statsd.tls.proves_clients()),
                "it takes from everybody",
            ),
        ] {
            let Ok(address) = parse_listen(listen) else { continue };
            if !allowed && !is_loopback(address.ip()) {
                problems.push(Problem::new(format!(
                    "{section}.listen: {why}, and {address} is not loopback; let clients show certificates \
                     ({section}.tls_client_ca_file), or set {section}.allow_insecure_listen=true if only those can \
                     reach it who may"
                )));
            }
        }
    }

    fn check_ranges(&self, problems: &mut Vec<Problem>) {
        let api = &self.metric_api;
        for (key, value) in [
            ("metric_api.max_limit", api.max_limit),
            ("metric.cached_metrics", self.metric.cached_metrics as u64),
            ("metric.max_points", self.metric.max_points as u64),
            ("self_monitoring.interval_seconds", self.self_monitoring.interval_seconds),
            ("expirer.interval_seconds", self.expirer.interval_seconds),
        ] {
            if value == 0 {
                problems.push(Problem::new(format!("{key}: must be at least 1")));
            }
        }
        problems.extend(api.http.problems("metric_api"));
        problems.extend(self.alarm_api.http.problems("alarm_api"));
        problems.extend(self.alarm.problems());
        problems.extend(self.alarm_notifier.problems());
        problems.extend(self.alarm_bus.problems(&self.messaging));
        problems.extend(self.polling.problems(self.messaging.is_on()));
        problems.extend(self.pipeline.problems());
        problems.extend(self.publisher.problems());
        problems.extend(self.gnocchi.problems());
        problems.extend(self.service_credentials.problems());
        problems.extend(seconds_problem("statsd.flush_delay_seconds", self.statsd.flush_delay_seconds));
    }

    fn check_names(&self, problems: &mut Vec<Problem>) {
        if let Err(name) = self.metric.methods() {
            problems.push(Problem::new(format!(
                "metric.default_aggregation_methods: `{name}` is no aggregation method"
            )));
        }
        if self.statsd.enabled && self.statsd.resource_id.is_empty() {
            problems.push(Problem::new("statsd.resource_id: statsd needs the id of a resource"));
        }
    }
}

/// What is wrong with a time that must be neither nothing nor longer than a day.
pub(super) fn seconds_problem(key: &str, seconds: f64) -> Option<Problem> {
    let is_sound = (0.001..=86_400.0).contains(&seconds);
    (!is_sound).then(|| Problem::new(format!("{key}: must lie between 0.001 and 86400")))
}

/// An address to listen on: `127.0.0.1:8041`, `[::1]:8041`, `localhost:8041`.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().map_err(|_| format!("expected address:port such as 127.0.0.1:8041, found `{text}`"))
}

/// Whether only this host has the address.
pub(super) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

//! What alarms ask of a cloud, and whom in it they tell: Prometheus, pools of load balancers, queues, stacks.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use nephometer_alarm::notify::{HeatNotifier, Notifiers, WebhookNotifier, WebhookSettings, ZaqarNotifier};
use nephometer_drivers::{PoolMembers, PrometheusReader};
use nephometer_model::Clock;
use nephometer_openstack::keystone::Session;
use nephometer_openstack::services::{
    HeatStacks, OctaviaPools, PrometheusAddress, PrometheusHttp, TrustSessions, ZaqarQueues,
};

/// The type of the queues' service in the catalogue.
const QUEUES: &str = "messaging";

/// Every way to tell somebody: without Keystone, those that need none.
pub(super) fn notifiers(
    settings: WebhookSettings,
    session: Option<&Arc<Session>>,
    clock: &Arc<dyn Clock>,
) -> Result<Notifiers> {
    let trusts = session.map(|session| Arc::new(TrustSessions::new(Arc::clone(session))));
    let tokens = trusts.clone().map(|trusts| trusts as _);
    let webhooks = WebhookNotifier::new(settings, tokens, Arc::clone(clock)).context("alarm_notifier")?;
    let local = Notifiers::local().with(&WebhookNotifier::SCHEMES, webhooks);
    let Some((session, trusts)) = session.zip(trusts) else { return Ok(local) };
    let queues = ZaqarQueues::new(Arc::clone(session), Arc::clone(&trusts), QUEUES);
    Ok(local
        .with(&ZaqarNotifier::SCHEMES, ZaqarNotifier::new(Arc::new(queues)))
        .with(&HeatNotifier::SCHEMES, HeatNotifier::new(Arc::new(HeatStacks::new(trusts)))))
}

/// The Prometheus that the catalogue names, else that of `prometheus.yaml` or of the environment; nothing where there is
/// neither. `label` is that of a series' project.
pub(super) fn prometheus(
    session: Option<&Arc<Session>>,
    label: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<dyn PrometheusReader>>> {
    let home = std::env::home_dir().map(|home| home.join(".config/openstack"));
    let places: Vec<PathBuf> =
        [PathBuf::from(".")].into_iter().chain(home).chain([PathBuf::from("/etc/openstack")]).collect();
    let fixed = PrometheusAddress::find(&places, |name| std::env::var(name).ok())?;
    if session.is_none() && fixed.is_none() {
        return Ok(None);
    }
    Ok(Some(Arc::new(PrometheusHttp::new(session.cloned(), fixed, label, clock)?)))
}

/// The cloud's load balancers.
pub(super) fn pools(session: Option<&Arc<Session>>) -> Option<Arc<dyn PoolMembers>> {
    session.map(|session| Arc::new(OctaviaPools::new(Arc::clone(session))) as _)
}

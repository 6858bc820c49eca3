//! The namespace `compute`: the guests of this host's hypervisor, how they are found and every meter of theirs.
//!
//! All pollsters of a cycle share one reading of the hypervisor (`host`), which remembers the reading before, so that
//! differences and rates are made of two readings of the same run of a guest. Where samples differ from Ceilometer's, and why:
//!
//! | Difference | Reason |
//! |---|---|
//! | a device without a statistic costs that device's sample | upstream gives up the guest's remaining devices |
//! | one guest's bad flavor or metadata costs that guest | upstream loses the whole list, or all sizes |
//! | differences of interfaces are kept by guest and interval | upstream keeps them by the host's device alone, so that guests and intervals take each other's |
//! | a guest that was started anew has all that was counted since as its difference | the same counters, read right where they have passed the old ones already |
//! | `network.*.bytes.rate` are there | upstream's libvirt inspector has none and blacklists them for good |
//! | `cpu_util` and the other `.rate` meters are there | upstream lost them with its transformers |
//! | server metadata of `fetch_extra_metadata` expires, and is listed by the page | upstream keeps it until it is restarted, and asks for each server |
//! | Nova's servers are listed to the last page | upstream takes what Nova gives at once, a thousand |
//! | `image_meta` of servers that Nova lists has Glance's own names | upstream has those of its client library |

mod common;
mod discovery;
mod host;
mod inspector;
mod instance;
mod meters;
mod nova;
mod pollster;
mod rates;
mod settings;
mod user_metadata;

pub use inspector::Inspector;
pub use settings::{ComputeSettings, DiscoveryMethod, HypervisorType};
pub use user_metadata::UserMetadataRules;

use std::sync::Arc;

use nephometer_drivers::CloudReader;

use crate::Plugins;
use crate::libvirt::{LibvirtClient, LibvirtUri, UriError};

/// What the namespace stands on.
pub struct ComputeParts {
    /// This host's name, as Nova knows it.
    pub host: Arc<str>,
    /// The hypervisor.
    pub inspector: Arc<dyn Inspector>,
    /// The cloud, where something is to be asked of Nova.
    pub cloud: Option<Arc<dyn CloudReader>>,
    /// The type of Nova's service in the catalogue.
    pub nova_service_type: String,
    /// Which of a server's metadata go into samples.
    pub user_metadata: UserMetadataRules,
}

/// Settings that ask for something that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// Nova is to be asked and nobody has signed in.
    #[error("{0} asks Nova: it needs service_credentials")]
    NoCloud(&'static str),
}

/// The hypervisor that the settings name. `runtime_directory` is where a user's own daemons listen.
pub fn inspector(
    settings: &ComputeSettings,
    runtime_directory: Option<&std::path::Path>,
) -> Result<LibvirtClient, UriError> {
    let uri = LibvirtUri::parse(settings.uri(), runtime_directory)?;
    Ok(LibvirtClient::new(uri, settings.libvirt_timeout()))
}

/// Discovery and pollsters of the namespace.
pub fn plugins(settings: &ComputeSettings, parts: ComputeParts) -> Result<Plugins, ComputeError> {
    let needs = settings.needs_nova();
    if let (Some(what), None) = (needs, &parts.cloud) {
        return Err(ComputeError::NoCloud(what));
    }
    let host = Arc::new(host::Host::new(parts.inspector));
    let nova =
        parts.cloud.map(|cloud| nova::Nova::new(cloud, parts.nova_service_type, Arc::clone(&parts.host)));
    let discovery =
        discovery::local_instances(settings, parts.host, Arc::clone(&host), nova, parts.user_metadata);
    Ok(Plugins { discoveries: vec![discovery], pollsters: pollster::all(&host, settings) })
}

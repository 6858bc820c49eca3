//! What an operator may set about metering guests.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How guests are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscoveryMethod {
    /// By the hypervisor, with what Nova has written into each domain.
    #[default]
    LibvirtMetadata,
    /// By Nova's list of this host's servers.
    Naive,
    /// The same; the name is that of an older way to divide work.
    WorkloadPartitioning,
}

/// Which of libvirt's drivers runs the guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "names of hypervisors")]
pub enum HypervisorType {
    #[default]
    Kvm,
    Lxc,
    Qemu,
    Parallels,
}

/// Settings of the namespace `compute`. Names are Ceilometer's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComputeSettings {
    /// How guests are found.
    pub instance_discovery_method: DiscoveryMethod,
    /// Nova is asked again when its answer is so old; 0 asks in each cycle. Only where guests are found by Nova.
    pub resource_update_interval_seconds: u64,
    /// Nova is asked for all servers, not for changes, when the last complete list is so old.
    pub resource_cache_expiry_seconds: u64,
    /// Whether power state, memory, vCPUs and sizes of disks of guests that are shut off are metered too.
    pub report_stopped_instance_metrics: bool,
    /// Whether Nova is asked for what only its API knows of guests that libvirt lists: their owners' metadata.
    pub fetch_extra_metadata: bool,
    /// What was fetched so is asked for again when it is so old.
    pub extra_metadata_expiry_seconds: u64,
    /// Where libvirt is, instead of where its type has it.
    pub libvirt_uri: String,
    /// What runs the guests.
    pub libvirt_type: HypervisorType,
    /// Longest wait for one of libvirt's answers.
    pub libvirt_timeout_seconds: u64,
}

impl Default for ComputeSettings {
    fn default() -> Self {
        Self {
            instance_discovery_method: DiscoveryMethod::default(),
            resource_update_interval_seconds: 0,
            resource_cache_expiry_seconds: 3600,
            report_stopped_instance_metrics: false,
            fetch_extra_metadata: false,
            extra_metadata_expiry_seconds: 600,
            libvirt_uri: String::new(),
            libvirt_type: HypervisorType::default(),
            libvirt_timeout_seconds: 20,
        }
    }
}

impl ComputeSettings {
    /// The URI that libvirt is asked to open.
    pub fn uri(&self) -> &str {
        match self.libvirt_type {
            _ if !self.libvirt_uri.is_empty() => &self.libvirt_uri,
            HypervisorType::Kvm | HypervisorType::Qemu => "qemu:///system",
            HypervisorType::Lxc => "lxc:///",
            HypervisorType::Parallels => "parallels:///system",
        }
    }

    pub(super) fn libvirt_timeout(&self) -> Duration {
        Duration::from_secs(self.libvirt_timeout_seconds.max(1))
    }

    /// Which setting makes Nova be asked, if one does.
    pub fn needs_nova(&self) -> Option<&'static str> {
        match self.instance_discovery_method {
            DiscoveryMethod::Naive => Some("instance_discovery_method = \"naive\""),
            DiscoveryMethod::WorkloadPartitioning => {
                Some("instance_discovery_method = \"workload_partitioning\"")
            }
            DiscoveryMethod::LibvirtMetadata if self.fetch_extra_metadata => Some("fetch_extra_metadata"),
            DiscoveryMethod::LibvirtMetadata => None,
        }
    }
}

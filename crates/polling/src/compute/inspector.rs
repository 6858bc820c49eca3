//! What the hypervisor is asked, so that tests can stand in for it.

use async_trait::async_trait;

use crate::libvirt::{BlockInfo, DomainRecord, DomainRef, LibvirtClient, LibvirtError};

/// Reads the guests of this host.
#[async_trait]
pub trait Inspector: Send + Sync {
    /// All domains, in any state, with all that they say of themselves. An error costs the whole reading.
    async fn domains(&self) -> Result<Vec<DomainRecord>, LibvirtError>;

    /// Sizes of the images of devices of running domains, in the order of `devices`.
    async fn block_infos(&self, devices: &[(DomainRef, Box<str>)]) -> Vec<Result<BlockInfo, LibvirtError>>;
}

#[async_trait]
impl Inspector for LibvirtClient {
    async fn domains(&self) -> Result<Vec<DomainRecord>, LibvirtError> {
        Self::domains(self).await
    }

    async fn block_infos(&self, devices: &[(DomainRef, Box<str>)]) -> Vec<Result<BlockInfo, LibvirtError>> {
        Self::block_infos(self, devices).await
    }
}

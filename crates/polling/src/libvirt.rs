//! A client of libvirt's RPC protocol over the local socket: bulk statistics, domains' XML, sizes of images. It only reads.
//!
//! Written for what metering needs instead of linking the C library: every call has a time limit by construction, nothing
//! blocks a thread, and messages are bounded. Numbers of procedures and errors are facts of libvirt's protocol, which only
//! ever grows.

mod client;
mod connection;
mod description;
mod error;
mod protocol;
mod stats;
mod uri;
mod xdr;

pub use client::{DomainRecord, LibvirtClient};
pub use description::{Description, Disk, Nic, NovaFlavor, NovaImage, NovaMetadata};
pub use error::LibvirtError;
pub use protocol::{BlockInfo, DomainRef};
pub use stats::{Balloon, DiskStats, DomainStats, NicStats, PerfStats, VcpuTimes};
pub use uri::{LibvirtUri, UriError};

/// For fuzzing: whatever a daemon may answer, read as each kind of answer.
#[doc(hidden)]
pub fn read_any_reply(frame: &[u8]) {
    drop(protocol::read_reply(frame));
    drop(stats::read_records(frame));
    drop(protocol::read_domains(frame));
    drop(protocol::read_text(frame));
    drop(protocol::read_block_info(frame));
}

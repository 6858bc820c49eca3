//! Why libvirt has not answered, and what that means for who asked.

use super::xdr::XdrError;

/// Why there is no answer. Clones, so that all pollsters of a cycle can hear of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibvirtError {
    /// Nobody listens at the socket, or we may not speak to them.
    #[error("cannot connect to libvirt at {address}: {reason}")]
    Connect {
        /// The socket's path.
        address: String,
        /// What the system says.
        reason: String,
        /// Whether there is no such socket.
        is_absent: bool,
    },
    /// The connection ended within a call.
    #[error("the connection to libvirt broke: {0}")]
    Lost(String),
    /// No answer came in time.
    #[error("libvirt has not answered within {seconds} s ({call})")]
    TimedOut {
        /// What was asked.
        call: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The daemon asks for a way to sign in that metering does not have.
    #[error("libvirt wants another sign-in than none or polkit")]
    SignIn,
    /// Something else than libvirt's protocol was spoken.
    #[error("what libvirt answered cannot be read: {0}")]
    Protocol(String),
    /// The daemon answered with an error of its own.
    #[error("libvirt refuses: {message} (error {code} of part {part})")]
    Refused {
        /// `virErrorNumber`.
        code: i32,
        /// `virErrorDomain`: which part of libvirt says so.
        part: i32,
        /// The daemon's words.
        message: String,
    },
}

impl LibvirtError {
    const INTERNAL: i32 = 1;
    const NO_SUPPORT: i32 = 3;
    const INVALID_ARGUMENT: i32 = 8;
    const SYSTEM: i32 = 38;
    const NO_DOMAIN: i32 = 42;
    const PART_REMOTE: i32 = 13;
    const PART_RPC: i32 = 7;

    /// There is no such domain (any more).
    pub fn is_no_domain(&self) -> bool {
        matches!(self, Self::Refused { code: Self::NO_DOMAIN, .. })
    }

    /// The hypervisor's driver has no such call: it will have none tomorrow.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Refused { code: Self::NO_SUPPORT, .. })
    }

    /// The daemon is older than a flag of ours.
    pub(super) fn is_invalid_argument(&self) -> bool {
        matches!(self, Self::Refused { code: Self::INVALID_ARGUMENT, .. })
    }

    /// A fresh connection may get an answer.
    pub(super) fn is_disconnect(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Lost(_) => true,
            // A proxy daemon tells of its own lost connections like this.
            Self::Refused { code: Self::INTERNAL | Self::SYSTEM, part, .. } => {
                matches!(*part, Self::PART_REMOTE | Self::PART_RPC)
            }
            _ => false,
        }
    }

    /// The connection is good for further calls.
    pub(super) fn leaves_connection(&self) -> bool {
        matches!(self, Self::Refused { .. }) && !self.is_disconnect()
    }
}

impl From<XdrError> for LibvirtError {
    fn from(error: XdrError) -> Self {
        Self::Protocol(error.to_string())
    }
}

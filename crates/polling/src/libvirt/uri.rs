//! libvirt's connection URIs, as far as they lead to a socket of this machine.

use std::path::{Path, PathBuf};

/// An address that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// It has no driver or no path.
    #[error("`{0}` is no libvirt URI: it looks like qemu:///system")]
    Form(String),
    /// It names another machine.
    #[error("`{0}` leads to another machine: an agent reads the libvirt of its own, over the Unix socket")]
    Remote(String),
    /// It names a libvirt of a user without a directory for sockets.
    #[error("`{0}` is the libvirt of a user, and XDG_RUNTIME_DIR is not set")]
    NoSession(String),
}

/// Where the daemon listens, and what it is asked to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibvirtUri {
    /// Without transport and socket: what the daemon is asked to open.
    pub(super) name: String,
    /// Sockets in the order in which they are tried: that of the driver's own daemon, that of the daemon for all.
    pub(super) sockets: Vec<PathBuf>,
}

const SYSTEM_SOCKETS: &str = "/var/run/libvirt";

impl LibvirtUri {
    /// Reads a URI. `runtime_directory` is where a user's own daemons listen (`XDG_RUNTIME_DIR`).
    pub fn parse(uri: &str, runtime_directory: Option<&Path>) -> Result<Self, UriError> {
        let form = || UriError::Form(uri.to_owned());
        let (scheme, rest) = uri.split_once("://").ok_or_else(form)?;
        let (driver, transport) = scheme.split_once('+').map_or((scheme, None), |(d, t)| (d, Some(t)));
        let (host, path) = rest.split_once('/').ok_or_else(form)?;
        if !host.is_empty() || !matches!(transport, None | Some("unix")) {
            return Err(UriError::Remote(uri.to_owned()));
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let plain = driver.chars().all(|c| c.is_ascii_alphanumeric());
        if driver.is_empty() || !plain {
            return Err(form());
        }
        let (ours, kept): (Vec<_>, Vec<_>) =
            query.split('&').filter(|pair| !pair.is_empty()).partition(|pair| pair.starts_with("socket="));
        let mut name = format!("{driver}:///{path}");
        if !kept.is_empty() {
            name = format!("{name}?{}", kept.join("&"));
        }
        let sockets = match ours.first() {
            Some(socket) => vec![PathBuf::from(socket.trim_start_matches("socket="))],
            None if path == "session" => {
                let base = runtime_directory.ok_or_else(|| UriError::NoSession(uri.to_owned()))?;
                named(&base.join("libvirt"), driver, "sock")
            }
            None => named(Path::new(SYSTEM_SOCKETS), driver, "sock-ro"),
        };
        Ok(Self { name, sockets })
    }
}

fn named(directory: &Path, driver: &str, end: &str) -> Vec<PathBuf> {
    vec![directory.join(format!("virt{driver}d-{end}")), directory.join(format!("libvirt-{end}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(uri: &str) -> Vec<String> {
        let parsed = LibvirtUri::parse(uri, Some(Path::new("/run/user/7"))).unwrap();
        parsed.sockets.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn sockets_are_the_read_only_ones_of_this_machine() {
        let system = ["/var/run/libvirt/virtqemud-sock-ro", "/var/run/libvirt/libvirt-sock-ro"];
        assert_eq!(sockets("qemu:///system"), system);
        assert_eq!(sockets("lxc:///")[0], "/var/run/libvirt/virtlxcd-sock-ro");
        assert_eq!(sockets("qemu:///session")[1], "/run/user/7/libvirt/libvirt-sock");
        assert_eq!(sockets("qemu+unix:///system?socket=/x/y-sock"), ["/x/y-sock"]);
    }

    #[test]
    fn the_daemon_is_asked_for_what_is_left_of_the_uri() {
        let name = |uri| LibvirtUri::parse(uri, None).map(|parsed| parsed.name);
        assert_eq!(name("qemu+unix:///system?socket=/x&mode=a").as_deref(), Ok("qemu:///system?mode=a"));
        assert_eq!(name("test:///default").as_deref(), Ok("test:///default"));
        assert!(matches!(name("qemu+ssh://host/system"), Err(UriError::Remote(_))));
        assert!(matches!(name("qemu://host/system"), Err(UriError::Remote(_))));
        assert!(matches!(name("qemu:/system"), Err(UriError::Form(_))));
        assert!(matches!(name("../x:///system"), Err(UriError::Form(_))));
        assert!(matches!(name("qemu:///session"), Err(UriError::NoSession(_))));
    }
}

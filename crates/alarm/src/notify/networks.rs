//! Which addresses messages may go to. Users choose the targets of their alarms, and the notifier stands where they do
//! not: what it can reach and they cannot is closed unless an operator opens it.

use std::net::IpAddr;

use ipnet::IpNet;

/// Closed unless opened: this machine, the links it is on (where metadata services live), nobody and everybody.
const CLOSED: [&str; 11] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "fe80::/10",
    "ff00::/8",
    "fd00:ec2::254/128",
    "fec0::/10",
];
/// The prefix behind which addresses of version 4 are reached over NAT64.
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// Networks that are open or closed to messages. The smallest network that holds an address decides; an operator's word
/// counts before the built-in ones, and `deny` before `allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    closed: Vec<IpNet>,
}

/// A text that names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; one is written as 10.0.0.0/8 or fd00::/8, or as an address")]
pub struct NetworkError(String);

/// An address that messages must not go to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address}{} is in the network {network}, which is closed to notifications",
    host.as_ref().map(|host| format!(" (the address of {host})")).unwrap_or_default())]
pub struct Closed {
    /// The address.
    pub address: IpAddr,
    /// The name that it was found by.
    pub host: Option<String>,
    /// The network that it is in.
    pub network: String,
}

fn parse(texts: &[String]) -> Result<Vec<IpNet>, NetworkError> {
    let one = |text: &String| {
        let text = text.trim();
        let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.ok_or_else(|| NetworkError(text.to_owned()))
    };
    texts.iter().map(one).collect()
}

/// The address that packets end at.
fn meant(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if v6.segments()[..6] == NAT64 => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::from([a, b, c, d])
        }
        plain => plain,
    }
}

impl Networks {
    /// Opens `allow` and closes `deny`: networks, or single addresses.
    ///
    /// # Errors
    /// A text that is neither.
    pub fn new(allow: &[String], deny: &[String]) -> Result<Self, NetworkError> {
        let closed = CLOSED.iter().filter_map(|text| text.parse().ok()).collect();
        Ok(Self { allow: parse(allow)?, deny: parse(deny)?, closed })
    }

    /// Whether messages may go to `address`.
    ///
    /// # Errors
    /// They may not.
    pub fn check(&self, address: IpAddr) -> Result<(), Closed> {
        let address = meant(address);
        let ranked = [(&self.closed, 0, false), (&self.allow, 1, true), (&self.deny, 2, false)];
        let holding = ranked.into_iter().flat_map(|(networks, rank, open)| {
            let holding = networks.iter().filter(move |network| network.contains(&address));
            holding.map(move |network| (network.prefix_len(), rank, open, network))
        });
        match holding.max_by_key(|(length, rank, ..)| (*length, *rank)) {
            Some((.., false, network)) => Err(Closed { address, host: None, network: network.to_string() }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(allow: &[&str], deny: &[&str]) -> Networks {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Networks::new(&texts(allow), &texts(deny)).unwrap()
    }

    fn is_open(networks: &Networks, address: &str) -> bool {
        networks.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn what_the_notifier_alone_can_reach_is_closed() {
        let plain = networks(&[], &[]);
        for closed in [
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "169.254.169.254",
            "::1",
            "::",
            "fe80::a9fe:a9fe",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_open(&plain, closed), "{closed}");
        }
        for open in ["10.0.0.1", "192.0.2.7", "2001:db8::1", "fd00::1", "64:ff9b::192.0.2.7"] {
            assert!(is_open(&plain, open), "{open}");
        }
        assert_eq!(
            plain.check("::ffff:127.0.0.1".parse().unwrap()).unwrap_err().to_string(),
            "127.0.0.1 is in the network 127.0.0.0/8, which is closed to notifications"
        );
    }

    #[test]
    fn the_smallest_network_decides() {
        let opened = networks(&["127.0.0.0/8", "::1", "10.1.0.0/16"], &["10.0.0.0/8", "127.0.0.5"]);
        for open in ["127.0.0.1", "::1", "10.1.2.3", "192.0.2.7"] {
            assert!(is_open(&opened, open), "{open}");
        }
        for closed in ["127.0.0.5", "10.2.0.1", "169.254.1.1"] {
            assert!(!is_open(&opened, closed), "{closed}");
        }
        let only = networks(&["192.0.2.0/24"], &["0.0.0.0/0", "::/0"]);
        assert!(
            is_open(&only, "192.0.2.9") && !is_open(&only, "198.51.100.1") && !is_open(&only, "2001:db8::1")
        );
        assert!(!is_open(&networks(&["10.0.0.0/8"], &["10.0.0.0/8"]), "10.0.0.1"), "deny before allow");
        let everything = networks(&["0.0.0.0/0", "::/0"], &[]);
        assert!(!is_open(&everything, "169.254.169.254"), "what is closed is opened by its own name only");
    }

    #[test]
    fn mistakes_are_told() {
        let error = Networks::new(&["10.0.0.0/40".to_owned()], &[]).unwrap_err();
        assert!(error.to_string().starts_with("`10.0.0.0/40` is no network"));
    }
}

//! The DNS servers of this machine.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use log::warn;

/// Where the system names them.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Servers that are used: as many as the C library uses.
const MAX_SERVERS: usize = 3;

/// Where DNS servers listen.
const PORT: u16 = 53;

/// Why the system's DNS servers cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum SystemServersError {
    /// The file cannot be read.
    #[error("cannot read the system's DNS servers from {}: {cause}; set geoip.dns_servers", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The file names no server.
    #[error("{} names no DNS server: set geoip.dns_servers", .0.display())]
    NoServer(PathBuf),
}

/// The servers that the system uses now.
///
/// # Errors
/// When there are none, or the file cannot be read.
pub(super) fn read_servers() -> Result<Vec<SocketAddr>, SystemServersError> {
    read_servers_from(Path::new(RESOLV_CONF))
}

fn read_servers_from(path: &Path) -> Result<Vec<SocketAddr>, SystemServersError> {
    let unreadable = |cause| SystemServersError::Unreadable { path: path.into(), cause };
    let servers = parse_servers(&std::fs::read_to_string(path).map_err(unreadable)?);
    if servers.is_empty() { Err(SystemServersError::NoServer(path.into())) } else { Ok(servers) }
}

/// The lines `nameserver ADDRESS`. Domains to search do not concern us: our names are fully qualified.
fn parse_servers(resolv_conf: &str) -> Vec<SocketAddr> {
    let named = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next().unwrap_or_default())
    });
    let addresses = named.filter_map(|text| {
        let address: Option<IpAddr> = text.parse().ok();
        if address.is_none() {
            warn!("{RESOLV_CONF} names the DNS server {text:?}, which is ignored: not a plain IP address");
        }
        address
    });
    addresses.take(MAX_SERVERS).map(|address| (address, PORT).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_servers_are_used() {
        let file = "# nameserver 192.0.2.9\n\
                    search example.com\n\
                    nameserver 192.0.2.1 # the router\n\
                    \tnameserver\t2001:db8::53\r\n\
                    ;nameserver 192.0.2.9\n\
                    options ndots:5 timeout:1\n\
                    nameservers 192.0.2.9\n\
                    nameserver fe80::1%eth0\n\
                    nameserver ns.example.com\n\
                    nameserver\n\
                    nameserver 192.0.2.3\n\
                    nameserver 192.0.2.4";
        let expected = ["192.0.2.1:53", "[2001:db8::53]:53", "192.0.2.3:53"];
        assert_eq!(parse_servers(file), expected.map(|address| address.parse().unwrap()));
    }

    #[test]
    fn a_file_without_a_server_and_no_file_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let error =
            |path: &Path| read_servers_from(path).unwrap_err().to_string().replace(path.to_str().unwrap(), "FILE");
        let missing = "cannot read the system's DNS servers from FILE: No such file or directory (os error 2); \
                       set geoip.dns_servers";
        assert_eq!(error(&path), missing);
        std::fs::write(&path, "nameserver localhost\n").unwrap();
        assert_eq!(error(&path), "FILE names no DNS server: set geoip.dns_servers");
        std::fs::write(&path, b"nameserver \xff").unwrap();
        assert!(error(&path).starts_with("cannot read"));
    }
}

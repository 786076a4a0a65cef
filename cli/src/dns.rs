//! Names, asked of the system's name server or of another one.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// How long a name server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks for the addresses of names.
#[derive(Debug)]
pub struct Resolver {
    resolver: TokioResolver,
    server: String,
}

impl Resolver {
    /// Asks `server`; without one whoever this machine asks, and its hosts file before.
    ///
    /// # Errors
    /// The system's configuration cannot be read.
    pub fn new(server: Option<SocketAddr>) -> anyhow::Result<Self> {
        let mut builder = match server {
            Some(server) => {
                let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut name_server.connections {
                    connection.port = server.port();
                }
                TokioResolver::builder_with_config(ResolverConfig::from_name_servers(vec![name_server]), TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio().context("this machine's name servers cannot be found; --dns names one")?,
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.timeout = PATIENCE;
        options.attempts = 1;
        let resolver = builder.build().context("the name servers cannot be asked")?;
        Ok(Self { resolver, server: server.map_or_else(|| "this machine's name server".to_owned(), |server| server.to_string()) })
    }

    /// Who is asked, in words.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The addresses of a name; none if there is no such name.
    ///
    /// # Errors
    /// Nobody answers, in one line.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        // With the dot at its end no search domain is put behind it.
        match self.resolver.lookup_ip(format!("{name}.")).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
            Err(error) => Err(format!("{} does not answer: {error}", self.server).replace('\n', " ")),
        }
    }
}

/// Whether an address is one of a private network (RFC 1918, RFC 6598, RFC 4193) or of this machine.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || address.is_loopback() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_private(IpAddr::V4(mapped)),
            None => address == Ipv6Addr::LOCALHOST || (address.segments()[0] & 0xfe00) == 0xfc00,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_others() {
        for private in
            ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "127.0.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"]
        {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in ["3.120.0.1", "172.32.0.1", "100.128.0.1", "169.254.1.1", "2a05:d014::1", "fe80::1", "::ffff:3.120.0.1"] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }
}

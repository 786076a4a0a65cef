//! The DNS server of the made-up bank's network: UDP, on loopback.
//!
//! AWS's names have the private addresses of VPC endpoints there, as they have behind a forwarder to Route 53 Resolver. Nothing else has
//! an address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What every name of AWS's answers, unless it was told otherwise: an address of the VPC's.
const ENDPOINT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 10));

/// The domains under which AWS's names are.
const DOMAINS: [&str; 3] = [".amazonaws.com", ".sagemaker.aws", ".app.aws"];

/// Seconds for which an answer may be kept.
const TTL: u32 = 60;

/// A DNS message without extensions is no longer (RFC 1035, section 4.2.1).
const MAX_MESSAGE: usize = 512;

type Names = HashMap<String, Vec<IpAddr>>;

/// A running server. Dropped, it stops.
#[derive(Debug)]
pub struct Dns {
    address: SocketAddr,
    told: Arc<Mutex<Names>>,
    task: JoinHandle<()>,
}

impl Dns {
    /// Starts it on 127.0.0.1; port 0 is any free one.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(port: u16) -> std::io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = socket.local_addr()?;
        let told = Arc::new(Mutex::new(Names::new()));
        let task = tokio::spawn(serve(socket, Arc::clone(&told)));
        Ok(Self { address, told, task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on a name has these addresses; with none, there is no such name.
    pub fn tell(&self, name: &str, addresses: &[IpAddr]) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_ascii_lowercase(), addresses.to_vec());
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, told: Arc<Mutex<Names>>) {
    let mut buffer = [0; MAX_MESSAGE];
    loop {
        // An error is of one datagram, as of a client that has gone away.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let answer = {
            let told = told.lock().unwrap_or_else(PoisonError::into_inner);
            buffer.get(..length).and_then(|query| answer(query, &told))
        };
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

/// What is no query gets no answer.
fn answer(query: &[u8], told: &Names) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok().filter(|message| message.metadata.message_type == MessageType::Query)?;
    let question = query.queries.first()?.clone();
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata.recursion_desired = query.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    let name = question.name().to_ascii().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    let addresses: &[IpAddr] = match told.get(name) {
        Some(addresses) => addresses,
        None if DOMAINS.iter().any(|domain| name.ends_with(domain)) => &[ENDPOINT],
        None => &[],
    };
    if addresses.is_empty() {
        response.metadata.response_code = ResponseCode::NXDomain;
    }
    for address in addresses {
        let data = match (address, question.query_type()) {
            (IpAddr::V4(address), RecordType::A) => RData::A((*address).into()),
            (IpAddr::V6(address), RecordType::AAAA) => RData::AAAA((*address).into()),
            (IpAddr::V4(_) | IpAddr::V6(_), _) => continue,
        };
        response.add_answer(Record::from_rdata(question.name().clone(), TTL, data));
    }
    response.add_query(question);
    response.to_vec().ok()
}

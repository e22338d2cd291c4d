//! What is told about a request afterwards: in events and in access logs.

use super::request_id::RequestId;
use crate::auth::Identity;
use std::net::{IpAddr, SocketAddr};

/// Where a request came from; in the extensions of requests for the service's own routes. Of a proxy's headers nothing is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// The version of TLS that was agreed on; `None` in clear.
    pub tls_version: Option<&'static str>,
}

/// Who did something, from where, in which request.
#[derive(Clone)]
pub(super) struct RequestFacts {
    pub request_id: RequestId,
    pub peer: Option<Peer>,
    pub identity: Identity,
}

impl RequestFacts {
    /// From where.
    pub(super) fn remote_ip(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.address.ip())
    }

    /// Who did it, as events name it.
    pub(super) fn principal(&self) -> String {
        match &self.identity {
            Identity::Anonymous => "Anonymous".to_owned(),
            Identity::Principal(principal) => format!("AWS:{}", principal.caller.user),
            Identity::Service(name) => (*name).to_owned(),
        }
    }
}

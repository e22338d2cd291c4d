//! `HAServiceProtocol`: what `haadmin` asks a namenode. Who leads is Raft's decision, so that no state is set from here.
//!
//! Source: `HAServiceProtocol.proto`, Hadoop 3.5.

use crate::client_protocol::{Empty, GetServiceStatusResponse, NamenodeRole, ha_state};
use crate::exception::{JavaException, RemoteException};
use crate::rpc::{Call, RpcProtocol, encode, unknown_method};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::sync::Arc;

const NAME: &str = "org.apache.hadoop.ha.HAServiceProtocol";

/// Answers `HAServiceProtocol`.
pub struct HaService {
    role: Arc<dyn NamenodeRole>,
}

impl HaService {
    /// The protocol of this namenode peer.
    pub fn new(role: Arc<dyn NamenodeRole>) -> HaService {
        HaService { role }
    }

    fn answer(&self, method: &str) -> Result<Vec<u8>, RemoteException> {
        match method {
            "getServiceStatus" => Ok(encode(&GetServiceStatusResponse {
                state: ha_state(&*self.role),
                ready_to_become_active: Some(true),
                not_ready_reason: None,
            })),
            "monitorHealth" => Ok(encode(&Empty {})),
            "transitionToActive" | "transitionToStandby" | "transitionToObserver" => Err(RemoteException::new(
                JavaException::UnsupportedOperation,
                "The namenodes elect their leader by themselves (Raft); no state is set by hand",
            )),
            _ => Err(unknown_method(NAME, method)),
        }
    }
}

impl RpcProtocol for HaService {
    fn name(&self) -> &'static str {
        NAME
    }

    fn call<'a>(
        &'a self,
        _call: &'a Call,
        method: &'a str,
        _parameters: Bytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, RemoteException>> {
        Box::pin(std::future::ready(self.answer(method)))
    }
}

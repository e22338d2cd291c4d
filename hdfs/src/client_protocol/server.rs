//! The protocol as Hadoop RPC calls it.

use super::context::{ClientProtocol, NamenodeRole};
use super::methods::{Offer, find};
use crate::exception::{JavaException, RemoteException};
use crate::rpc::{Call, RpcProtocol, unknown_method};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use granary_protocol::ErrorCode;
use granary_protocol::Failure;

const NAME: &str = "org.apache.hadoop.hdfs.protocol.ClientProtocol";
/// What a namenode answers which does not lead: clients and `dfsadmin` ask it of each.
const ANSWERED_BY_ALL: [&str; 2] = ["getHAServiceState", "setSafeMode"];

/// `HAServiceStateProto`.
const STATE_ACTIVE: i32 = 1;
const STATE_STANDBY: i32 = 2;

/// What `haadmin` and clients are told of this namenode.
pub fn ha_state(role: &dyn NamenodeRole) -> i32 {
    if role.is_leader() { STATE_ACTIVE } else { STATE_STANDBY }
}

impl RpcProtocol for ClientProtocol {
    fn name(&self) -> &'static str {
        NAME
    }

    fn call<'a>(
        &'a self,
        call: &'a Call,
        method: &'a str,
        parameters: Bytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, RemoteException>> {
        Box::pin(async move {
            if !self.role.is_leader() && !ANSWERED_BY_ALL.contains(&method) {
                return Err(Failure::from(ErrorCode::NotLeader { leader: None }).into());
            }
            match find(method) {
                None => Err(unknown_method(NAME, method)),
                Some(Offer::Works(handler, _)) => handler(self, call, parameters).await,
                Some(Offer::Refused(class, message)) => Err(RemoteException::new(*class, *message)),
                Some(Offer::NotApplicable(message)) => {
                    Err(RemoteException::new(JavaException::UnsupportedOperation, *message))
                }
            }
        })
    }

    fn state_id(&self) -> Option<i64> {
        i64::try_from(self.role.applied()).ok()
    }
}

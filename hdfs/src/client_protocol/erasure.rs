//! Erasure coding as Hadoop's clients ask about it. Here it is a property of storage classes and blocks stay whole, so that
//! no file is ever shown as striped and no policy can be set.

use super::context::{ClientProtocol, path};
use super::messages::*;
use crate::exception::RemoteException;
use crate::proto::{EcSchema, ErasureCodingPolicy, ErasureCodingPolicyState};
use crate::rpc::Call;

/// Hadoop's own policies: id, name, codec, data and parity units.
const POLICIES: [(u32, &str, &str, u32, u32); 5] = [
    (1, "RS-6-3-1024k", "rs", 6, 3),
    (2, "RS-3-2-1024k", "rs", 3, 2),
    (3, "RS-LEGACY-6-3-1024k", "rs-legacy", 6, 3),
    (4, "XOR-2-1-1024k", "xor", 2, 1),
    (5, "RS-10-4-1024k", "rs", 10, 4),
];
const CELL_BYTES: u32 = 1 << 20;

type Answer<T> = Result<T, RemoteException>;

impl ClientProtocol {
    /// Those of Hadoop, all of them disabled.
    pub(super) async fn get_erasure_coding_policies(
        &self,
        _call: &Call,
        _: Empty,
    ) -> Answer<GetErasureCodingPoliciesResponse> {
        let policy = |(id, name, codec, data_units, parity_units): (u32, &str, &str, u32, u32)| ErasureCodingPolicy {
            name: Some(name.to_owned()),
            schema: Some(EcSchema { codec_name: codec.to_owned(), data_units, parity_units }),
            cell_size: Some(CELL_BYTES),
            id,
            state: Some(ErasureCodingPolicyState::Disabled as i32),
        };
        Ok(GetErasureCodingPoliciesResponse { ec_policies: POLICIES.map(policy).to_vec() })
    }

    pub(super) async fn get_erasure_coding_policy(
        &self,
        call: &Call,
        request: PathRequest,
    ) -> Answer<GetErasureCodingPolicyResponse> {
        self.existing(call, &path(&request.path)?).await?;
        Ok(GetErasureCodingPolicyResponse { ec_policy: None })
    }

    pub(super) async fn get_erasure_coding_codecs(
        &self,
        _call: &Call,
        _: Empty,
    ) -> Answer<GetErasureCodingCodecsResponse> {
        Ok(GetErasureCodingCodecsResponse { codec: Vec::new() })
    }
}

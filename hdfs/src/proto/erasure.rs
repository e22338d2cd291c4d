//! Erasure coding policies (`erasurecoding.proto`).

/// `ErasureCodingPolicyProto`. Of Hadoop's own policies the id is enough.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ErasureCodingPolicy {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub schema: Option<EcSchema>,
    #[prost(uint32, optional, tag = "3")]
    pub cell_size: Option<u32>,
    #[prost(uint32, required, tag = "4")]
    pub id: u32,
    #[prost(enumeration = "ErasureCodingPolicyState", optional, tag = "5")]
    pub state: Option<i32>,
}

/// `ErasureCodingPolicyState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ErasureCodingPolicyState {
    Disabled = 1,
    Enabled = 2,
    Removed = 3,
}

/// `ECSchemaProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct EcSchema {
    #[prost(string, required, tag = "1")]
    pub codec_name: String,
    #[prost(uint32, required, tag = "2")]
    pub data_units: u32,
    #[prost(uint32, required, tag = "3")]
    pub parity_units: u32,
}

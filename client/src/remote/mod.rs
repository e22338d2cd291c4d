//! The services of other processes: the same traits, over [`granary_rpc`].

mod attempts;
mod cluster;
mod datanodes;
mod failure;
mod namenode;
mod numbers;
mod peer_list;
mod streams;

pub use cluster::NamenodeCluster;
pub use datanodes::RemoteDatanodes;
pub use namenode::RemoteNamenode;
pub use peer_list::{KnownNamenodes, PeerListFollower};

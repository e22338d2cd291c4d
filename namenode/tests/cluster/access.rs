//! Who may ask what, and how a node joins.

use crate::fake_datanode::FakeDatanode;
use crate::peers::{CALL_DEADLINE, Cluster, ask, security};
use crate::writer::{Writer, create_bucket, get_request};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NodeRole};
use granary_protocol::{ErrorCode, Failure};
use granary_rpc::{NodeCertificate, NodeKey, NodeName, RpcClient, RpcError, Security, TlsMaterial};
use std::sync::Arc;

fn denied<T: std::fmt::Debug>(outcome: Result<T, Failure>) {
    assert_eq!(outcome.unwrap_err().code, ErrorCode::AccessDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_makes_one_certificate_that_works() {
    let cluster = Cluster::started(1, |_| {}).await;
    let token =
        |name: Option<&str>| NamenodeRequest::CreateJoinToken { name: name.map(Into::into), lifetime_ms: 60_000 };
    let NamenodeReply::JoinToken { secret } = cluster.ask_leader(token(Some("datanode-1"))).await.unwrap() else {
        panic!()
    };
    let enrol = |secret: &str, name: &str, csr_pem: &str| NamenodeRequest::Enrol {
        secret: secret.to_owned(),
        name: name.into(),
        role: NodeRole::Datanode,
        csr_pem: csr_pem.to_owned(),
    };
    let key = NodeKey::generate_csr(&NodeName::new("datanode-1").unwrap(), &[]).unwrap();
    let other = NodeKey::generate_csr(&NodeName::new("datanode-2").unwrap(), &[]).unwrap();
    denied(cluster.ask(0, enrol("granary1.made.up", "datanode-1", &key.csr_pem)).await);
    denied(cluster.ask(0, enrol(&secret, "datanode-2", &other.csr_pem)).await);
    let mismatch = cluster.ask(0, enrol(&secret, "datanode-1", &other.csr_pem)).await.unwrap_err();
    assert_eq!(mismatch.code, ErrorCode::InvalidArgument, "and the token is not spent");

    let reply = cluster.ask(0, enrol(&secret, "datanode-1", &key.csr_pem)).await.unwrap();
    let NamenodeReply::Enrolled { certificate_pem, ca_pem } = reply else { panic!("{reply:?}") };
    denied(cluster.ask(0, enrol(&secret, "datanode-1", &key.csr_pem)).await);

    let certificate = NodeCertificate { cert_pem: certificate_pem, key_pem: key.key_pem.clone() };
    let material = TlsMaterial::from_pem(&ca_pem, &certificate).unwrap();
    assert_eq!(material.identity().roles, ["datanode"]);
    let datanode = FakeDatanode::with_security(&cluster, 1, Security::MutualTls(Arc::new(material)));
    datanode.register(0).await;
    assert!(datanode.heartbeat(0).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_role_is_refused() {
    let cluster = Cluster::started(1, |_| {}).await;
    create_bucket(&cluster).await;
    let datanode = FakeDatanode::new(&cluster, 1);
    datanode.register(0).await;
    let mut writer = Writer::new(&cluster, "gateway-1").await;
    denied(datanode.ask(0, writer.put_request("object")).await);
    denied(datanode.ask(0, get_request("object")).await);
    denied(datanode.ask(0, NamenodeRequest::CreateJoinToken { name: None, lifetime_ms: 1 }).await);
    let registration = NamenodeRequest::RegisterDatanode { datanode: datanode.endpoint(), volumes: datanode.volumes() };
    denied(cluster.ask(0, registration).await);

    let gateway = RpcClient::new(cluster.address(0), security(&cluster.authority, "gateway-1", &["gateway"]));
    for method in [201, 202, 203, 999] {
        match gateway.call(method, bytes::Bytes::from_static(b"anything"), CALL_DEADLINE).await {
            Err(RpcError::Remote(failure)) => {
                let failure: Failure = postcard::from_bytes(&failure).unwrap();
                assert_eq!(failure.code, ErrorCode::AccessDenied);
            }
            other => panic!("{other:?}"),
        }
    }
    let mut stream = gateway.open_stream(203, bytes::Bytes::from_static(b"anything"), CALL_DEADLINE).await.unwrap();
    assert!(stream.recv(CALL_DEADLINE).await.is_err(), "a snapshot of a gateway is cut off");

    let namenode = RpcClient::new(cluster.address(0), security(&cluster.authority, "namenode-9", &["namenode"]));
    denied(ask(&namenode, writer.put_request("object")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datanode_speaks_for_itself_only() {
    let cluster = Cluster::started(1, |_| {}).await;
    // Answered once the cluster is formatted.
    create_bucket(&cluster).await;
    let (first, second) = (FakeDatanode::new(&cluster, 1), FakeDatanode::new(&cluster, 2));
    first.register(0).await;
    second.register(0).await;
    let heartbeat = NamenodeRequest::Heartbeat { datanode: first.id(), volumes: first.volumes() };
    denied(second.ask(0, heartbeat).await);
    let empty = |datanode, volume| NamenodeRequest::BlockReport {
        datanode,
        volume,
        report: 9,
        page: 0,
        last: true,
        replicas: Vec::new(),
    };
    denied(second.ask(0, empty(first.id(), first.volume())).await);
    let foreign = second.ask(0, empty(second.id(), first.volume())).await.unwrap_err();
    assert_eq!(foreign.code, ErrorCode::InvalidArgument);
    let registration = NamenodeRequest::RegisterDatanode { datanode: first.endpoint(), volumes: second.volumes() };
    denied(second.ask(0, registration).await);
    let mut theft = second.endpoint();
    theft.id = first.id();
    denied(second.ask(0, NamenodeRequest::RegisterDatanode { datanode: theft, volumes: first.volumes() }).await);
}

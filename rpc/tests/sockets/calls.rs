//! Calls: many at once, their ends (reply, error, deadline, cancellation, lost peer), and their bounds.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use granary_rpc::{CALL_BODY_BYTES_MAX, RpcClient, RpcClientConfig, RpcError, RpcServerConfig, Security};

use crate::fixture::*;

fn ms(ms: u64) -> Bytes {
    Bytes::copy_from_slice(&ms.to_be_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_at_once_are_answered_out_of_order() {
    for (server_side, client_side) in both_ways() {
        let server = TestServer::start(server_side).await;
        let client = server.client(client_side);
        let begun = Instant::now();
        // The first sent answers last.
        let calls = (0..1000u64).map(|i| {
            let client = client.clone();
            async move {
                let body = ms(1000 - i);
                assert_eq!(client.call(SLEEP, body.clone(), LONG).await.unwrap(), body);
            }
        });
        join_all(calls).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "not one after the other: {:?}", begun.elapsed());
        client.close().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn large_bodies_travel_and_larger_ones_are_refused() {
    for (server_side, client_side) in both_ways() {
        let server = TestServer::start(server_side).await;
        let client = server.client(client_side);
        let body: Bytes = (0..CALL_BODY_BYTES_MAX).map(|i| (i / 7) as u8).collect();
        assert!(client.call(ECHO, body.clone(), LONG).await.unwrap() == body);
        let error = client.call(ECHO, vec![0; CALL_BODY_BYTES_MAX + 1].into(), LONG).await.unwrap_err();
        assert!(matches!(error, RpcError::FrameTooLarge { sent: false, .. }) && !error.was_sent());
        let error = client.call(TOO_LARGE, Bytes::new(), LONG).await.unwrap_err();
        assert!(matches!(error, RpcError::FrameTooLarge { sent: true, .. }) && error.was_sent(), "{error:?}");
        assert_eq!(client.call(ECHO, Bytes::new(), LONG).await.unwrap(), Bytes::new());
        server.stop().await;
    }
}

#[tokio::test]
async fn errors_and_panics_of_the_handler_reach_the_caller() {
    let server = TestServer::start(Security::Plaintext).await;
    let client = server.client(Security::Plaintext);
    let error = client.call(FAIL, Bytes::new(), LONG).await.unwrap_err();
    assert!(matches!(&error, RpcError::Remote(body) if &body[..] == b"no such block") && !error.is_retryable());
    let error = client.call(PANIC, Bytes::new(), LONG).await.unwrap_err();
    assert!(matches!(error, RpcError::HandlerFailed { .. }) && error.was_sent());
    assert!(client.call(ECHO, Bytes::new(), LONG).await.is_ok(), "the connection survives a panic");
    server.stop().await;
}

#[tokio::test]
async fn a_deadline_ends_the_call_at_both_ends() {
    let server = TestServer::start(Security::Plaintext).await;
    let client = server.client(Security::Plaintext);
    client.call(ECHO, Bytes::new(), LONG).await.unwrap();
    let begun = Instant::now();
    let error = client.call(HANG, Bytes::new(), Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(error, RpcError::DeadlineExceeded { sent: true, .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(15));
    eventually("the server stops working on it", || server.calls_running.load(Ordering::SeqCst) == 0).await;
    server.stop().await;
}

#[tokio::test]
async fn dropping_a_call_stops_the_work() {
    let server = TestServer::start(Security::Plaintext).await;
    let client = server.client(Security::Plaintext);
    let mut calls = Vec::new();
    for _ in 0..50 {
        let client = client.clone();
        calls.push(tokio::spawn(async move { client.call(HANG, Bytes::new(), LONG).await }));
    }
    eventually("all are running", || server.calls_running.load(Ordering::SeqCst) == 50).await;
    for call in &calls {
        call.abort();
    }
    eventually("none is running", || server.calls_running.load(Ordering::SeqCst) == 0).await;
    assert!(client.call(ECHO, Bytes::new(), LONG).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_killed_peer_fails_its_calls_and_a_new_one_is_found() {
    for (server_side, client_side) in both_ways() {
        let server = TestServer::start(server_side.clone()).await;
        let (client, addr) = (server.client(client_side), server.addr);
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.call(HANG, Bytes::new(), LONG).await })
            })
            .collect();
        eventually("all are running", || server.calls_running.load(Ordering::SeqCst) == 20).await;
        server.kill().await;
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert!(matches!(error, RpcError::Disconnected { sent: true, .. }), "{error:?}");
            assert!(error.is_retryable() && error.was_sent());
        }
        // Down: an error at once, and one that promises that nothing was done.
        let begun = Instant::now();
        for _ in 0..20 {
            let error = client.call(ECHO, Bytes::new(), LONG).await.unwrap_err();
            assert!(matches!(error, RpcError::ConnectFailed { .. }) && !error.was_sent(), "{error:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let server = TestServer::start_with(server_side, addr, RpcServerConfig::default()).await;
        let deadline = Instant::now() + LONG;
        while let Err(error) = client.call(ECHO, Bytes::new(), LONG).await {
            assert!(Instant::now() < deadline, "never came back: {error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_full_server_says_busy() {
    let config = RpcServerConfig { calls_in_flight_max: 4, ..RpcServerConfig::default() };
    let server = TestServer::start_with(Security::Plaintext, "127.0.0.1:0".parse().unwrap(), config).await;
    let client = server.client(Security::Plaintext);
    let mut calls = Vec::new();
    for _ in 0..4 {
        let client = client.clone();
        calls.push(tokio::spawn(async move { client.call(HANG, Bytes::new(), LONG).await }));
    }
    eventually("four are running", || server.calls_running.load(Ordering::SeqCst) == 4).await;
    let error = client.call(ECHO, Bytes::new(), LONG).await.unwrap_err();
    assert!(matches!(error, RpcError::Busy { .. }) && error.is_retryable() && !error.was_sent());
    calls[0].abort();
    eventually("one has left", || server.calls_running.load(Ordering::SeqCst) == 3).await;
    assert!(client.call(ECHO, Bytes::new(), LONG).await.is_ok());
    server.kill().await;
}

#[tokio::test]
async fn a_full_client_waits_within_the_deadline() {
    let server = TestServer::start(Security::Plaintext).await;
    let config = RpcClientConfig { calls_in_flight_max: 1, ..RpcClientConfig::default() };
    let client = RpcClient::with_config(server.addr.to_string(), Security::Plaintext, config);
    let other = client.clone();
    let hanging = tokio::spawn(async move { other.call(HANG, Bytes::new(), LONG).await });
    eventually("it is running", || server.calls_running.load(Ordering::SeqCst) == 1).await;
    let error = client.call(ECHO, Bytes::new(), Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, RpcError::DeadlineExceeded { sent: false, .. }) && !error.was_sent());
    hanging.abort();
    assert!(client.call(ECHO, Bytes::new(), LONG).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn shutdown_lets_calls_finish_and_takes_no_new_ones() {
    let config = RpcServerConfig { drain_timeout: LONG, ..RpcServerConfig::default() };
    let server = TestServer::start_with(Security::Plaintext, "127.0.0.1:0".parse().unwrap(), config).await;
    let client = server.client(Security::Plaintext);
    let other = client.clone();
    let slow = tokio::spawn(async move { other.call(SLEEP, ms(4_000), LONG).await });
    eventually("it is running", || server.calls_running.load(Ordering::SeqCst) == 1).await;
    server.shutdown.cancel();
    let deadline = Instant::now() + Duration::from_millis(3_500);
    let refused = loop {
        match client.call(ECHO, Bytes::new(), LONG).await {
            Err(error) => break error,
            Ok(_) => assert!(Instant::now() < deadline, "still taking calls"),
        }
    };
    assert!(matches!(refused, RpcError::ShuttingDown { .. }) && !refused.was_sent(), "{refused:?}");
    assert_eq!(slow.await.unwrap().unwrap(), ms(4_000));
    server.task.await.unwrap();
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let config = RpcServerConfig { drain_timeout: Duration::from_millis(200), ..RpcServerConfig::default() };
    let server = TestServer::start_with(Security::Plaintext, "127.0.0.1:0".parse().unwrap(), config).await;
    let client = server.client(Security::Plaintext);
    let hanging = tokio::spawn(async move { client.call(HANG, Bytes::new(), LONG).await });
    eventually("it is running", || server.calls_running.load(Ordering::SeqCst) == 1).await;
    let begun = Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    assert!(matches!(hanging.await.unwrap(), Err(RpcError::Disconnected { .. })));
}

#[tokio::test]
async fn pings_keep_a_quiet_connection_and_notice_a_dead_one() {
    let config = RpcServerConfig { idle_timeout: Duration::from_secs(3), ..RpcServerConfig::default() };
    let server = TestServer::start_with(Security::Plaintext, "127.0.0.1:0".parse().unwrap(), config).await;
    let config = RpcClientConfig { keepalive: Duration::from_millis(200), ..RpcClientConfig::default() };
    let client = RpcClient::with_config(server.addr.to_string(), Security::Plaintext, config.clone());
    // Longer than the server's patience, in one call.
    client.call(SLEEP, ms(5_000), LONG).await.unwrap();
    server.stop().await;

    // A listener that says hello and nothing ever after.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = RpcClient::with_config(mute.local_addr().unwrap().to_string(), Security::Plaintext, config);
    let answer = tokio::spawn(async move { client.call(ECHO, Bytes::new(), LONG).await });
    let (mut peer, _) = mute.accept().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut peer, &hello(0)).await.unwrap();
    let begun = Instant::now();
    let error = answer.await.unwrap().unwrap_err();
    assert!(matches!(error, RpcError::Disconnected { sent: true, .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_closed_client_stays_closed() {
    let server = TestServer::start(Security::Plaintext).await;
    let client = server.client(Security::Plaintext);
    let other = client.clone();
    let hanging = tokio::spawn(async move { other.call(HANG, Bytes::new(), LONG).await });
    eventually("it is running", || server.calls_running.load(Ordering::SeqCst) == 1).await;
    client.close().await;
    assert!(matches!(hanging.await.unwrap(), Err(RpcError::ClientClosed)));
    assert!(matches!(client.call(ECHO, Bytes::new(), LONG).await, Err(RpcError::ClientClosed)));
    eventually("the server notices", || server.calls_running.load(Ordering::SeqCst) == 0).await;
    server.stop().await;
}

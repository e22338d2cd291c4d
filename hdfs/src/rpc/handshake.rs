//! How a connection begins: the seven bytes of the connection header, and SASL where a client asks for it.
//!
//! Only SIMPLE is offered: a name that is claimed, not proved. Whether such a claim counts is the server's decision, made
//! from where the client is.

use super::envelope::{RPC_VERSION, RpcSasl, SaslAuth, SaslState};

/// Bytes of a connection header: `hrpc`, version, service class, authentication protocol.
pub const HEADER_BYTES: usize = 7;
/// The authentication protocol of clients that go straight to the connection context.
const AUTH_NONE: u8 = 0;
/// The authentication protocol of clients that negotiate.
const AUTH_SASL: u8 = 0xdf;

/// What Hadoop answers to a browser that found an RPC port.
pub const HTTP_ANSWER: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\n\r\n\
    It looks like you are making an HTTP request to a Hadoop IPC port. \
    This is not the correct port for the web interface on this daemon.\r\n";

/// What the connection header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The connection context comes next.
    Simple,
    /// SASL comes first.
    Sasl,
    /// A browser.
    Http,
    /// Another version.
    Version(u8),
    /// An authentication protocol nobody knows.
    Authentication(u8),
    /// Something else speaks.
    Stranger,
}

/// Reads a connection header.
pub fn opening(header: [u8; HEADER_BYTES]) -> Opening {
    match header {
        [b'G', b'E', b'T', b' ', ..] => Opening::Http,
        [b'h', b'r', b'p', b'c', version, _, _] if version != RPC_VERSION => Opening::Version(version),
        [b'h', b'r', b'p', b'c', _, _, AUTH_NONE] => Opening::Simple,
        [b'h', b'r', b'p', b'c', _, _, AUTH_SASL] => Opening::Sasl,
        [b'h', b'r', b'p', b'c', _, _, authentication] => Opening::Authentication(authentication),
        _ => Opening::Stranger,
    }
}

/// What follows a SASL message.
#[derive(Clone, Debug, PartialEq)]
pub enum SaslStep {
    /// Send this; another message comes.
    Answer(RpcSasl),
    /// The client chose SIMPLE: nothing is sent, the connection context comes next.
    Simple,
    /// The client wants what is not offered.
    Refused(String),
}

/// Answers a SASL message.
pub fn sasl_step(message: &RpcSasl) -> SaslStep {
    match SaslState::try_from(message.state) {
        Ok(SaslState::Negotiate) => SaslStep::Answer(RpcSasl {
            state: SaslState::Negotiate as i32,
            auths: vec![SaslAuth { method: "SIMPLE".to_owned(), ..SaslAuth::default() }],
            ..RpcSasl::default()
        }),
        Ok(SaslState::Initiate) => match message.auths.as_slice() {
            [auth] if auth.method == "SIMPLE" => SaslStep::Simple,
            [auth] => SaslStep::Refused(format!("{} authentication is not enabled.  Available:[SIMPLE]", auth.method)),
            _ => SaslStep::Refused("SASL initiate has not one authentication method".to_owned()),
        },
        Ok(state) => SaslStep::Refused(format!("SASL message of an unexpected state: {state:?}")),
        Err(_) => SaslStep::Refused("SASL message of an unknown state".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn connection_headers_of_real_clients() {
        assert_eq!(opening(*b"hrpc\x09\x00\x00"), Opening::Simple);
        assert_eq!(opening(*b"hrpc\x09\x00\xdf"), Opening::Sasl);
        assert_eq!(opening(*b"hrpc\x08\x00\x00"), Opening::Version(8));
        assert_eq!(opening(*b"hrpc\x09\x00\x51"), Opening::Authentication(0x51));
        assert_eq!(opening(*b"GET / H"), Opening::Http);
        assert_eq!(opening(*b"\x16\x03\x01\x02\x00\x01\x00"), Opening::Stranger);
    }

    #[test]
    fn negotiation_lists_simple_and_its_choice_needs_no_answer() {
        let negotiate = RpcSasl { state: SaslState::Negotiate as i32, ..RpcSasl::default() };
        let SaslStep::Answer(answer) = sasl_step(&negotiate) else { panic!("an answer") };
        assert_eq!(answer.encode_to_vec(), b"\x10\x01\x22\x0a\x0a\x06SIMPLE\x12\x00");
        let choice = |method: &str| RpcSasl {
            state: SaslState::Initiate as i32,
            auths: vec![SaslAuth { method: method.to_owned(), ..SaslAuth::default() }],
            ..RpcSasl::default()
        };
        assert_eq!(sasl_step(&choice("SIMPLE")), SaslStep::Simple);
        assert!(matches!(sasl_step(&choice("TOKEN")), SaslStep::Refused(_)));
        let response = RpcSasl { state: SaslState::Response as i32, ..RpcSasl::default() };
        assert!(matches!(sasl_step(&response), SaslStep::Refused(_)));
        assert!(matches!(sasl_step(&RpcSasl { state: 77, ..RpcSasl::default() }), SaslStep::Refused(_)));
    }
}

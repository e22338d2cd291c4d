//! The first eight bytes each way on a connection: who speaks what.
//!
//! ```text
//! client: "GRNY" | wire version u16 | purpose u8 (1 calls, 2 streams) | messages version u8
//! server: "GRNY" | wire version u16 | verdict u8 (0 welcome, 1 wire version, 2 purpose, 3 messages version) | messages version u8
//! ```
//!
//! The wire version is that of the frames, the messages version that of what is in them: each side refuses a peer with
//! another one of either, before a message could be misread. These eight bytes never change, so that any two versions can
//! at least tell each other apart. Under TLS 1.3 a client learns only here that the server rejected its certificate.

use std::io;

use granary_protocol::MESSAGES_VERSION;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The version of the frames this build speaks. A peer with another one is refused, by either side.
pub const WIRE_VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"GRNY";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Calls,
    Streams,
}

/// Why a hello exchange did not end in a welcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelloError {
    #[error("the connection ended during the hello: {0}")]
    Io(#[from] io::Error),
    #[error("the peer does not speak Granary's protocol on this port (or one side uses TLS and the other does not)")]
    BadMagic,
    #[error("the peer speaks wire version {theirs}, this process speaks {WIRE_VERSION}")]
    Version { theirs: u16 },
    #[error("the peer speaks version {theirs} of the messages, this process speaks {MESSAGES_VERSION}")]
    Messages { theirs: u8 },
    #[error("the peer does not offer this kind of connection")]
    Purpose,
}

const WELCOME: u8 = 0;
const WRONG_VERSION: u8 = 1;
const WRONG_PURPOSE: u8 = 2;
const WRONG_MESSAGES: u8 = 3;

/// A hello as received.
struct Hello {
    wire: u16,
    /// Purpose or verdict.
    byte: u8,
    messages: u8,
}

/// The client's half: says what it wants and waits for the verdict.
pub(crate) async fn greet(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    purpose: Purpose,
) -> Result<(), HelloError> {
    let byte = match purpose {
        Purpose::Calls => 1,
        Purpose::Streams => 2,
    };
    send(writer, byte).await?;
    let Hello { wire, byte: verdict, messages } = receive(reader).await?;
    if wire != WIRE_VERSION || verdict == WRONG_VERSION {
        return Err(HelloError::Version { theirs: wire });
    }
    if messages != MESSAGES_VERSION || verdict == WRONG_MESSAGES {
        return Err(HelloError::Messages { theirs: messages });
    }
    if verdict == WELCOME { Ok(()) } else { Err(HelloError::Purpose) }
}

/// The server's half: always answers a peer that knows the magic, so that it learns why it is refused.
pub(crate) async fn welcome(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> Result<Purpose, HelloError> {
    let Hello { wire, byte, messages } = receive(reader).await?;
    let (verdict, outcome) = match byte {
        _ if wire != WIRE_VERSION => (WRONG_VERSION, Err(HelloError::Version { theirs: wire })),
        _ if messages != MESSAGES_VERSION => (WRONG_MESSAGES, Err(HelloError::Messages { theirs: messages })),
        1 => (WELCOME, Ok(Purpose::Calls)),
        2 => (WELCOME, Ok(Purpose::Streams)),
        _ => (WRONG_PURPOSE, Err(HelloError::Purpose)),
    };
    send(writer, verdict).await?;
    outcome
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), last: u8) -> io::Result<()> {
    let version = WIRE_VERSION.to_be_bytes();
    let hello = [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], version[0], version[1], last, MESSAGES_VERSION];
    writer.write_all(&hello).await?;
    writer.flush().await
}

async fn receive(reader: &mut (impl AsyncRead + Unpin)) -> Result<Hello, HelloError> {
    // The magic first, alone: a stranger's answer may be shorter than eight bytes.
    let mut magic = [0; 4];
    reader.read_exact(&mut magic).await?;
    if magic != MAGIC {
        return Err(HelloError::BadMagic);
    }
    let mut rest = [0; 4];
    reader.read_exact(&mut rest).await?;
    Ok(Hello { wire: u16::from_be_bytes([rest[0], rest[1]]), byte: rest[2], messages: rest[3] })
}

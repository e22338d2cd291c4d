//! The first eight bytes each way on a connection: who speaks what.
//!
//! ```text
//! client: "GRNY" | wire version u16 | purpose u8 (1 calls, 2 streams) | layout version u8
//! server: "GRNY" | wire version u16 | verdict u8 (0 welcome, 1 wire version, 2 purpose, 3 layout version) | layout version u8
//! ```
//!
//! The wire version is that of the frames, the layout version that of the messages in them: each side refuses a peer with
//! another one of either, before a message could be misread. These eight bytes never change, so that any two versions can
//! at least tell each other apart. Under TLS 1.3 a client learns only here that the server rejected its certificate.

use std::io;

use granary_protocol::LAYOUT_VERSION;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The version of the frames this build speaks. A peer with another one is refused, by either side.
pub const WIRE_VERSION: u16 = 1;

/// The layout version as the hello says it.
const LAYOUT: u8 = LAYOUT_VERSION as u8;
const _: () = assert!(LAYOUT_VERSION <= u8::MAX as u32, "the hello has one byte for it");
/// What builds say that did not compare layouts yet; theirs is 2.
const LAYOUT_UNSAID: u8 = 0;
const LAYOUT_OF_UNSAID: u8 = 2;

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
    #[error("the peer's messages have layout version {theirs}, those of this process {LAYOUT}")]
    Layout { theirs: u8 },
    #[error("the peer does not offer this kind of connection")]
    Purpose,
}

const WELCOME: u8 = 0;
const WRONG_VERSION: u8 = 1;
const WRONG_PURPOSE: u8 = 2;
const WRONG_LAYOUT: u8 = 3;

/// A hello as received.
struct Hello {
    wire: u16,
    /// Purpose or verdict.
    byte: u8,
    layout: u8,
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
    let Hello { wire, byte: verdict, layout } = receive(reader).await?;
    if wire != WIRE_VERSION || verdict == WRONG_VERSION {
        return Err(HelloError::Version { theirs: wire });
    }
    if layout != LAYOUT || verdict == WRONG_LAYOUT {
        return Err(HelloError::Layout { theirs: layout });
    }
    if verdict == WELCOME { Ok(()) } else { Err(HelloError::Purpose) }
}

/// The server's half: always answers a peer that knows the magic, so that it learns why it is refused.
pub(crate) async fn welcome(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> Result<Purpose, HelloError> {
    let Hello { wire, byte, layout } = receive(reader).await?;
    let (verdict, outcome) = match byte {
        _ if wire != WIRE_VERSION => (WRONG_VERSION, Err(HelloError::Version { theirs: wire })),
        _ if layout != LAYOUT => (WRONG_LAYOUT, Err(HelloError::Layout { theirs: layout })),
        1 => (WELCOME, Ok(Purpose::Calls)),
        2 => (WELCOME, Ok(Purpose::Streams)),
        _ => (WRONG_PURPOSE, Err(HelloError::Purpose)),
    };
    send(writer, verdict).await?;
    outcome
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), last: u8) -> io::Result<()> {
    let version = WIRE_VERSION.to_be_bytes();
    let hello = [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], version[0], version[1], last, LAYOUT];
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
    let layout = if rest[3] == LAYOUT_UNSAID { LAYOUT_OF_UNSAID } else { rest[3] };
    Ok(Hello { wire: u16::from_be_bytes([rest[0], rest[1]]), byte: rest[2], layout })
}

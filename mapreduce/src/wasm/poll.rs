//! `poll_oneoff`: the wait for a time. Streams are always said to be ready, as for files: reading them waits.

use super::errno::{Errno, INVALID, SUCCESS};
use super::guest;
use super::wasi::now_ns;
use std::time::Duration;

/// Things waited for in one call at most.
const SUBSCRIPTIONS_MAX: u32 = 1_024;
/// Bytes of what is waited for, and of what has happened.
const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;
/// Kinds of things.
const CLOCK: u8 = 0;
const WRITABLE: u8 = 2;
/// The time is a moment, not a duration.
const IS_MOMENT: u16 = 1;

struct Subscription {
    /// The caller's own name of it.
    user: u64,
    kind: u8,
    /// Nanoseconds until then; none for a stream.
    wait_ns: u64,
}

/// Waits for the first of what is asked for, and writes what has happened; answers how much that is.
pub(super) fn wait(memory: &mut [u8], subscriptions: u32, events: u32, count: u32) -> Result<u32, Errno> {
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Err(INVALID);
    }
    let read = |index| subscription(memory, guest::nth(subscriptions, index, SUBSCRIPTION_BYTES)?);
    let all: Vec<Subscription> = (0..count).map(read).collect::<Result<_, _>>()?;
    let first = all.iter().map(|waited| waited.wait_ns).min().unwrap_or(0);
    std::thread::sleep(Duration::from_nanos(first));
    let mut happened = 0;
    for waited in all.iter().filter(|waited| waited.wait_ns <= first) {
        let mut event = [0; EVENT_BYTES as usize];
        event[..8].copy_from_slice(&waited.user.to_le_bytes());
        event[8..10].copy_from_slice(&(SUCCESS as u16).to_le_bytes());
        event[10] = waited.kind;
        guest::put(memory, guest::nth(events, happened, EVENT_BYTES)?, &event)?;
        happened += 1;
    }
    Ok(happened)
}

fn subscription(memory: &[u8], at: u32) -> Result<Subscription, Errno> {
    let field = |offset| guest::nth(at, offset, 1);
    let user = guest::take_u64(memory, at)?;
    let kind = guest::take_u8(memory, field(8)?)?;
    let wait_ns = match kind {
        CLOCK => {
            let time = guest::take_u64(memory, field(24)?)?;
            match guest::take_u16(memory, field(40)?)? & IS_MOMENT {
                0 => time,
                _ => time.saturating_sub(now_ns(guest::take_u32(memory, field(16)?)?)?),
            }
        }
        _ if kind <= WRITABLE => 0,
        _ => return Err(INVALID),
    };
    Ok(Subscription { user, kind, wait_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_clocks_comes_and_streams_are_ready() {
        let mut memory = vec![0; 1_024];
        for (index, wait_ns) in [(0u32, 1_000u64), (1, u64::MAX)] {
            let at = index * SUBSCRIPTION_BYTES;
            guest::put_u64(&mut memory, at, 70 + u64::from(index)).unwrap();
            guest::put_u64(&mut memory, at + 24, wait_ns).unwrap();
        }
        assert_eq!(wait(&mut memory, 0, 512, 2), Ok(1));
        assert_eq!(guest::take_u64(&memory, 512), Ok(70));
        guest::put(&mut memory, SUBSCRIPTION_BYTES + 8, &[WRITABLE]).unwrap();
        assert_eq!(wait(&mut memory, 0, 512, 2), Ok(1));
        assert_eq!((guest::take_u64(&memory, 512), guest::take_u8(&memory, 522)), (Ok(71), Ok(WRITABLE)));
        assert_eq!(wait(&mut memory, 0, 512, 0), Err(INVALID));
        assert_eq!(wait(&mut memory, 1_000, 512, 1), Err(super::super::errno::FAULT));
    }
}

//! A module's memory, seen from outside: every address it names is checked.

use super::errno::{Errno, FAULT};

/// The place of `length` bytes.
pub(super) fn range(memory: &[u8], address: u32, length: u32) -> Result<std::ops::Range<usize>, Errno> {
    let begin = address as usize;
    let end = begin.checked_add(length as usize).filter(|end| *end <= memory.len()).ok_or(FAULT)?;
    Ok(begin..end)
}

pub(super) fn put(memory: &mut [u8], address: u32, bytes: &[u8]) -> Result<(), Errno> {
    let length = u32::try_from(bytes.len()).map_err(|_| FAULT)?;
    let range = range(memory, address, length)?;
    memory[range].copy_from_slice(bytes);
    Ok(())
}

pub(super) fn put_u32(memory: &mut [u8], address: u32, value: u32) -> Result<(), Errno> {
    put(memory, address, &value.to_le_bytes())
}

pub(super) fn put_u64(memory: &mut [u8], address: u32, value: u64) -> Result<(), Errno> {
    put(memory, address, &value.to_le_bytes())
}

fn take<const N: usize>(memory: &[u8], address: u32) -> Result<[u8; N], Errno> {
    let range = range(memory, address, N as u32)?;
    memory[range].try_into().map_err(|_| FAULT)
}

pub(super) fn take_u8(memory: &[u8], address: u32) -> Result<u8, Errno> {
    take(memory, address).map(u8::from_le_bytes)
}

pub(super) fn take_u16(memory: &[u8], address: u32) -> Result<u16, Errno> {
    take(memory, address).map(u16::from_le_bytes)
}

pub(super) fn take_u32(memory: &[u8], address: u32) -> Result<u32, Errno> {
    take(memory, address).map(u32::from_le_bytes)
}

pub(super) fn take_u64(memory: &[u8], address: u32) -> Result<u64, Errno> {
    take(memory, address).map(u64::from_le_bytes)
}

/// The address of the `index`-th of things that take `each` bytes.
pub(super) fn nth(address: u32, index: u32, each: u32) -> Result<u32, Errno> {
    index.checked_mul(each).and_then(|offset| address.checked_add(offset)).ok_or(FAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_touched() {
        let mut memory = vec![0; 16];
        put_u32(&mut memory, 12, 7).unwrap();
        assert_eq!(take_u32(&memory, 12), Ok(7));
        assert_eq!(put_u32(&mut memory, 13, 7), Err(FAULT));
        assert_eq!(take_u64(&memory, u32::MAX), Err(FAULT));
        assert_eq!(range(&memory, 16, 0), Ok(16..16));
        assert_eq!(range(&memory, u32::MAX, u32::MAX), Err(FAULT));
        assert_eq!(nth(8, u32::MAX, 8), Err(FAULT));
    }
}

//! Numbers by which WASI says what went wrong.

/// What a call answers; zero is success.
pub(super) type Errno = i32;

pub(super) const SUCCESS: Errno = 0;
pub(super) const BAD_FD: Errno = 8;
pub(super) const FAULT: Errno = 21;
pub(super) const INVALID: Errno = 28;
pub(super) const IO: Errno = 29;
pub(super) const NO_SYSTEM_CALL: Errno = 52;
pub(super) const PIPE: Errno = 64;
pub(super) const NOT_SEEKABLE: Errno = 70;

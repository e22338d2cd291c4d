//! The bounds of a job. Sizes in bytes, times in milliseconds unless the name says otherwise.

pub const NAME_BYTES_MAX: usize = 256;
pub const INPUTS_MAX: usize = 1_000;
/// A URL: scheme, bucket and a key of 1,024 bytes, escaped.
pub const URL_BYTES_MAX: usize = 4_096;
pub const REDUCES_MAX: u32 = 10_000;
pub const MAPS_MAX: usize = 1_000_000;
pub const ATTEMPTS_MAX: u32 = 100;
pub const ATTEMPTS_DEFAULT: u32 = 4;
pub const TIMEOUT_MS_DEFAULT: u64 = 600_000;
pub const TIMEOUT_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// A block.
pub const SPLIT_BYTES_DEFAULT: u64 = 128 << 20;
/// The last split of an object may be this much longer, in per mille of the split size (`SPLIT_SLOP`).
pub const SPLIT_SLOP_PERMILLE: u64 = 1_100;
/// Objects below this share of a split are packed together, several to a split.
pub const PACKED_PART: u64 = 4;
/// Objects in one split.
pub const SPLIT_FILES_MAX: usize = 1_000;

pub const LINE_BYTES_DEFAULT: u32 = 16 << 20;
pub const LINE_BYTES_MAX: u32 = 128 << 20;
/// Of a record of `terasort`.
pub const TERA_RECORD_BYTES: u64 = 100;
pub const TERA_ROWS_MAX: u64 = 1 << 40;

pub const COMMAND_ARGUMENTS_MAX: usize = 1_000;
pub const COMMAND_BYTES_MAX: usize = 64 << 10;
pub const PATTERN_BYTES_MAX: usize = 4 << 10;
pub const SEPARATOR_BYTES_MAX: usize = 16;
pub const KEY_FIELDS_MAX: u32 = 1_000;

/// Entries of the environment, and of the settings that are exported to it.
pub const ENVIRONMENT_MAX: usize = 500;
/// Their bytes together, below what a process may be started with.
pub const ENVIRONMENT_BYTES_MAX: usize = 64 << 10;
pub const FILES_MAX: usize = 100;
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Bytes of files inside of the specification, together.
pub const INLINE_BYTES_MAX: usize = 1 << 20;

pub const BUFFER_BYTES_MIN: u64 = 8 << 20;
pub const BUFFER_BYTES_DEFAULT: u64 = 256 << 20;
/// Offsets in the sort buffer are 32 bits.
pub const BUFFER_BYTES_MAX: u64 = 4 << 30;
pub const PROCESS_MEMORY_MIN: u64 = 16 << 20;
pub const PROCESS_MEMORY_DEFAULT: u64 = 4 << 30;
pub const PROCESS_MEMORY_MAX: u64 = 1 << 44;
pub const CPU_SECONDS_DEFAULT: u64 = 6 * 3_600;
pub const CPU_SECONDS_MAX: u64 = 7 * 24 * 3_600;
pub const PROCESSES_DEFAULT: u32 = 128;
pub const PROCESSES_MAX: u32 = 4_096;
pub const OPEN_FILES_MIN: u32 = 16;
pub const OPEN_FILES_DEFAULT: u32 = 1_024;
pub const OPEN_FILES_MAX: u32 = 65_536;
pub const SCRATCH_BYTES_DEFAULT: u64 = 16 << 30;
pub const SCRATCH_BYTES_MIN: u64 = 1 << 20;
pub const SCRATCH_BYTES_MAX: u64 = 1 << 44;

/// User counters of a job, and the bytes of a counter's group and name.
pub const COUNTERS_MAX: usize = 120;
pub const COUNTER_NAME_BYTES_MAX: usize = 128;
/// Bytes of a status line.
pub const STATUS_BYTES_MAX: usize = 512;
/// Bytes of the end of a task's standard error that are kept.
pub const STDERR_BYTES_MAX: usize = 64 << 10;

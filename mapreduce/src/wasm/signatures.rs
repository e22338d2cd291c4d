//! The calls of WASI preview 1 and what they take: `i` for 32 bits, `I` for 64. Each answers an error number, but
//! `proc_exit`, which does not return.

/// Where modules import them from.
pub(super) const WASI: &str = "wasi_snapshot_preview1";
/// The one without an answer.
pub(super) const PROC_EXIT: &str = "proc_exit";

/// Those that do something here; `wasi` links them.
pub(super) const ANSWERED: [(&str, &str); 19] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_close", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_filestat_get", "ii"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_read", "iiii"),
    ("fd_seek", "iIii"),
    ("fd_write", "iiii"),
    ("poll_oneoff", "iiii"),
    (PROC_EXIT, "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
];

/// Those of files, sockets and signals, which answer that there is no such call.
pub(super) const UNANSWERED: [(&str, &str); 27] = [
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_datasync", "i"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_pwrite", "iiiIi"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("proc_raise", "i"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// What a call takes, if there is one of that name.
pub(super) fn parameters_of(name: &str) -> Option<&'static str> {
    ANSWERED.iter().chain(&UNANSWERED).find(|(known, _)| *known == name).map(|(_, parameters)| *parameters)
}

//! The disks of the simulated machines. Files are real files under a temporary directory, which is the machine's page cache;
//! beside them stands what of each is on stable storage, and in which order the rest was asked for.
//!
//! The model: data reaches the disk with the sync of its file, names with the sync of their directory and in the order in
//! which they were changed. Nothing else is promised, so a power cut may take anything else ([`super::crash`]).

use crate::random::Random;
use crate::trace;
use granary_rpc::BlockingInTurn;
use libc::{c_int, c_long};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What every volume says it has.
pub const CAPACITY_BYTES: u64 = 64 << 30;
/// Free space of a volume that is not full.
const FREE_BYTES: u64 = 50 << 30;

/// A file, whatever it is called.
pub(super) type FileId = u64;

/// A name on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Directory,
    File(FileId),
}

/// A change of names.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Add(PathBuf, Entry),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// A change of a file's bytes.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Write { offset: u64, data: Vec<u8> },
    Cut { length: u64 },
}

/// What is on stable storage of a file, and what is not yet.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// Bytes up to the last one written; zeros follow up to `length`.
    pub(super) stable: Vec<u8>,
    pub(super) length: u64,
    pub(super) edits: Vec<Edit>,
}

impl File {
    pub(super) fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Write { offset, data } => {
                let end = *offset as usize + data.len();
                if self.stable.len() < end {
                    self.stable.resize(end, 0);
                }
                self.stable[*offset as usize..end].copy_from_slice(data);
                self.length = self.length.max(end as u64);
            }
            Edit::Cut { length } => {
                self.stable.truncate(*length as usize);
                self.length = *length;
            }
        }
    }
}

/// What is wrong with a machine's disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Writes are refused for want of space.
    pub full: bool,
    /// How long a sync takes.
    pub sync: Duration,
    /// Syncs say that they are done and do nothing.
    pub skips_syncs: bool,
    /// The machine is going down: nothing is done any more.
    pub frozen: bool,
}

/// The disk of one machine.
#[derive(Default)]
pub(super) struct Machine {
    /// Names as programs see them, and as they are on stable storage.
    pub(super) names: BTreeMap<PathBuf, Entry>,
    pub(super) stable_names: BTreeMap<PathBuf, Entry>,
    /// What leads from the latter to the former.
    pub(super) changes: Vec<Change>,
    pub(super) faults: Faults,
}

/// An open file.
enum Open {
    Directory(usize, PathBuf),
    File(usize, FileId),
}

/// The disks of all machines.
pub struct Disk {
    pub(super) root: PathBuf,
    pub(super) machines: Vec<Machine>,
    pub(super) files: BTreeMap<FileId, File>,
    open: BTreeMap<c_int, Open>,
    pub(super) next_file: FileId,
    pub(super) random: Random,
}

type Answer = Result<c_long, c_int>;

impl Disk {
    /// Empty disks, one a machine, under `root`, which exists.
    pub fn new(root: PathBuf, machines: usize, seed: u64) -> Disk {
        let machines: Vec<Machine> = (0..machines).map(|_| Machine::default()).collect();
        let random = Random::new(seed, 2);
        let mut disk = Disk { root, machines, files: BTreeMap::new(), open: BTreeMap::new(), next_file: 1, random };
        for machine in 0..disk.machines.len() {
            let path = disk.directory(machine);
            std::fs::create_dir_all(&path).expect("the temporary directory takes directories");
            disk.machines[machine].names.insert(path.clone(), Entry::Directory);
            disk.machines[machine].stable_names.insert(path, Entry::Directory);
        }
        disk
    }

    /// Where a machine's files are.
    pub fn directory(&self, machine: usize) -> PathBuf {
        self.root.join(format!("m{machine}"))
    }

    /// What is wrong with a machine's disk.
    pub fn faults(&mut self, machine: usize) -> &mut Faults {
        &mut self.machines[machine].faults
    }

    fn machine_of(&self, path: &[u8]) -> Option<(usize, PathBuf)> {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        let name = path.strip_prefix(&self.root).ok()?.components().next()?;
        let number = name.as_os_str().to_str()?.strip_prefix('m')?.parse().ok()?;
        (number < self.machines.len()).then(|| (number, path.to_owned()))
    }

    pub(super) fn knows(&self, fd: c_int) -> bool {
        self.open.contains_key(&fd)
    }

    pub(super) fn may_open(&mut self, path: &[u8], flags: c_int) -> Option<Answer> {
        let (machine, path) = self.machine_of(path)?;
        let machine = &self.machines[machine];
        if machine.faults.frozen {
            return Some(Err(libc::EIO));
        }
        let makes = flags & libc::O_CREAT != 0 && !machine.names.contains_key(&path);
        (makes && machine.faults.full).then_some(Err(libc::ENOSPC))
    }

    pub(super) fn opened(&mut self, path: &[u8], flags: c_int, fd: c_int) -> Option<Answer> {
        self.open.remove(&fd);
        let (number, path) = self.machine_of(path)?;
        let machine = &mut self.machines[number];
        let open = match machine.names.get(&path) {
            Some(Entry::Directory) => Open::Directory(number, path),
            Some(Entry::File(file)) => {
                if flags & libc::O_TRUNC != 0 {
                    self.files.entry(*file).or_default().edits.push(Edit::Cut { length: 0 });
                }
                Open::File(number, *file)
            }
            None => {
                let file = self.next_file;
                self.next_file += 1;
                self.files.insert(file, File::default());
                machine.names.insert(path.clone(), Entry::File(file));
                machine.changes.push(Change::Add(path, Entry::File(file)));
                Open::File(number, file)
            }
        };
        self.open.insert(fd, open);
        None
    }

    pub(super) fn may_write(&mut self, fd: c_int, offset: u64, data: &[u8]) -> Option<Answer> {
        let Some(Open::File(machine, file)) = self.open.get(&fd) else { return None };
        let faults = &self.machines[*machine].faults;
        if faults.frozen {
            return Some(Err(libc::EIO));
        }
        if faults.full {
            return Some(Err(libc::ENOSPC));
        }
        trace::note("write", &[*machine as u64, *file, offset], data);
        let edit = Edit::Write { offset, data: data.to_vec() };
        self.files.get_mut(file)?.edits.push(edit);
        None
    }

    pub(super) fn may_cut(&mut self, fd: c_int, length: u64) -> Option<Answer> {
        let Some(Open::File(machine, file)) = self.open.get(&fd) else { return None };
        if self.machines[*machine].faults.frozen {
            return Some(Err(libc::EIO));
        }
        trace::note("cut", &[*machine as u64, *file, length], &[]);
        self.files.get_mut(file)?.edits.push(Edit::Cut { length });
        None
    }

    pub(super) fn sync(&mut self, fd: c_int) -> Option<Answer> {
        let open = self.open.get(&fd)?;
        let (Open::Directory(machine, _) | Open::File(machine, _)) = open;
        let faults = self.machines[*machine].faults;
        if faults.frozen {
            return Some(Err(libc::EIO));
        }
        BlockingInTurn::owe(faults.sync.mul_f64(0.5 + self.random.range(0, 100) as f64 / 100.0));
        if faults.skips_syncs {
            return Some(Ok(0));
        }
        match open {
            Open::Directory(machine, path) => {
                trace::note("sync names", &[*machine as u64], &[]);
                let (machine, path) = (*machine, path.clone());
                self.machines[machine].sync_names(&path);
            }
            Open::File(machine, file) => {
                trace::note("sync", &[*machine as u64, *file], &[]);
                let file = self.files.get_mut(file)?;
                for edit in std::mem::take(&mut file.edits) {
                    file.apply(&edit);
                }
                file.length = file.length.max(real_length(fd));
            }
        }
        Some(Ok(0))
    }

    pub(super) fn may_change(&mut self, path: &[u8]) -> Option<Answer> {
        let (machine, _) = self.machine_of(path)?;
        self.machines[machine].faults.frozen.then_some(Err(libc::EIO))
    }

    pub(super) fn renamed(&mut self, from: &[u8], to: &[u8]) -> Option<Answer> {
        let ((machine, from), (_, to)) = (self.machine_of(from)?, self.machine_of(to)?);
        trace::note("rename", &[machine as u64], self.relative(&to).as_bytes());
        self.machines[machine].change(Change::Rename(from, to));
        None
    }

    pub(super) fn removed(&mut self, path: &[u8]) -> Option<Answer> {
        let (machine, path) = self.machine_of(path)?;
        trace::note("remove", &[machine as u64], self.relative(&path).as_bytes());
        self.machines[machine].change(Change::Remove(path));
        None
    }

    pub(super) fn made_directory(&mut self, path: &[u8]) -> Option<Answer> {
        let (machine, path) = self.machine_of(path)?;
        self.machines[machine].change(Change::Add(path, Entry::Directory));
        None
    }

    /// Of the volume that `path` is on.
    pub(super) fn free_bytes(&self, path: &[u8]) -> Option<u64> {
        let (machine, _) = self.machine_of(path)?;
        Some(if self.machines[machine].faults.full { 0 } else { FREE_BYTES })
    }

    /// The name of a file without where the run keeps its files, which is another directory each time.
    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// The files of a machine whose path contains `part`, with their lengths.
    pub fn files_with(&self, machine: usize, part: &str) -> Vec<(PathBuf, u64)> {
        let names = self.machines[machine].names.iter();
        let files = names.filter_map(|(path, entry)| match entry {
            Entry::File(_) => Some(path.clone()),
            Entry::Directory => None,
        });
        let named = files.filter(|path| path.to_string_lossy().contains(part));
        named.filter_map(|path| Some((path.clone(), std::fs::metadata(&path).ok()?.len()))).collect()
    }

    /// Flips a bit of a file, on stable storage and in memory.
    pub fn flip_bit(&mut self, machine: usize, path: &Path) {
        use std::os::unix::fs::FileExt;
        let Some(Entry::File(file)) = self.machines[machine].names.get(path).copied() else { return };
        let Some(stable) = self.files.get_mut(&file).map(|file| &mut file.stable).filter(|bytes| !bytes.is_empty())
        else {
            return;
        };
        let at = self.random.range(0, stable.len() as u64);
        stable[at as usize] ^= 1 << self.random.range(0, 8);
        let real = std::fs::File::options().write(true).open(path);
        let flipped = real.and_then(|real| real.write_all_at(&stable[at as usize..=at as usize], at));
        flipped.expect("a file of the temporary directory can be written");
    }

    pub(super) fn forget_open(&mut self, machine: usize) {
        self.open.retain(|_, open| !matches!(open, Open::Directory(of, _) | Open::File(of, _) if *of == machine));
    }
}

impl Machine {
    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.changes.push(change);
    }

    /// Names of `directory` are on stable storage from now on, and so is every change before the last of them.
    fn sync_names(&mut self, directory: &Path) {
        let within = |path: &PathBuf| path.parent() == Some(directory);
        let touches = |change: &Change| match change {
            Change::Add(path, _) | Change::Remove(path) => within(path),
            Change::Rename(from, to) => within(from) || within(to),
        };
        let until = self.changes.iter().rposition(touches).map_or(0, |last| last + 1);
        for change in self.changes.drain(..until) {
            apply(&mut self.stable_names, &change);
        }
    }
}

pub(super) fn apply(names: &mut BTreeMap<PathBuf, Entry>, change: &Change) {
    match change {
        Change::Add(path, entry) => {
            names.insert(path.clone(), *entry);
        }
        Change::Remove(path) => {
            names.remove(path);
        }
        Change::Rename(from, to) => {
            if let Some(entry) = names.remove(from) {
                names.insert(to.clone(), entry);
            }
        }
    }
}

#[allow(unsafe_code, reason = "the length of a file that is known by its descriptor alone")]
fn real_length(fd: c_int) -> u64 {
    // SAFETY: all zeros is a `stat`, and it is writable; an error leaves it so.
    unsafe {
        let mut stat: libc::stat64 = std::mem::zeroed();
        libc::fstat64(fd, &raw mut stat);
        stat.st_size as u64
    }
}

//! What is left on a disk after the power was cut: what was synced, and of the rest whatever chance has brought there.
//!
//! Changes of names survive up to some point and none after it. Of bytes any sector of any write may be there or not, whatever
//! came before or after it.

use super::disk::{Disk, Edit, Entry, File, FileId, apply};
use crate::trace;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;

/// The unit that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

impl Disk {
    /// The processes of a machine are gone; their files are not touched.
    pub fn processes_ended(&mut self, machine: usize) {
        self.forget_open(machine);
        self.machines[machine].faults.frozen = false;
    }

    /// The power of a machine was cut. Its processes are gone already.
    ///
    /// # Panics
    /// When the temporary directory cannot be written.
    pub fn power_was_cut(&mut self, machine: usize) {
        self.processes_ended(machine);
        let kept = self.random.range(0, self.machines[machine].changes.len() as u64 + 1) as usize;
        trace::note("power cut", &[machine as u64, kept as u64], &[]);
        let on_machine = &mut self.machines[machine];
        let mut names = std::mem::take(&mut on_machine.stable_names);
        on_machine.changes.iter().take(kept).for_each(|change| apply(&mut names, change));
        on_machine.changes.clear();
        let before: Vec<FileId> = on_machine.names.values().filter_map(file_of).collect();
        let left: BTreeMap<FileId, File> =
            names.values().filter_map(file_of).map(|id| (id, self.left_of(id))).collect();
        before.iter().for_each(|id| drop(self.files.remove(id)));
        let directory = self.directory(machine);
        fs::remove_dir_all(&directory).expect("the temporary directory can be emptied");
        for (path, entry) in &names {
            match entry {
                Entry::Directory => fs::create_dir_all(path).expect("the temporary directory takes directories"),
                Entry::File(id) => {
                    let file = fs::File::create(path).expect("the temporary directory takes files");
                    let bytes = &left[id];
                    file.write_all_at(&bytes.stable, 0).expect("the temporary directory takes bytes");
                    file.set_len(bytes.length).expect("the temporary directory takes bytes");
                }
            }
        }
        self.files.extend(left);
        self.machines[machine].stable_names = names.clone();
        self.machines[machine].names = names;
    }

    /// What is left of a file.
    fn left_of(&mut self, id: FileId) -> File {
        let Some(mut file) = self.files.get(&id).cloned() else { return File::default() };
        for edit in std::mem::take(&mut file.edits) {
            match edit {
                Edit::Cut { .. } if self.random.chance(50) => file.apply(&edit),
                Edit::Cut { .. } => {}
                Edit::Write { offset, data } => {
                    let fate = self.random.range(0, 3);
                    for (at, sector) in sectors(offset, &data) {
                        if fate == 1 || (fate == 2 && self.random.chance(50)) {
                            file.apply(&Edit::Write { offset: at, data: sector.to_vec() });
                        }
                    }
                }
            }
        }
        file
    }
}

fn file_of(entry: &Entry) -> Option<FileId> {
    match entry {
        Entry::File(id) => Some(*id),
        Entry::Directory => None,
    }
}

/// The parts of a write that lie in one sector each, with their offsets.
fn sectors(offset: u64, mut data: &[u8]) -> Vec<(u64, &[u8])> {
    let mut parts = Vec::new();
    let mut at = offset;
    while !data.is_empty() {
        let room = SECTOR_BYTES - (at as usize % SECTOR_BYTES);
        let (part, rest) = data.split_at(room.min(data.len()));
        parts.push((at, part));
        at += part.len() as u64;
        data = rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_divided_at_sectors() {
        let data = [7; 1200];
        let parts = sectors(500, &data);
        assert_eq!(
            parts.iter().map(|(at, part)| (*at, part.len())).collect::<Vec<_>>(),
            [(500, 12), (512, 512), (1024, 512), (1536, 164)]
        );
    }
}

//! What no policy can do better than, if it knew all jobs beforehand.
//!
//! How much can be local is a flow: the work of a block's maps goes to the nodes that hold the block, and a node takes as
//! much as its slots get through in the shortest makespan. The largest flow is found by shortest augmenting paths (Edmonds,
//! Karp, 1972). Work may be divided and comes at any time, so the true optimum may be less. Small jobs are let in first: a
//! path that lets in more never takes out what is in.

use crate::workload::{Shape, SimulatedJob};
use std::collections::{HashMap, VecDeque};

/// Bounds over a run's jobs.
pub struct Optimum {
    /// Percent of the work of maps beside its input, of all jobs and of small ones.
    pub local_percent: f64,
    pub small_local_percent: f64,
    /// Milliseconds that each job takes at least: its longest tasks, at once, on usual nodes.
    pub small_response_ms: Vec<u64>,
    pub response_ms: Vec<u64>,
}

/// Of these jobs on nodes of this slowness (thousandths of the usual time), in so many milliseconds.
pub fn of(shape: &Shape, jobs: &[SimulatedJob], slowness: &[u64], makespan_ms: f64, start_ms: u64) -> Optimum {
    let capacity = |slow: &u64| (makespan_ms * f64::from(shape.slots) * 1_000.0 / *slow as f64) as u64;
    let mut flow = Flow::new(slowness.iter().map(capacity).collect());
    let [small, large] = [true, false].map(|small| {
        let work =
            jobs.iter().filter(|job| job.is_small() == small).flat_map(|job| job.plan.maps.iter().zip(&job.map_ms));
        let (mut offered, before) = (0, flow.through);
        for (map, &ms) in work {
            offered += ms;
            flow.offer(map.input.0, ms, map.replicas.iter().map(|node| node.0 as usize));
        }
        flow.augment();
        (offered, flow.through - before)
    });
    let least = |job: &SimulatedJob| {
        let stages =
            [&job.map_ms, &job.reduce_ms].map(|stage| stage.iter().max().map_or(0, |longest| longest + start_ms));
        stages.iter().sum::<u64>()
    };
    Optimum {
        local_percent: percent(small.1 + large.1, small.0 + large.0),
        small_local_percent: percent(small.1, small.0),
        small_response_ms: jobs.iter().filter(|job| job.is_small()).map(least).collect(),
        response_ms: jobs.iter().map(least).collect(),
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Blocks with work on the left, nodes on the right.
struct Flow {
    /// Room left on each node.
    room: Vec<u64>,
    blocks: Vec<Block>,
    numbers: HashMap<u64, usize>,
    /// On each node, by block: the work it has taken.
    taken: Vec<HashMap<usize, u64>>,
    through: u64,
}

struct Block {
    /// Work that has found no node yet.
    waiting: u64,
    nodes: Vec<usize>,
}

impl Flow {
    fn new(room: Vec<u64>) -> Flow {
        let taken = room.iter().map(|_| HashMap::new()).collect();
        Flow { room, blocks: Vec::new(), numbers: HashMap::new(), taken, through: 0 }
    }

    fn offer(&mut self, block: u64, work: u64, nodes: impl Iterator<Item = usize>) {
        let next = self.blocks.len();
        let number = *self.numbers.entry(block).or_insert(next);
        if number == next {
            self.blocks.push(Block { waiting: 0, nodes: nodes.collect() });
        }
        self.blocks[number].waiting += work;
    }

    /// Lets through what can be.
    fn augment(&mut self) {
        // Most finds room at once.
        for block in 0..self.blocks.len() {
            for at in 0..self.blocks[block].nodes.len() {
                let node = self.blocks[block].nodes[at];
                let moved = self.blocks[block].waiting.min(self.room[node]);
                self.place(block, node, moved);
            }
        }
        for block in 0..self.blocks.len() {
            // Where there is no path now there is none later: room only shrinks.
            while self.blocks[block].waiting > 0
                && let Some(path) = self.path_from(block)
            {
                self.shift(&path);
            }
        }
    }

    fn place(&mut self, block: usize, node: usize, work: u64) {
        if work > 0 {
            self.blocks[block].waiting -= work;
            self.room[node] -= work;
            *self.taken[node].entry(block).or_default() += work;
            self.through += work;
        }
    }

    /// The shortest way from a block to a node with room: block, node, a block there that can move on, its node, …
    fn path_from(&self, block: usize) -> Option<Vec<(usize, usize)>> {
        let mut came_from: HashMap<usize, (usize, Option<usize>)> = HashMap::new();
        let mut queue: VecDeque<usize> = VecDeque::new();
        let reach = |block: usize, from: Option<usize>, came: &mut HashMap<_, _>, queue: &mut VecDeque<usize>| {
            for &node in &self.blocks[block].nodes {
                came.entry(node).or_insert_with(|| {
                    queue.push_back(node);
                    (block, from)
                });
            }
        };
        reach(block, None, &mut came_from, &mut queue);
        while let Some(node) = queue.pop_front() {
            if self.room[node] > 0 {
                let (mut path, mut at) = (Vec::new(), Some(node));
                while let Some(node) = at {
                    let (block, from) = came_from[&node];
                    path.push((block, node));
                    at = from;
                }
                path.reverse();
                return Some(path);
            }
            for &other in self.taken[node].keys() {
                reach(other, Some(node), &mut came_from, &mut queue);
            }
        }
        None
    }

    /// Moves as much as the path allows, its last step first.
    fn shift(&mut self, path: &[(usize, usize)]) {
        let (first, last) = (path[0].0, path[path.len() - 1].1);
        let held = path.windows(2).map(|pair| self.taken[pair[0].1].get(&pair[1].0).copied().unwrap_or(0));
        let work = held.min().unwrap_or(u64::MAX).min(self.blocks[first].waiting).min(self.room[last]);
        self.blocks[first].waiting -= work;
        self.room[last] -= work;
        self.through += work;
        for pair in path.windows(2) {
            let (from, moving) = (pair[0].1, pair[1].0);
            let left = self.taken[from].get_mut(&moving).expect("the path goes through what lies there");
            *left -= work;
            if *left == 0 {
                self.taken[from].remove(&moving);
            }
        }
        for &(block, node) in path {
            *self.taken[node].entry(block).or_default() += work;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(room: &[u64], offers: &[(u64, u64, &[usize])]) -> u64 {
        let mut flow = Flow::new(room.to_vec());
        for (block, work, nodes) in offers {
            flow.offer(*block, *work, nodes.iter().copied());
        }
        flow.augment();
        flow.through
    }

    #[test]
    fn a_crowded_node_takes_what_it_has_room_for() {
        assert_eq!(through(&[10, 10], &[(1, 8, &[0]), (2, 8, &[0])]), 10);
    }

    #[test]
    fn what_can_go_elsewhere_makes_room() {
        assert_eq!(through(&[10, 10], &[(1, 10, &[0, 1]), (2, 10, &[0])]), 20);
        let chain: &[(u64, u64, &[usize])] = &[(1, 10, &[0, 1]), (2, 10, &[1, 2]), (3, 10, &[2, 3]), (4, 10, &[0])];
        assert_eq!(through(&[10; 4], chain), 40);
    }

    #[test]
    fn work_is_divided_where_that_helps() {
        assert_eq!(through(&[5, 5, 5], &[(1, 10, &[0, 1]), (2, 5, &[1, 2])]), 15);
    }
}

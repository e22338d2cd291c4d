//! The settings of placement, with their units and defaults.

/// Who is offered a slot first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The job that was submitted first.
    Fifo,
    /// The user with the fewest slots for their weight, then their job with the fewest slots, then the first.
    Fair,
    /// A user whose unfinished jobs have, together with what was started lately, fewer than `first_tasks` tasks goes before all
    /// others; then as above. A start counts half after `half_life_ms`. So a small job gets every slot that falls free until it is done, whatever else runs and
    /// however few slots there are, and users with much to do share slots.
    SmallFirst { first_tasks: u64, half_life_ms: u64 },
}

impl Order {
    /// How long it takes until a start counts half.
    pub(super) fn half_life_ms(self) -> u64 {
        match self {
            Order::SmallFirst { half_life_ms, .. } => half_life_ms.max(1),
            Order::Fifo | Order::Fair => 1,
        }
    }
}

/// How long a task waits for a slot beside its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all: the job whose turn it is takes the slot for whichever of its tasks is nearest.
    None,
    /// A constant time, first for the node and then for the rack (Zaharia et al.: "Delay scheduling", 2010).
    Fixed { node_ms: u64, rack_ms: u64 },
    /// While the expected wait for a slot beside a replica costs less than the expected loss by reading from afar.
    ByCost {
        /// What reading from afar is taken to cost at least, in thousandths of the task's time on its own node: it takes
        /// bandwidth from others, which its own time does not show.
        remote_cost_min_permille: u64,
        /// No task waits longer than this many times its own expected time.
        wait_max_factor: u64,
    },
}

/// All settings. [`Policy::default`] is what is meant to be used; the rest is for comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub order: Order,
    pub patience: Patience,
    /// Attempts of a task that may fail before its job does. Hadoop's `mapreduce.map.maxattempts`.
    pub failures_max: u32,
    /// How often a map's output may turn out to be unreadable before its job fails.
    pub outputs_lost_max: u32,
    /// Failures of a job's tasks on a node after which no more of that job go there.
    pub node_failures_max: u32,
    /// Failures of any jobs' tasks on a node, each halved every `quarantine_half_life_ms`, after which it gets no tasks;
    /// unless tasks fail on the other nodes, too.
    pub quarantine_failures: u64,
    /// Milliseconds.
    pub quarantine_half_life_ms: u64,
    /// Whether stragglers are overtaken.
    pub speculation: bool,
    /// Speculative attempts at most, in thousandths of all that run, and never fewer than one.
    pub speculation_max_permille: u64,
    /// Attempts younger than this, in milliseconds, are no stragglers.
    pub speculation_age_min_ms: u64,
    /// Reads over the network into one node at a time.
    pub remote_reads_max: u32,
    /// Waiting tasks per replica of one input from which another replica is asked for.
    pub hot_input_tasks: u32,
    /// How often waiting tasks are weighed against idle slots, in milliseconds.
    pub review_ms: u64,
    /// What a task is thought to take before any has ended, in milliseconds.
    pub first_guess_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            order: Order::SmallFirst { first_tasks: 32, half_life_ms: 30_000 },
            patience: Patience::ByCost { remote_cost_min_permille: 500, wait_max_factor: 3 },
            failures_max: 4,
            outputs_lost_max: 16,
            node_failures_max: 3,
            quarantine_failures: 10,
            quarantine_half_life_ms: 600_000,
            speculation: true,
            speculation_max_permille: 100,
            speculation_age_min_ms: 1_000,
            remote_reads_max: 4,
            hot_input_tasks: 24,
            review_ms: 100,
            first_guess_ms: 10_000,
        }
    }
}

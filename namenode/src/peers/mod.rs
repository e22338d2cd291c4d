//! Who the peers are: what a peer knows of itself, how the first peers find each other, and how a peer joins, goes, or
//! takes another one's place while the others serve.
//!
//! **A disk votes once.** A peer's log carries a random *incarnation*. The first peers of a cluster exchange theirs before
//! any of them votes, and each remembers those of the others; a peer that comes back with an empty directory has another
//! one, is refused, and ends: what it had promised went with its disk. Peers that come later get a number that was never
//! given out before, are learners until they hold what the leader holds, and speak Raft under that number only.

mod change;
mod door;
mod founding;
mod hand_over;
mod identity;
pub(crate) mod words;

pub use door::PeerDoor;
pub(crate) use founding::found;
pub(crate) use identity::Identity;

//! What a run would have cost with another cap or another policy, told from its trace.
//!
//! A trace holds misses: a hit is never seen by a pager. So the trace of a run under cap C is a reference
//! string that a memory of C pages has filtered, and says nothing about caps below C; about larger ones it
//! says the more the smaller C was. [`Steps`] turns events into steps of such a string, [`Memory`] lets a
//! policy answer them, [`stack`] does it for all caps at once where the policy is LRU.
//!
//! | module | owns |
//! |---|---|
//! | [`policies`] | the policies by name |
//! | `list` | a queue of pages in which each is found without a search; what most policies are made of |
//! | [`optimum`] | the lower bound: what is needed furthest in the future goes |
//! | [`stack`] | LRU's faults for all caps, in one pass |

mod adaptive;
mod list;
mod live;
mod memory;
pub mod optimum;
pub mod policies;
mod policy;
mod simple;
pub mod stack;
mod static_queues;
mod steps;

pub use memory::{Memory, Misses};
pub use steps::{Page, Step, Steps};

#[cfg(test)]
mod tests;

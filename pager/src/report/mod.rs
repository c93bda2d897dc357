//! What a run did: the numbers, and their forms.

pub mod collect;
pub mod model;
pub mod processes;
#[cfg(test)]
pub mod samples;
pub mod summary;
pub mod target;
pub mod text;

pub use collect::Subject;
pub use model::Report;
pub use target::StatsTarget;

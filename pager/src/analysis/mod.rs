//! Questions that a trace answers: what was recorded ([`events`]), what other policies and caps would have
//! cost ([`curve`]).

pub mod caps;
pub mod cost;
pub mod curve;
pub mod events;
pub mod plot;

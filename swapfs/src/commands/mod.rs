//! The verbs.

mod client;
pub mod generate;
pub mod heatmap;
pub mod messenger;
pub mod mount;
pub mod stat;
pub mod swap;
pub mod throttle;
pub mod top;
pub mod trace;
pub mod unmount;

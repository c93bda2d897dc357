//! A swap file by itself.

use crate::store::Store;

/// A swap file.
#[derive(Debug)]
pub struct SwapFile {
    /// Its name below `swap/`.
    pub name: String,
    /// Where its bytes are.
    pub store: Box<dyn Store>,
}

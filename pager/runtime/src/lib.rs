//! What runs inside the paged program's threads.
#![no_std]

//! Demand paging in user space: the `pager` command's parts.

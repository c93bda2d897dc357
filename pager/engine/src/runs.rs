//! Neighbouring pages, as one range.

use pager_core::addr::{PageNum, PageRange};

/// The maximal runs of neighbours in ascending pages.
pub fn runs(pages: impl Iterator<Item = PageNum>) -> impl Iterator<Item = PageRange> {
    let mut pages = pages.peekable();
    core::iter::from_fn(move || {
        let first = pages.next()?;
        let mut end = first.plus(1);
        while pages.next_if_eq(&end).is_some() {
            end = end.plus(1);
        }
        PageRange::new(first, end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn runs_are_maximal() {
        let pages = [1, 2, 3, 7, 9, 10].map(PageNum);
        let found: Vec<(u64, u64)> =
            runs(pages.into_iter()).map(|run| (run.start().0, run.count())).collect();
        assert_eq!(found, [(1, 3), (7, 1), (9, 2)]);
        assert_eq!(runs(core::iter::empty()).count(), 0);
    }
}

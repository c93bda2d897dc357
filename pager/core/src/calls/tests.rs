//! Tests of the table and of the expansion.

use super::*;
use alloc::vec::Vec;

#[test]
fn every_call_of_the_kernels_list_has_its_row() {
    let list = include_str!("fixtures/unistd_64.txt");
    let listed: Vec<(u64, &str)> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("number and name"))
        .map(|(number, name)| (number.parse().expect("a number"), name))
        .collect();
    for (number, name) in &listed {
        let row = row(*number).unwrap_or_else(|| panic!("no row for {number} {name}"));
        assert_eq!((u64::from(row.number), row.name), (*number, *name));
    }
    let rows = (0..ROWS as u64).filter(|&number| row(number).is_some()).count();
    assert_eq!(rows, listed.len());
}

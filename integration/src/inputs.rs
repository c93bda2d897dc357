//! Inputs for real programs, made from a seed: the same bytes in every run.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// A small generator (SplitMix64, Steele, Lea and Flood 2014): repeatable, and good enough to make lines
/// differ.
#[derive(Debug, Clone)]
pub struct Numbers {
    state: u64,
}

impl Numbers {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Its next number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Writes about `bytes` of text in lines of 20 to 80 characters to `path`.
///
/// # Panics
///
/// When the file cannot be written.
pub fn text_file(path: &Path, bytes: u64, seed: u64) {
    let mut numbers = Numbers::new(seed);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("a text file can be made"));
    let mut written = 0;
    let mut line = String::new();
    while written < bytes {
        line.clear();
        for _ in 0..1 + numbers.draw() % 4 {
            write!(line, "{:016x} ", numbers.draw()).expect("a string can be written");
        }
        line.push('\n');
        file.write_all(line.as_bytes()).expect("a text file can be written");
        written += line.len() as u64;
    }
    file.flush().expect("a text file can be written");
}

/// A C file of about `lines` lines: functions that call the ones before them, with loops, branches and
/// tables.
#[must_use]
pub fn c_source(lines: usize) -> String {
    const LINES_OF_A_FUNCTION: usize = 20;
    let mut numbers = Numbers::new(20);
    let mut source = String::from("#include <stdint.h>\n#include <stddef.h>\n");
    for function in 0..lines / LINES_OF_A_FUNCTION {
        write_function(&mut source, function, &mut numbers);
    }
    source
}

fn write_function(source: &mut String, number: usize, numbers: &mut Numbers) {
    let (a, b, c) = (numbers.draw() % 1000 + 1, numbers.draw() % 30 + 1, numbers.draw() % 7 + 2);
    let callee = if number == 0 {
        "x + 1".to_owned()
    } else {
        format!("f{}(y, v, n - 1)", numbers.draw() as usize % number)
    };
    let text = format!(
        "static const uint32_t t{number}[8] = {{{a}u, {b}u, {c}u, 4u, 5u, 6u, 7u, 8u}};\n\
         uint64_t f{number}(uint64_t x, uint32_t *v, int n) {{\n\
         \x20   uint64_t y = x * {a}u + t{number}[x & 7];\n\
         \x20   if (n <= 0) return y;\n\
         \x20   for (int i = 0; i < n; i++) {{\n\
         \x20       v[i] += (uint32_t)(y >> (i % {b}));\n\
         \x20       if (v[i] % {c}u == 0) {{\n\
         \x20           y ^= v[i] * 2654435761u;\n\
         \x20       }} else {{\n\
         \x20           y += v[(i * {c}) % n];\n\
         \x20       }}\n\
         \x20   }}\n\
         \x20   switch (y % 4) {{\n\
         \x20   case 0: y = {callee}; break;\n\
         \x20   case 1: y = y / {b}u + {a}u; break;\n\
         \x20   case 2: y = (y << 3) | (y >> 61); break;\n\
         \x20   default: y = ~y; break;\n\
         \x20   }}\n\
         \x20   return y;\n\
         }}\n"
    );
    source.push_str(&text);
}

/// A Python program that builds and sums structures of about `megabytes` in all.
#[must_use]
pub fn python_source(megabytes: u64) -> String {
    // A row takes about 300 bytes: a tuple, two strings, an integer, its places in a list and a dictionary.
    let rows = megabytes * (1 << 20) / 300;
    format!(
        "rows = [(i, 'key%d' % (i * 7919 % {rows}), 'value' * (i % 5)) for i in range({rows})]\n\
         index = {{row[1]: row for row in rows}}\n\
         print(len(index), sum(row[0] for row in index.values()), sum(len(row[2]) for row in rows))\n\
         print(sum(hash(index['key%d' % i][0]) for i in range(0, {rows}, 3)))\n\
         ordered = sorted(index, key=lambda key: key[::-1])\n\
         print(ordered[0], ordered[-1], ordered[len(ordered) // 2])\n"
    )
}

/// An SQL script that loads `rows` rows into a database in memory, indexes and queries them.
#[must_use]
pub fn sql_source(rows: u64) -> String {
    format!(
        "pragma temp_store = memory;\n\
         create table item(id integer primary key, name text, price integer, stock integer);\n\
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})\n\
         insert into item select i, printf('item %08x', (i * 2654435761) % 4294967296), (i * 7919) % 10007, i % 13 from n;\n\
         create index by_name on item(name);\n\
         create index by_price on item(price, stock);\n\
         select count(*), sum(price), min(name), max(name) from item;\n\
         select price, count(*), sum(stock) from item group by price order by 2 desc, 1 limit 5;\n\
         select count(*) from item a join item b on b.name = a.name where a.id % 10 = 3;\n\
         select name from item where price between 500 and 501 order by name limit 10;\n\
         update item set stock = stock + 1 where price < 1000;\n\
         select sum(stock) from item;\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_source_has_about_as_many_lines_as_asked() {
        let lines = c_source(20_000).lines().count();
        assert!((19_000..=22_000).contains(&lines), "{lines} lines");
    }

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let (mut one, mut other) = (Numbers::new(5), Numbers::new(5));
        assert_eq!([one.draw(), one.draw()], [other.draw(), other.draw()]);
    }
}

//! Whole numbers in as few bytes as they need: seven bits a byte, least significant first (LEB128).

use alloc::vec::Vec;

/// Appends `value`.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the difference from `before` to `value`, modulo 2^64, small either way.
pub fn put_step(out: &mut Vec<u8>, before: u64, value: u64) {
    let step = value.wrapping_sub(before) as i64;
    put(out, ((step << 1) ^ (step >> 63)) as u64);
}

/// Takes a value off the front of `bytes`; `None` if it is cut short or longer than 64 bits.
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The counterpart of [`put_step`].
pub fn take_step(bytes: &mut &[u8], before: u64) -> Option<u64> {
    let coded = take(bytes)?;
    let step = (coded >> 1) ^ (coded & 1).wrapping_neg();
    Some(before.wrapping_add(step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken(before: u64, values: Vec<u64>) {
            let mut out = Vec::new();
            for &value in &values {
                put(&mut out, value);
                put_step(&mut out, before, value);
            }
            let mut left = out.as_slice();
            for &value in &values {
                prop_assert_eq!(take(&mut left), Some(value));
                prop_assert_eq!(take_step(&mut left, before), Some(value));
            }
            prop_assert!(left.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut left = bytes.as_slice();
            while take(&mut left).is_some() {}
        }
    }

    #[test]
    fn small_steps_take_one_byte_either_way() {
        for (before, value) in [(100, 163), (100, 37), (0, 0)] {
            let mut out = Vec::new();
            put_step(&mut out, before, value);
            assert_eq!(out.len(), 1, "{before} to {value}");
        }
    }

    #[test]
    fn a_cut_or_overlong_number_is_refused() {
        assert_eq!(take(&mut [0x80].as_slice()), None);
        assert_eq!(take(&mut [0xff; 11].as_slice()), None);
        assert_eq!(take(&mut [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02].as_slice()), None);
    }
}

//! Numbers in headers: octal digits between blanks, or, with the top bit set, GNU's binary form.

/// A number that is not negative; a blank field is zero.
pub(super) fn unsigned(field: &[u8]) -> Option<u64> {
    u64::try_from(signed(field)?).ok()
}

/// A number that may be negative in the binary form, and fits 64 bits.
pub(super) fn signed(field: &[u8]) -> Option<i64> {
    if field.first()? & 0x80 != 0 {
        return binary(field);
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_blank(byte)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(is_blank).unwrap_or(digits.len());
    let octal = |sum: i64, byte: &u8| match byte {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    };
    digits[..end].iter().try_fold(0, octal)
}

/// Two's complement, big-endian, without the topmost bit.
fn binary(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let first = if negative { field[0] } else { field[0] & 0x7f };
    let bytes = std::iter::once(first).chain(field[1..].iter().copied());
    let value = bytes.fold(if negative { -1 } else { 0i128 }, |sum, byte| (sum << 8) | i128::from(byte));
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_numbers() {
        assert_eq!(unsigned(b"0000644\0"), Some(0o644));
        assert_eq!(unsigned(b"  644 \0 "), Some(0o644));
        assert_eq!(unsigned(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(unsigned(b"77777777777"), Some((1 << 33) - 1));
        assert_eq!(unsigned(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(1 << 33));
        assert_eq!(signed(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
        assert_eq!(unsigned(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), None);
        assert_eq!(unsigned(b"\x80\0\0\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!((unsigned(b"12x4567\0"), unsigned(b"-1     \0"), unsigned(b"")), (None, None, None));
    }
}

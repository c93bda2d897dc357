//! keyctl(2), by operation.

use super::expand::{Walk, count};
use super::{Direction, Fault, Span, UserMemory};
use Direction::{In, Out};

/// `KEY_MAX_DESC_SIZE`.
const DESCRIPTION: u32 = 4096;
/// Longest name of a key type, with NUL.
const TYPE: u32 = 32;

impl<M: UserMemory, F: FnMut(Span)> Walk<'_, M, F> {
    /// keyctl(operation, arg2, arg3, arg4, arg5): arguments 1 to 4 here. Lengths are limited to a page or a
    /// mebibyte by the kernel.
    pub(super) fn keyctl(&mut self) -> Result<(), Fault> {
        let [_, first, second, third, fourth, _] = *self.args;
        match self.int(0) {
            1 => self.text(first, DESCRIPTION)?,           // JOIN_SESSION_KEYRING
            2 | 12 => self.touch(second, third, In),       // UPDATE, INSTANTIATE
            6 | 11 | 17 => self.touch(second, third, Out), // DESCRIBE, READ, GET_SECURITY
            10 | 29 => {
                // SEARCH, RESTRICT_KEYRING
                self.text(second, TYPE)?;
                self.text(third, DESCRIPTION)?;
            }
            20 => self.iovec(second, count(third), Some(In))?, // INSTANTIATE_IOV
            23 => self.diffie_hellman(first, second, third, fourth)?,
            24 => {
                // PKEY_QUERY
                self.text(third, DESCRIPTION)?;
                self.touch(fourth, 56, Out);
            }
            25..=27 => self.public_key(first, second, third, fourth, Out)?, // ENCRYPT, DECRYPT, SIGN
            28 => self.public_key(first, second, third, fourth, In)?,       // VERIFY
            31 => self.touch(first, second, Out),                           // CAPABILITIES
            _ => {}
        }
        Ok(())
    }

    /// Parameters {three serials}, output, and a `keyctl_kdf_params` {name, other information, its length}.
    fn diffie_hellman(&mut self, params: u64, buffer: u64, len: u64, kdf: u64) -> Result<(), Fault> {
        self.touch(params, 12, In);
        self.touch(buffer, len, Out);
        if kdf != 0 {
            self.touch(kdf, 56, In);
            let name = self.u64_at(kdf)?;
            let other = self.u64_at(kdf.saturating_add(8))?;
            let other_len = self.u32_at(kdf.saturating_add(16))?;
            self.text(name, 128)?;
            self.touch(other, u64::from(other_len), In);
        }
        Ok(())
    }

    /// `keyctl_pkey_params` {key, input length, output or second input length}, information, input, second
    /// buffer.
    fn public_key(
        &mut self,
        params: u64,
        info: u64,
        input: u64,
        second: u64,
        direction: Direction,
    ) -> Result<(), Fault> {
        self.touch(params, 40, In);
        self.text(info, DESCRIPTION)?;
        let input_len = self.u32_at(params.saturating_add(4))?;
        let second_len = self.u32_at(params.saturating_add(8))?;
        self.touch(input, u64::from(input_len), In);
        self.touch(second, u64::from(second_len), direction);
        Ok(())
    }
}

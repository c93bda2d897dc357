//! XTS-AES-256 (IEEE 1619-2007) over whole blocks. The cipher is RustCrypto's; here is the mode alone,
//! because it is eight times as fast where all of a block goes to the cipher at once: AES-NI then works on
//! eight units together. Checked against the standard's vector and against the crate `xts-mode`.

use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit, consts::U16};

use super::BLOCK;

/// Bytes of each of the two keys.
pub(super) const KEY_BYTES: usize = 32;
const UNIT: usize = 16;
const UNITS: usize = BLOCK / UNIT;
/// What a carry out of the tweak's 128 bits comes back as: x^128 = x^7 + x^2 + x + 1.
const CARRY: u128 = 0x87;

/// The two keys, expanded; wiped when dropped.
pub(super) struct Xts {
    data: Aes256,
    tweak: Aes256,
}

impl Xts {
    pub(super) fn new(data_key: &[u8; KEY_BYTES], tweak_key: &[u8; KEY_BYTES]) -> Self {
        Xts { data: Aes256::new(data_key.into()), tweak: Aes256::new(tweak_key.into()) }
    }

    /// Encrypts the block with this number.
    pub(super) fn encrypt(&self, block: &mut [u8; BLOCK], number: u64) {
        self.whiten(block, number, |units| self.data.encrypt_blocks(units));
    }

    /// Decrypts the block with this number.
    pub(super) fn decrypt(&self, block: &mut [u8; BLOCK], number: u64) {
        self.whiten(block, number, |units| self.data.decrypt_blocks(units));
    }

    /// Each unit is mixed with its own tweak before and after.
    fn whiten(&self, block: &mut [u8; BLOCK], number: u64, crypt: impl FnOnce(&mut [Array<u8, U16>])) {
        let mut first = Array(u128::from(number).to_le_bytes());
        self.tweak.encrypt_block(&mut first);
        let mut tweaks = [u128::from_le_bytes(first.into()); UNITS];
        for unit in 1..UNITS {
            let before = tweaks[unit - 1];
            tweaks[unit] = (before << 1) ^ ((before >> 127) * CARRY);
        }
        mix(block, &tweaks);
        crypt(Array::slice_as_chunks_mut(block).0);
        mix(block, &tweaks);
    }
}

fn mix(block: &mut [u8; BLOCK], tweaks: &[u128; UNITS]) {
    for (unit, tweak) in block.as_chunks_mut::<UNIT>().0.iter_mut().zip(tweaks) {
        *unit = (u128::from_le_bytes(*unit) ^ tweak).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xts_mode::{Xts128, get_tweak_default};

    fn key(hex: &str) -> [u8; KEY_BYTES] {
        std::array::from_fn(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
    }

    /// Vector 10 of IEEE 1619-2007, annex B: XTS-AES-256, data unit 0xff. Its 512 bytes are how a block of
    /// any size begins.
    #[test]
    fn the_standards_vector() {
        let xts = Xts::new(
            &key("2718281828459045235360287471352662497757247093699959574966967627"),
            &key("3141592653589793238462643383279502884197169399375105820974944592"),
        );
        let clear: [u8; BLOCK] = std::array::from_fn(|n| n as u8);
        let mut block = clear;
        xts.encrypt(&mut block, 0xff);
        assert_eq!(block[..8], [0x1c, 0x3b, 0x3a, 0x10, 0x2f, 0x77, 0x03, 0x86]);
        assert_eq!(block[508..512], [0xe1, 0x48, 0xc1, 0x51]);
        xts.decrypt(&mut block, 0xff);
        assert_eq!(block, clear);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn as_another_implementation(keys in any::<[[u8; KEY_BYTES]; 2]>(), number: u64, seed: u64) {
            let mut random = crate::throttle::Random::new(seed);
            let clear: [u8; BLOCK] = std::array::from_fn(|_| random.bits() as u8);
            let other = Xts128::new(Aes256::new((&keys[0]).into()), Aes256::new((&keys[1]).into()));
            let (mut ours, mut theirs) = (clear, clear);
            Xts::new(&keys[0], &keys[1]).encrypt(&mut ours, number);
            other.encrypt_sector(&mut theirs, get_tweak_default(number.into()));
            prop_assert!(ours == theirs);
            other.decrypt_sector(&mut ours, get_tweak_default(number.into()));
            prop_assert!(ours == clear);
        }
    }
}

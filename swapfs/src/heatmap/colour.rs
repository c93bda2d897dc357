//! The colours of pictures: reads are blue, writes are red, both are violet; the warmer, the darker.

/// Red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

impl Colour {
    /// Of what was never touched.
    pub const COLD: Colour = Colour(0xec, 0xec, 0xe8);
    /// Around the cells.
    pub const PAPER: Colour = Colour(0xff, 0xff, 0xff);
}

/// The colour of a cell that was read and written so warmly.
pub fn colour(reads: f64, writes: f64) -> Colour {
    if reads == 0.0 && writes == 0.0 {
        return Colour::COLD;
    }
    let (pale, dark) = match (reads > 0.0, writes > 0.0) {
        (true, false) => ((0xb7, 0xd3, 0xf2), (0x08, 0x30, 0x6b)),
        (false, true) => ((0xf8, 0xc4, 0xb4), (0x7f, 0x00, 0x10)),
        _ => ((0xd9, 0xc6, 0xea), (0x3f, 0x00, 0x7d)),
    };
    let warmth = reads.max(writes).clamp(0.0, 1.0);
    let between =
        |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * warmth).round() as u8;
    Colour(between(pale.0, dark.0), between(pale.1, dark.1), between(pale.2, dark.2))
}

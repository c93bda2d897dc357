//! Heat as PNG: truecolour, not compressed, as such pictures are small (RFC 2083; deflate's stored blocks,
//! RFC 1951).

use super::{Colour, cells, shape};
use crate::accounting::Heat;

/// Width and height of a cell, with its margin.
const CELL: usize = 8;
const STORED_MOST: usize = 65_535;

/// A picture of the cells alone.
pub fn png(heat: &Heat) -> Vec<u8> {
    let (columns, rows) = shape(heat);
    let (width, height) = (columns * CELL, rows * CELL);
    let all: Vec<Colour> = cells(heat).collect();
    let mut pixels = Vec::with_capacity(height * (1 + 3 * width));
    for y in 0..height {
        // No filter.
        pixels.push(0);
        for x in 0..width {
            let inside = x % CELL < CELL - 1 && y % CELL < CELL - 1;
            let cell = all.get(y / CELL * columns + x / CELL).filter(|_| inside);
            let Colour(red, green, blue) = *cell.unwrap_or(&Colour::PAPER);
            pixels.extend([red, green, blue]);
        }
    }
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = vec![];
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    // 8 bits, truecolour, deflate, adaptive filters, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut file, b"IHDR", &header);
    chunk(&mut file, b"IDAT", &zlib(&pixels));
    chunk(&mut file, b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let body = file.len();
    file.extend(kind);
    file.extend(data);
    let sum = crc32(&file[body..]);
    file.extend(sum.to_be_bytes());
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let blocks = data.chunks(STORED_MOST);
    let last = blocks.len().saturating_sub(1);
    for (index, block) in blocks.enumerate() {
        let length = block.len() as u16;
        out.push(u8::from(index == last));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(adler32(data).to_be_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !data.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

fn adler32(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the algorithms' own definitions.
    #[test]
    fn sums() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn long_data_is_in_several_blocks() {
        let out = zlib(&vec![7; STORED_MOST + 1]);
        assert_eq!(out.len(), 2 + 2 * 5 + STORED_MOST + 1 + 4);
        assert_eq!((out[2], out[2 + 5 + STORED_MOST]), (0, 1));
    }
}

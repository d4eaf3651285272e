//! CRC32c, the checksum of SCTP.

/// The polynomial, least significant bit first: bit 31 is the coefficient of x^0.
const POLY: u32 = 0x82f6_3b78;

/// `TABLES[0][b]` is the register after byte `b`; `TABLES[k]` the same with `k` zero bytes behind it.
static TABLES: [[u32; 256]; 8] = tables();

/// `SHIFTS[k]` is x^(8 * 2^k): the factor that 2^k zero bytes are to the register.
static SHIFTS: [u32; 17] = shifts();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLY & 0u32.wrapping_sub(crc & 1));
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[k - 1][byte];
            tables[k][byte] = (crc >> 8) ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        k += 1;
    }
    tables
}

const fn shifts() -> [u32; 17] {
    // Bit 31 - 8 is x^8.
    let mut shifts = [1 << 23; 17];
    let mut k = 1;
    while k < 17 {
        shifts[k] = multiply(shifts[k - 1], shifts[k - 1]);
        k += 1;
    }
    shifts
}

/// The product of two polynomials modulo [`POLY`].
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        product ^= b & 0u32.wrapping_sub((a >> bit) & 1);
        b = (b >> 1) ^ (POLY & 0u32.wrapping_sub(b & 1));
    }
    product
}

/// The register after `bytes`, from `crc`.
#[inline]
fn feed(mut crc: u32, bytes: &[u8]) -> u32 {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
    let at = |table: &[u32; 256], byte: u8| table[usize::from(byte)];
    let (chunks, tail) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in chunks {
        let [a, b, c, d] = (crc ^ u32::from_le_bytes([a, b, c, d])).to_le_bytes();
        crc = at(t7, a) ^ at(t6, b) ^ at(t5, c) ^ at(t4, d) ^ at(t3, e) ^ at(t2, f) ^ at(t1, g) ^ at(t0, h);
    }
    for byte in tail {
        crc = (crc >> 8) ^ at(t0, crc as u8 ^ byte);
    }
    crc
}

/// A checksum that is being made.
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(u32);

impl Default for Crc32c {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc32c {
    /// Adds bytes.
    #[inline]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        Self(feed(self.0, bytes))
    }

    /// The checksum; SCTP stores it least significant byte first.
    pub fn finish(self) -> u32 {
        !self.0
    }
}

/// What to exclusive-or a checksum with after bytes changed by `diff` (old exclusive-or new), `behind` bytes before
/// the end of what it covers. Takes the time of a few multiplications, whatever the length.
#[inline]
pub fn change(diff: &[u8], behind: u16) -> u32 {
    let mut crc = feed(0, diff);
    for (bit, shift) in SHIFTS.iter().enumerate() {
        if u32::from(behind) >> bit & 1 == 1 {
            crc = multiply(crc, *shift);
        }
    }
    crc
}

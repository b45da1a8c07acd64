//! The checksum of the log (CRC-32, reflected), of whole pieces, of any range at the price of a few operations, and the
//! way back from a wrong checksum to the one bit that is wrong.
//!
//! The log stores the register as it stands after the last byte, without the final inversion.

const POLYNOMIAL: u32 = 0xEDB8_8320;
const START: u32 = !0;

/// Bytes that the first of the two tables of shifts covers.
const NEAR: usize = 4096;

/// One, in the representation in which the highest bit is the lowest power.
const ONE: u32 = 1 << 31;

/// Tables of the checksum.
pub(super) struct Crc {
    /// The register after a byte and so many zero bytes.
    tables: [[u32; 256]; 8],
    /// What a register has to be multiplied with to pass so many zero bytes.
    near: Vec<u32>,
    /// The same in steps of `NEAR`.
    far: Vec<u32>,
}

impl Crc {
    /// For ranges of up to `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        let first: [u32; 256] = std::array::from_fn(|byte| {
            let byte = u32::try_from(byte).unwrap_or_default();
            (0..8).fold(byte, |register, _| pass_bit(register))
        });
        let mut tables = [first; 8];
        let mut last = first;
        for table in tables.iter_mut().skip(1) {
            for register in &mut last {
                *register = pass_byte(&first, *register, 0);
            }
            *table = last;
        }
        let mut near = Vec::with_capacity(NEAR + 1);
        let mut power = ONE;
        for _ in 0..=NEAR {
            near.push(power);
            power = pass_byte(&first, power, 0);
        }
        let step = near.last().copied().unwrap_or(ONE);
        let mut far = vec![ONE];
        for _ in 0..=bytes_max / NEAR {
            far.push(multiply(far.last().copied().unwrap_or(ONE), step));
        }
        Self { tables, near, far }
    }

    /// The checksum of pieces one behind the other.
    pub(super) fn of(&self, pieces: &[&[u8]]) -> u32 {
        pieces.iter().fold(START, |register, piece| self.pass(register, piece))
    }

    /// The register after more bytes.
    pub(super) fn pass(&self, mut register: u32, bytes: &[u8]) -> u32 {
        let [t0, t1, t2, t3, t4, t5, t6, t7] = &self.tables;
        let (chunks, rest) = bytes.as_chunks::<8>();
        for &[a, b, c, d, e, f, g, h] in chunks {
            let low = register ^ (u32::from(a) | u32::from(b) << 8 | u32::from(c) << 16 | u32::from(d) << 24);
            register = look(t7, low)
                ^ look(t6, low >> 8)
                ^ look(t5, low >> 16)
                ^ look(t4, low >> 24)
                ^ look(t3, u32::from(e))
                ^ look(t2, u32::from(f))
                ^ look(t1, u32::from(g))
                ^ look(t0, u32::from(h));
        }
        rest.iter().fold(register, |register, byte| pass_byte(t0, register, *byte))
    }

    /// Makes the checksums of ranges of `bytes` cheap.
    pub(super) fn ranges(&self, bytes: &[u8]) -> Ranges<'_> {
        let [first, ..] = &self.tables;
        let mut register = 0;
        let mut registers = Vec::with_capacity(bytes.len() + 1);
        registers.push(0);
        for byte in bytes {
            register = pass_byte(first, register, *byte);
            registers.push(register);
        }
        Ranges { crc: self, registers }
    }

    /// The register after so many zero bytes.
    fn pass_zeros(&self, register: u32, count: usize) -> u32 {
        let near = self.near.get(count % NEAR).copied().unwrap_or_default();
        let far = self.far.get(count / NEAR).copied().unwrap_or_default();
        multiply(multiply(register, near), far)
    }
}

/// The checksums of the ranges of some bytes.
pub(super) struct Ranges<'a> {
    crc: &'a Crc,
    registers: Vec<u32>,
}

impl Ranges<'_> {
    /// The register after the bytes from `start` to `end`, in bounds.
    pub(super) fn of(&self, start: usize, end: usize) -> u32 {
        let at = |index: usize| self.registers.get(index).copied().unwrap_or_default();
        at(end) ^ self.crc.pass_zeros(at(start) ^ START, end.saturating_sub(start))
    }
}

/// Where the one wrong bit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WrongBit {
    /// In the stored checksum.
    Checksum,
    /// In this byte of what was summed, at these bits of it.
    Byte(usize, u8),
}

/// Finds the bit whose change explains the difference of two checksums of `length` bytes.
pub(super) fn wrong_bit(computed: u32, stored: u32, length: usize) -> Option<WrongBit> {
    let difference = computed ^ stored;
    if difference.count_ones() <= 1 {
        return Some(WrongBit::Checksum);
    }
    let mut register = 0;
    for from_end in 1..=length {
        for bit in (0..8).rev() {
            register = if register == 0 { POLYNOMIAL } else { pass_bit(register) };
            if register == difference {
                return Some(WrongBit::Byte(length - from_end, 1 << bit));
            }
        }
    }
    None
}

fn pass_bit(register: u32) -> u32 {
    if register & 1 == 1 { (register >> 1) ^ POLYNOMIAL } else { register >> 1 }
}

fn pass_byte(first: &[u32; 256], register: u32, byte: u8) -> u32 {
    look(first, register ^ u32::from(byte)) ^ (register >> 8)
}

/// Looks up the lowest byte of an index.
fn look(table: &[u32; 256], index: u32) -> u32 {
    let [.., lowest] = index.to_be_bytes();
    table.get(usize::from(lowest)).copied().unwrap_or_default()
}

/// The product of two polynomials modulo that of the checksum.
fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut mask = ONE;
    while mask != 0 && a & (mask | (mask - 1)) != 0 {
        if a & mask != 0 {
            product ^= b;
        }
        b = pass_bit(b);
        mask >>= 1;
    }
    product
}

//! Argon2id (feature `passphrase`). The only file that names `argon2`.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

use crate::envelope::provider::KeyError;
use crate::envelope::seal::{KEY_BYTES, SealingKey};

/// Argon2id, version 0x13, without a secret and without data. The numbers are memory in KiB, passes and lanes, and are
/// within bounds.
pub(super) fn derive(
    passphrase: &[u8],
    salt: &[u8],
    [memory_kib, passes, lanes]: [u32; 3],
) -> Result<SealingKey, KeyError> {
    // Fewer than 8 KiB for each lane is no Argon2; only parameters for tests can be like that.
    let parameters = Params::new(memory_kib, passes, lanes, Some(KEY_BYTES)).map_err(|_| KeyError::Corrupt)?;
    let mut memory = Memory::new(parameters.block_count())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    SealingKey::fill(|key| argon2.hash_password_into_with_memory(passphrase, salt, key, &mut memory.0))
        .map_err(|_| KeyError::Internal)
}

/// Argon2's memory, from whose last blocks the key could be computed: wiped on drop, which the crate's own is not.
struct Memory(Vec<Block>);

impl Memory {
    fn new(blocks: usize) -> Result<Self, KeyError> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(blocks).map_err(|_| KeyError::Internal)?;
        memory.resize(blocks, Block::new());
        Ok(Self(memory))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Not the vector as a whole: that would also wipe, byte by byte, room that was never used.
        self.0.iter_mut().for_each(Zeroize::zeroize);
    }
}

#[cfg(test)]
mod tests {
    use argon2::{AssociatedData, ParamsBuilder};

    use super::*;

    /// RFC 9106, section 5.3.
    #[test]
    fn the_crate_computes_the_example_of_the_rfc() {
        let mut parameters = ParamsBuilder::new();
        parameters.m_cost(32).t_cost(3).p_cost(4).output_len(32).data(AssociatedData::new(&[4; 12]).unwrap());
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let argon2 = Argon2::new_with_secret(&[3; 8], algorithm, version, parameters.build().unwrap()).unwrap();
        let mut tag = [0; 32];
        argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        let expected = [
            0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9, 0xd0, 0x1e,
            0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
        ];
        assert_eq!(tag, expected);
    }
}

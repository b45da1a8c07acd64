//! The only `unsafe` code of the crate: wiping what `ring` leaves behind.
//!
//! `ring`'s key types hold key material inline and do not clear it when they are dropped. [`Wiped`] owns such a value,
//! drops it, and then overwrites the memory that it occupied with zeros that the compiler may not leave out.
//! What was moved *into* a `Wiped` has left a copy where it came from: build keys in place or in the smallest scope.

#![expect(unsafe_code, reason = "audited: overwriting the bytes of a value that has already been dropped")]

use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Deref;

use zeroize::Zeroize;

/// A value whose memory is zeroed after it is dropped.
pub(crate) struct Wiped<T>(ManuallyDrop<T>);

impl<T> Wiped<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }
}

impl<T> Deref for Wiped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Drop for Wiped<T> {
    fn drop(&mut self) {
        // SAFETY: `drop` runs once, and the field is not used as a `T` afterwards.
        unsafe { ManuallyDrop::drop(&mut self.0) };
        let memory: *mut [MaybeUninit<u8>] =
            std::ptr::slice_from_raw_parts_mut((&raw mut self.0).cast(), size_of::<T>());
        // SAFETY: the memory is `size_of::<T>()` bytes of this object, exclusively borrowed for the length of `drop`;
        // bytes that may be uninitialised are only written, and the `T` in them has been dropped and is never read.
        unsafe { (*memory).zeroize() };
    }
}

impl<T> fmt::Debug for Wiped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiped([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_dropped_value_is_zero() {
        let mut place = Box::new(MaybeUninit::<Wiped<[u8; 64]>>::uninit());
        let pointer = place.write(Wiped::new([0xa5; 64])) as *mut Wiped<[u8; 64]>;
        // SAFETY: the value was just written, and the memory stays allocated until the end of the test; after the drop
        // every byte has been written with zero and is read as plain bytes.
        let left = unsafe {
            std::ptr::drop_in_place(pointer);
            std::slice::from_raw_parts(pointer.cast::<u8>(), 64)
        };
        assert_eq!(left, [0; 64]);
    }
}

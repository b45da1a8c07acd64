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
        // Word by word where the size allows it, which is eight times faster than byte by byte.
        if size_of::<T>().is_multiple_of(size_of::<u64>()) && align_of::<T>() >= align_of::<u64>() {
            wipe::<T, u64>(&mut self.0);
        } else {
            wipe::<T, u8>(&mut self.0);
        }
    }
}

/// Overwrites a value that has been dropped, as a row of `W`s that fills it exactly.
fn wipe<T, W: Zeroize>(dropped: &mut ManuallyDrop<T>)
where
    [MaybeUninit<W>]: Zeroize,
{
    debug_assert!(
        size_of::<T>().is_multiple_of(size_of::<W>()) && align_of::<T>() >= align_of::<W>(),
        "the row fits the value"
    );
    let length = size_of::<T>() / size_of::<W>();
    let memory: *mut [MaybeUninit<W>] = std::ptr::slice_from_raw_parts_mut((&raw mut *dropped).cast(), length);
    // SAFETY: the row lies within this object, which is exclusively borrowed, and is aligned as the caller has checked;
    // bytes that may be uninitialised are only written, and the `T` in them has been dropped and is never read.
    unsafe { (*memory).zeroize() };
}

impl<T> fmt::Debug for Wiped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiped([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_zero_after_drop<T>(value: T) -> bool {
        let mut place = Box::new(MaybeUninit::<Wiped<T>>::uninit());
        let pointer: *mut Wiped<T> = place.write(Wiped::new(value));
        // SAFETY: the value was just written, and the memory stays allocated until the end of the function; after the
        // drop every byte has been written with zero and is read as plain bytes.
        let left = unsafe {
            std::ptr::drop_in_place(pointer);
            std::slice::from_raw_parts(pointer.cast::<u8>(), size_of::<T>())
        };
        left.iter().all(|byte| *byte == 0)
    }

    #[test]
    fn the_memory_of_a_dropped_value_is_zero_whatever_its_size_and_alignment() {
        assert!(is_zero_after_drop([0xa5_u8; 64]));
        assert!(is_zero_after_drop([0xa5_u8; 7]));
        assert!(is_zero_after_drop([u64::MAX; 5]));
        assert!(is_zero_after_drop([u128::MAX; 3]));
        assert!(is_zero_after_drop(()));
    }
}

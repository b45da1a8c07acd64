//! An allocator that looks for a secret in every block that is given back.

#![expect(
    unsafe_code,
    reason = "an allocator is unsafe by nature, and reading blocks that are about to be freed is too"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of what is looked for. Short enough to find remains, long enough to mean something.
pub(crate) const SECRET_BYTES: usize = 24;

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// What is looked for. Not on the heap, so that it is never found itself.
static SECRET: [AtomicU8; SECRET_BYTES] = [const { AtomicU8::new(0) }; SECRET_BYTES];
static IS_WATCHING: AtomicBool = AtomicBool::new(false);
static FOUND: AtomicUsize = AtomicUsize::new(0);

/// One watch at a time.
static TURN: Mutex<()> = Mutex::new(());

struct Watching;

// SAFETY: every call goes to the system's allocator as it came; blocks are only read, and only while they are whole.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if IS_WATCHING.load(Ordering::Relaxed) {
            // SAFETY: the block is still allocated, with this layout.
            unsafe { inspect(block, layout.size()) };
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // The block may move, and what was in it stays where it was.
        if IS_WATCHING.load(Ordering::Relaxed) {
            // SAFETY: the block is still allocated, with this layout.
            unsafe { inspect(block, layout.size()) };
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

/// Counts the block if the secret is in it.
///
/// # Safety
///
/// `block` must be valid for reads of `size` bytes. They may be uninitialised: volatile reads make the compiler take
/// them for whatever is there.
unsafe fn inspect(block: *const u8, size: usize) {
    let first = SECRET[0].load(Ordering::Relaxed);
    // SAFETY: `index` is below `size`.
    let byte = |index: usize| unsafe { ptr::read_volatile(block.add(index)) };
    let mut start = 0;
    while start + SECRET_BYTES <= size {
        if byte(start) == first && (1..SECRET_BYTES).all(|at| byte(start + at) == SECRET[at].load(Ordering::Relaxed)) {
            FOUND.fetch_add(1, Ordering::Relaxed);
            return;
        }
        start += 1;
    }
}

/// The byte of the secret at a place, which is also its byte at that place plus any multiple of its length.
pub(crate) fn secret_byte(at: usize) -> u8 {
    SECRET[at % SECRET_BYTES].load(Ordering::Relaxed)
}

/// A secret that is looked for in every block that is freed while `during` runs.
pub(crate) struct Watch(MutexGuard<'static, ()>);

impl Watch {
    /// `secret` writes the bytes to look for where they are safe.
    pub(crate) fn new(secret: impl Fn(usize) -> u8) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, byte) in SECRET.iter().enumerate() {
            byte.store(secret(at), Ordering::Relaxed);
        }
        Self(turn)
    }

    /// How many freed blocks still held the secret.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> (T, usize) {
        let Self(_turn) = self;
        FOUND.store(0, Ordering::SeqCst);
        IS_WATCHING.store(true, Ordering::SeqCst);
        let done = work();
        IS_WATCHING.store(false, Ordering::SeqCst);
        (done, FOUND.load(Ordering::SeqCst))
    }

    /// So many bytes of the secret, again and again, in a buffer that has exactly that size.
    pub(crate) fn bytes(&self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        bytes.extend((0..length).map(secret_byte));
        bytes
    }

    /// The same as text, in the same buffer.
    pub(crate) fn text(&self, length: usize) -> String {
        String::from_utf8(self.bytes(length)).expect("the secret is text")
    }

    /// Whether these are bytes of the secret.
    pub(crate) fn is_secret(&self, bytes: &[u8]) -> bool {
        bytes.iter().enumerate().all(|(at, byte)| *byte == secret_byte(at))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        IS_WATCHING.store(false, Ordering::SeqCst);
    }
}

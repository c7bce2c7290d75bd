//! Keeping the memory that a training step gives back.
//!
//! Every step allocates matrices of a few MB and frees them again. The GNU C library gives such memory back to the
//! system at once, and gets it again page by page, each of them cleared: at 1,024 rows a third of the time of a
//! triplet step. A program that trains does better to keep it.

/// Lets the allocator keep freed memory, where it is one that would not.
pub(crate) fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The largest block that the library lets come from its heap instead of from the system.
        const LARGEST_ON_HEAP: libc::c_int = 32 << 20;
        const NEVER_TRIM: libc::c_int = libc::c_int::MAX;
        // SAFETY: the calls set numbers of the allocator and are made before any other thread runs.
        #[allow(unsafe_code)]
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_ON_HEAP);
            libc::mallopt(libc::M_TRIM_THRESHOLD, NEVER_TRIM);
        }
    }
}

//! Candle's operations on the thread that asks for them.
//!
//! Candle shares operations on 65,536 numbers and more among threads of its own, which spin for half a millisecond
//! after each before they sleep. Meanwhile they hold the cores that the next kernel wants; told to sleep sooner, they
//! have to be woken for every sum of two gradients, which takes longer than the sum. What is large here runs in kernels
//! that share their work among rayon's threads; what is left for Candle is done as fast by one thread.

/// Leaves Candle's operations to the thread that asks for them, unless the environment says otherwise.
pub(crate) fn none_for_candle() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: the call is made before any other thread runs.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var(VARIABLE, "1");
        }
    }
}

//! Threads that wait without taking a core.
//!
//! Candle shares operations on 65,536 numbers and more among threads of its own, which spin for half a millisecond
//! after each before they sleep. Meanwhile they hold the cores that the next kernel wants: on two cores, a kernel that
//! follows such an operation has one. Spinning for some ten microseconds still bridges the gap between two operations.

/// How often Candle's threads look for work before they sleep, unless the environment says otherwise.
pub(crate) fn sleep_soon() {
    const VARIABLE: &str = "CANDLE_BARRIER_POOL_SPIN_LIMIT";
    const LOOKS: &str = "500";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: the call is made before any other thread runs.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var(VARIABLE, LOOKS);
        }
    }
}

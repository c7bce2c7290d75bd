//! Panics of a foreign reader as values.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `f` returns, or the message of its panic, which is not printed.
///
/// ```
/// let parsed = dml_data::parquet_file::catch(|| "7".parse::<u8>().unwrap());
/// assert_eq!(parsed, Ok(7));
/// assert_eq!(dml_data::parquet_file::catch(|| panic!("a fault")), Err::<(), _>("a fault".to_owned()));
/// ```
///
/// # Errors
/// The message of the panic.
///
/// A hook that passes every other thread's and function's panics on to the hook before it is set once. Programs that
/// abort on panic end all the same.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    // The hook can't be set while this thread unwinds.
    if !std::thread::panicking() {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !IS_QUIET.try_with(Cell::get).unwrap_or(false) {
                    before(info);
                }
            }));
        });
    }
    let outer = IS_QUIET.replace(true);
    // Nothing that `f` worked on is looked at after a panic.
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    IS_QUIET.set(outer);
    result.map_err(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| "a panic without a message".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_value() {
        assert_eq!(catch(|| 3), Ok(3));
        let number = 5;
        assert_eq!(
            catch(|| panic!("static")),
            Err::<(), _>("static".to_owned())
        );
        let owned = catch(|| panic!("number {number}"));
        assert_eq!(owned, Err::<(), _>("number 5".to_owned()));
        assert!(!IS_QUIET.get());
    }
}

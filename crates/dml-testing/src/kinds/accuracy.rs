//! Not yet.

use super::unsupported;
use crate::Case;
use crate::answer::Answer;

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    Err(unsupported(format!("no runner for {}", case.path)))
}

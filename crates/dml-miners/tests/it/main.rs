//! The miners against their definitions over a thousand random batches, and what must hold for all of them.

#[cfg(test)]
mod batches;
#[cfg(test)]
mod definitions;
#[cfg(test)]
mod invariance;

//! What holds for every component that there is by name, whatever rows come: a new one is held to it by its line in the
//! registry.

mod not_a_number;
mod registry;

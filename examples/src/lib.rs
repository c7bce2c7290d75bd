//! Small programs that show the dml crates at work; see the examples folder.

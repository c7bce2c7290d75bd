//! The conformance cases and the runner that every crate of the workspace tests itself with.

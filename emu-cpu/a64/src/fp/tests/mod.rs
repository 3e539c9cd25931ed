//! The exact functions against the host, and against what the specification says.

mod host;
mod spec;

//! The CPU interfaces as software sees them.

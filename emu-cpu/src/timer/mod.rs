//! The generic timer.

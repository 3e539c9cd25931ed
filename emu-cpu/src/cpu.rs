//! The processing element.

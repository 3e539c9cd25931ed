//! CPU models.

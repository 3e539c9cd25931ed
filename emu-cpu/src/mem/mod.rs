//! Loads and stores.

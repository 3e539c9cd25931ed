//! The GIC CPU interface.

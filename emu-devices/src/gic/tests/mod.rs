//! The GIC as software and devices see it.

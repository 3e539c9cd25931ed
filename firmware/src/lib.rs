//! What the machine runs without anyone's files: the hypervisor of the tour.

#![forbid(unsafe_code)]

pub mod tour;

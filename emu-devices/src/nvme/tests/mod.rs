//! Tests with a driver as the specification describes one. Statuses are DNR (0x4000), status code type and status code.

mod admin;
mod io;
mod life;
mod rig;

use super::*;

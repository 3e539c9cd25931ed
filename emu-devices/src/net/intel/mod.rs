//! What Intel's gigabit controllers have in common: the EEPROM, the PHY, offloads of checksums and of cutting TCP segments, and
//! what is looked for in a frame that comes.

pub(crate) mod frame;
pub(crate) mod nvm;
pub(crate) mod offload;
pub(crate) mod phy;
#[cfg(test)]
pub(crate) mod tests;

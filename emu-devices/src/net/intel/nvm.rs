//! The EEPROM: 64 words of 16 bits, whose sum is 0xBABA (82574 datasheet, 6.1).

use serde::{Deserialize, Serialize};

use crate::net::MacAddress;

/// Words of the smallest part.
const WORDS: usize = 64;
/// The word that makes the sum right.
const CHECKSUM: usize = 0x3f;
/// What the sum of all words is.
const SUM: u16 = 0xbaba;
/// EERD and EEWR: begin.
const START: u32 = 1;
/// EERD and EEWR: it is done.
const DONE: u32 = 2;

/// Its words. They stay through every reset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Nvm(Vec<u16>);

impl Nvm {
    /// One for a controller of this address and this identity.
    pub(crate) fn new(mac: MacAddress, vendor: u16, device: u16) -> Self {
        let mut words = vec![0; WORDS];
        for (word, pair) in words.iter_mut().zip(mac.0.chunks_exact(2)) {
            *word = u16::from_le_bytes([pair[0], pair[1]]);
        }
        // Initialisation control 1: the identities below are loaded. Then subsystem, device and vendor.
        words[0x0a] = 0x0003;
        (words[0x0b], words[0x0c], words[0x0d], words[0x0e]) = (0, vendor, device, vendor);
        // Initialisation control 3: the station can be woken, so that the link is up before there is a driver.
        words[0x24] = 0x0400;
        let sum = words[..CHECKSUM].iter().fold(0u16, |sum, word| sum.wrapping_add(*word));
        words[CHECKSUM] = SUM.wrapping_sub(sum);
        Self(words)
    }

    /// The Ethernet address that it has.
    pub(crate) fn mac(&self) -> MacAddress {
        let mut mac = [0; 6];
        for (pair, word) in mac.chunks_exact_mut(2).zip(&self.0) {
            pair.copy_from_slice(&word.to_le_bytes());
        }
        MacAddress(mac)
    }

    /// True if it is as big as one that was made here.
    pub(crate) fn is_possible(&self) -> bool {
        self.0.len() == WORDS
    }

    fn place(value: u32) -> usize {
        (value >> 2 & 0x3fff) as usize
    }

    /// What EERD is after a write of `value`: a word that is not there reads as ones.
    pub(crate) fn read(&self, value: u32) -> u32 {
        if value & START == 0 {
            return value & !DONE;
        }
        let word = self.0.get(Self::place(value)).copied().unwrap_or(u16::MAX);
        u32::from(word) << 16 | value & 0xfffc | DONE
    }

    /// What EEWR is after a write of `value`, which may change a word.
    pub(crate) fn write(&mut self, value: u32) -> u32 {
        if value & START == 0 {
            return value & !DONE;
        }
        if let Some(word) = self.0.get_mut(Self::place(value)) {
            *word = (value >> 16) as u16;
        }
        value & !START | DONE
    }
}

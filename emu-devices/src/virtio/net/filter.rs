//! Which frames the driver wants (virtio 1.3, 5.1.6.5.1 to 5.1.6.5.3).

use serde::{Deserialize, Serialize};

/// Addresses of each kind that are kept; with more, all of the kind are taken.
pub(super) const ADDRESSES: usize = 64;
/// Numbers of VLANs.
const VLANS: u16 = 4096;
/// The type of a frame with a VLAN tag.
const TAGGED: [u8; 2] = [0x81, 0x00];

/// An Ethernet address.
type Address = [u8; 6];

/// What a driver has said of some kind of frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Filter {
    /// All frames, whoever they are for.
    pub(super) promiscuous: bool,
    pub(super) all_multicast: bool,
    pub(super) all_unicast: bool,
    pub(super) no_multicast: bool,
    pub(super) no_unicast: bool,
    pub(super) no_broadcast: bool,
    unicast: Vec<Address>,
    multicast: Vec<Address>,
    /// There were more than could be kept.
    unicast_over: bool,
    multicast_over: bool,
    /// VLANs, a bit for each.
    vlans: Vec<u64>,
}

impl Default for Filter {
    /// Everything, as long as the driver says nothing, but no VLAN that it has not asked for.
    fn default() -> Self {
        Self {
            promiscuous: true,
            all_multicast: false,
            all_unicast: false,
            no_multicast: false,
            no_unicast: false,
            no_broadcast: false,
            unicast: Vec::new(),
            multicast: Vec::new(),
            unicast_over: false,
            multicast_over: false,
            vlans: vec![0; usize::from(VLANS / 64)],
        }
    }
}

impl Filter {
    /// What a restored one may be.
    pub(super) fn is_possible(&self) -> bool {
        self.unicast.len() <= ADDRESSES
            && self.multicast.len() <= ADDRESSES
            && self.vlans.len() == usize::from(VLANS / 64)
    }

    /// The addresses that are wanted beside the device's own.
    pub(super) fn set_tables(&mut self, unicast: &[u8], multicast: &[u8]) {
        let few = |bytes: &[u8]| bytes.as_chunks().0.iter().take(ADDRESSES).copied().collect();
        self.unicast = few(unicast);
        self.multicast = few(multicast);
        self.unicast_over = unicast.len() > 6 * ADDRESSES;
        self.multicast_over = multicast.len() > 6 * ADDRESSES;
    }

    /// Whether frames of a VLAN are taken. False for a number that no VLAN has.
    pub(super) fn set_vlan(&mut self, number: u16, on: bool) -> bool {
        let Some(word) = self.vlans.get_mut(usize::from(number / 64)) else { return false };
        let bit = 1 << (number % 64);
        if on {
            *word |= bit
        } else {
            *word &= !bit
        }
        true
    }

    /// The driver does not choose VLANs.
    pub(super) fn take_all_vlans(&mut self) {
        self.vlans.fill(u64::MAX);
    }

    /// Whether the driver of a device with the address `own` wants `frame`.
    pub(super) fn wants(&self, frame: &[u8], own: &Address) -> bool {
        let addressed = || frame.first_chunk().is_some_and(|to| self.wants_address(to, own));
        self.wants_vlan(frame) && (self.promiscuous || addressed())
    }

    fn wants_vlan(&self, frame: &[u8]) -> bool {
        match frame.get(12..16) {
            Some([a, b, high, low]) if [*a, *b] == TAGGED => {
                let number = u16::from_be_bytes([high & 0x0f, *low]);
                self.vlans.get(usize::from(number / 64)).is_some_and(|word| word >> (number % 64) & 1 != 0)
            }
            _ => true,
        }
    }

    fn wants_address(&self, destination: &Address, own: &Address) -> bool {
        if *destination == [0xff; 6] {
            return !self.no_broadcast;
        }
        if destination[0] & 1 != 0 {
            return !self.no_multicast
                && (self.all_multicast || self.multicast_over || self.multicast.contains(destination));
        }
        !self.no_unicast
            && (self.all_unicast
                || self.unicast_over
                || destination == own
                || self.unicast.contains(destination))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Address = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
    const OTHER: Address = [2, 0, 0, 0, 0, 1];
    const GROUP: Address = [1, 0, 0x5e, 0, 0, 1];

    fn to(destination: Address) -> Vec<u8> {
        [&destination[..], &[0; 54]].concat()
    }

    fn of_vlan(number: u16) -> Vec<u8> {
        let mut frame = to(OWN);
        frame[12..14].copy_from_slice(&TAGGED);
        frame[14..16].copy_from_slice(&(0xe000 | number).to_be_bytes());
        frame
    }

    #[test]
    fn addresses_are_the_own_one_and_those_of_the_tables() {
        let mut filter = Filter { promiscuous: false, ..Filter::default() };
        let seen = |f: &Filter| [OWN, OTHER, GROUP, [0xff; 6]].map(|a| f.wants(&to(a), &OWN));
        assert_eq!(seen(&filter), [true, false, false, true]);
        filter.set_tables(&OTHER, &GROUP);
        assert_eq!(seen(&filter), [true; 4]);
        filter.no_broadcast = true;
        filter.no_multicast = true;
        assert_eq!(seen(&filter), [true, true, false, false]);
        filter.no_unicast = true;
        assert_eq!(seen(&filter), [false; 4]);
        assert_eq!(seen(&Filter::default()), [true; 4], "nothing was said yet");
        assert!(!filter.wants(&[0; 5], &OWN) && Filter::default().wants(&[0; 5], &OWN));
    }

    #[test]
    fn more_addresses_than_are_kept_are_all_there_are() {
        let mut filter = Filter { promiscuous: false, ..Filter::default() };
        filter.set_tables(&[2; 6 * (ADDRESSES + 1)], &[]);
        assert!(filter.wants(&to(OTHER), &OWN) && !filter.wants(&to(GROUP), &OWN) && filter.is_possible());
    }

    #[test]
    fn a_vlan_is_taken_when_it_was_asked_for() {
        let mut filter = Filter::default();
        assert!(!filter.wants(&of_vlan(7), &OWN));
        assert!(filter.set_vlan(7, true) && filter.wants(&of_vlan(7), &OWN));
        assert!(filter.set_vlan(7, false) && !filter.wants(&of_vlan(7), &OWN));
        assert!(!filter.set_vlan(4096, true), "there is no such VLAN");
        filter.take_all_vlans();
        assert!(filter.wants(&of_vlan(4095), &OWN));
    }
}

//! The commands of the control queue (virtio 1.3, 5.1.6.5): class, command, and what it is about.

use super::filter::Filter;

/// Bytes of a command that are looked at: two tables of addresses that no driver fills.
pub(super) const LONGEST: usize = 64 << 10;

const RX: u8 = 0;
const MAC: u8 = 1;
const VLAN: u8 = 2;

/// Obeys a command; false if it is none, which the driver is told.
pub(super) fn obey(command: &[u8], mac: &mut [u8; 6], filter: &mut Filter) -> bool {
    match command {
        [RX, kind, on @ (0 | 1)] => set_mode(filter, *kind, *on != 0),
        [MAC, 0, tables @ ..] => set_tables(filter, tables).is_some(),
        [MAC, 1, address @ ..] => match <[u8; 6]>::try_from(address) {
            Ok(address) => {
                *mac = address;
                true
            }
            Err(_) => false,
        },
        [VLAN, kind @ (0 | 1), low, high] => filter.set_vlan(u16::from_le_bytes([*low, *high]), *kind == 0),
        _ => false,
    }
}

fn set_mode(filter: &mut Filter, kind: u8, on: bool) -> bool {
    let mode = match kind {
        0 => &mut filter.promiscuous,
        1 => &mut filter.all_multicast,
        2 => &mut filter.all_unicast,
        3 => &mut filter.no_multicast,
        4 => &mut filter.no_unicast,
        5 => &mut filter.no_broadcast,
        _ => return false,
    };
    *mode = on;
    true
}

/// Two tables, each behind the number of its addresses, and nothing else.
fn set_tables(filter: &mut Filter, bytes: &[u8]) -> Option<()> {
    let (unicast, rest) = table(bytes)?;
    let (multicast, rest) = table(rest)?;
    rest.is_empty().then(|| filter.set_tables(unicast, multicast))
}

fn table(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*count)).ok()?.checked_mul(6)?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &[u8]) -> (bool, [u8; 6], Filter) {
        let (mut mac, mut filter) = ([0; 6], Filter::default());
        let obeyed = obey(command, &mut mac, &mut filter);
        (obeyed, mac, filter)
    }

    #[test]
    fn modes_addresses_and_vlans_are_set() {
        assert!(!run(&[0, 0, 0]).2.promiscuous);
        assert!(run(&[0, 5, 1]).2.no_broadcast);
        assert_eq!(run(&[1, 1, 2, 3, 4, 5, 6, 7]).1, [2, 3, 4, 5, 6, 7]);
        let tables = [&[1, 0, 1, 0, 0, 0][..], &[2; 6], &[0; 4]].concat();
        let (obeyed, _, mut filter) = run(&tables);
        filter.promiscuous = false;
        assert!(obeyed && filter.wants(&[2; 60], &[0; 6]));
        assert!(run(&[2, 0, 7, 0]).0 && run(&[2, 1, 7, 0]).0);
    }

    #[test]
    fn what_is_no_command_changes_nothing() {
        for command in [
            &[][..],
            &[0, 6, 1],
            &[0, 0, 2],
            &[0, 0],
            &[1, 0, 1, 0, 0, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
            &[1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
            &[1, 1, 2, 3],
            &[2, 0, 0, 0x10],
            &[2, 2, 0, 0],
            &[4, 0, 1, 0],
        ] {
            assert_eq!(run(command), (false, [0; 6], Filter::default()), "{command:x?}");
        }
    }
}

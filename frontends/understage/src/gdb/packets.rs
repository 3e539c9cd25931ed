//! Packets that the library does not answer, or not well: those of QEMU's own, which its users type (`maintenance packet
//! ...`), and the parts of others that are looked at before it gets them.

use super::PACKET_BYTES;
use super::target::{Debuggee, sstep};

/// The error of a packet that is not understood, or comes at the wrong time.
pub(super) const ERROR: &str = "E01";
/// EINVAL.
const BAD_VALUE: &str = "E22";

/// Answers a question or an order of QEMU's making; `None` for any other packet.
pub(super) fn qemu(body: &[u8], debuggee: &mut Debuggee) -> Option<String> {
    let text = str::from_utf8(body).ok()?;
    let ok = || "OK".to_owned();
    Some(match text {
        "qqemu.Supported" => "sstepbits;sstep;PhyMemMode".to_owned(),
        "qqemu.PhyMemMode" => u8::from(debuggee.physical).to_string(),
        "Qqemu.PhyMemMode:0" | "Qqemu.PhyMemMode:1" => {
            debuggee.physical = text.ends_with('1');
            ok()
        }
        "qqemu.sstepbits" => {
            format!("ENABLE={:x},NOIRQ={:x},NOTIMER={:x}", sstep::ENABLE, sstep::NO_IRQ, sstep::NO_TIMER)
        }
        "qqemu.sstep" => format!("{:#x}", debuggee.sstep),
        _ => {
            let value = text.strip_prefix("Qqemu.sstep=").or_else(|| text.strip_prefix("Qqemu.sstep:"))?;
            let digits = value.strip_prefix("0x").unwrap_or(value);
            match u32::from_str_radix(digits, 16) {
                Ok(bits) if bits & !sstep::ALL == 0 && !digits.starts_with('+') => {
                    debuggee.sstep = bits;
                    ok()
                }
                _ => BAD_VALUE.to_owned(),
            }
        }
    })
}

/// True for packets that end a session: they are served while the machine runs, too.
pub(super) fn ends_session(body: &[u8]) -> bool {
    body == b"k" || body == b"D" || body.starts_with(b"D;") || body.starts_with(b"vKill;")
}

/// False if the packet selects or resumes a thread that is not there, or resumes none. The library does not look.
pub(super) fn threads_exist(body: &[u8], cpus: usize) -> bool {
    let exists = |text: &[u8]| {
        // `pPROCESS.THREAD`, or `THREAD`.
        let thread = text.strip_prefix(b"p").map_or(Some(text), |t| t.split(|b| *b == b'.').nth(1));
        match thread {
            // The whole process.
            None => true,
            Some(b"-1" | b"0") => true,
            Some(digits) => {
                let number = str::from_utf8(digits).ok().and_then(|d| usize::from_str_radix(d, 16).ok());
                number.is_some_and(|n| (1..=cpus).contains(&n))
            }
        }
    };
    match body {
        [b'H', _, thread @ ..] => exists(thread),
        [b'v', b'C', b'o', b'n', b't', b';', actions @ ..] => actions
            .split(|b| *b == b';')
            .filter_map(|action| action.splitn(2, |b| *b == b':').nth(1))
            .all(exists),
        b"vCont?" => true,
        _ => !body.starts_with(b"vCont"),
    }
}

/// The same packet, with no more memory asked for (`m`) than the answer has room for: who gets less asks again.
pub(super) fn modest(body: Vec<u8>) -> Vec<u8> {
    const MOST: u64 = PACKET_BYTES as u64 / 2 - 64;
    let parts = str::from_utf8(&body).ok().and_then(|t| t.strip_prefix('m')).and_then(|t| t.split_once(','));
    // A number that is too large for us is so for memory, too.
    let hex = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    match parts {
        Some((address, length)) if hex(length) => match u64::from_str_radix(length, 16) {
            Ok(n) if n <= MOST => body,
            _ => format!("m{address},{MOST:x}").into_bytes(),
        },
        _ => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads() {
        for there in [
            "Hg1",
            "Hc-1",
            "Hg0",
            "Hgp1.2",
            "Hcp1.-1",
            "vCont;c",
            "vCont;s:p1.1;c:-1",
            "vCont;c:p1",
            "vCont?",
            "?",
        ] {
            assert!(threads_exist(there.as_bytes(), 2), "{there}");
        }
        for missing in [
            "Hg3",
            "Hgp1.3",
            "Hg",
            "Hgx",
            "Hg99",
            "vCont",
            "vContinue",
            "vCont;s:3;c",
            "vCont;c:1;s:p1.ffffffffffffffffff",
        ] {
            assert!(!threads_exist(missing.as_bytes(), 2), "{missing}");
        }
    }

    #[test]
    fn memory_is_asked_for_in_pieces() {
        let modest = |text: &str| String::from_utf8(modest(text.into())).unwrap();
        assert_eq!(modest("m1000,20"), "m1000,20");
        for much in ["m1000,40000000", "m1000,ffffffffffffffffffffff"] {
            assert_eq!(modest(much), "m1000,1fc0");
        }
        assert_eq!(modest("m1000"), "m1000");
        assert_eq!(modest("M1000,2:ffff"), "M1000,2:ffff");
    }

    #[test]
    fn farewells() {
        for farewell in ["k", "D", "D;1", "vKill;1"] {
            assert!(ends_session(farewell.as_bytes()));
        }
        assert!(!ends_session(b"g") && !ends_session(b"vCont;c"));
    }
}

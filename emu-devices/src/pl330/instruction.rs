//! The instruction set (DDI 0424, chapter 4): bytes and what they say.

/// Most bytes of an instruction.
pub(super) const LONGEST: usize = 6;

/// When a transfer or the end of a loop is executed (4.3, "DMALD\[S|B\]" and others).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    /// Always.
    Always,
    /// If the request is for a single transfer.
    Single,
    /// If the request is for a burst.
    Burst,
}

/// A register that DMAADDH and DMAMOV change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Source,
    Control,
    Destination,
}

/// An instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Instruction {
    /// DMAADDH and DMAADNH.
    Add(Place, u32),
    /// DMAEND.
    End,
    /// DMAGO.
    Go { non_secure: bool, channel: usize, pc: u32 },
    /// DMAKILL.
    Kill,
    /// DMALD.
    Load(When),
    /// DMALP: a counter, and its value.
    Loop(usize, u8),
    /// DMALPEND, and with `forever` that of DMALPFE.
    LoopEnd { forever: bool, counter: usize, when: When, back: u8 },
    /// DMAMOV.
    Move(Place, u32),
    /// DMANOP.
    Nop,
    /// DMARMB and DMAWMB.
    Barrier,
    /// DMASEV.
    SendEvent(u32),
    /// DMAST.
    Store(When),
    /// DMASTZ.
    StoreZeros,
    /// DMAWFE.
    WaitForEvent { event: u32, invalidate: bool },
    /// DMAFLUSHP, DMALDP, DMASTP, DMAWFP: they name a peripheral.
    Peripheral,
}

/// Bytes of the instruction that begins with `first`; of what is none, 1.
pub(super) fn length(first: u8) -> usize {
    match first {
        0xbc | 0xa0 | 0xa2 => 6,
        0x54 | 0x56 | 0x5c | 0x5e => 3,
        0x20..=0x3f => 2,
        _ => 1,
    }
}

/// The condition of bits `bs` and `x`; there is none of (1, 0).
fn when(bits: u8) -> Option<When> {
    match bits & 3 {
        0 => Some(When::Always),
        1 => Some(When::Single),
        3 => Some(When::Burst),
        _ => None,
    }
}

/// What `bytes` say; `None` if that is undefined.
pub(super) fn decode(bytes: [u8; LONGEST]) -> Option<Instruction> {
    use Instruction::*;
    let [first, second, third, ..] = bytes;
    let half = u32::from(second) | u32::from(third) << 8;
    let word = u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
    let event = u32::from(second >> 3);
    let at = |bit: u8| if bit & 2 == 0 { Place::Source } else { Place::Destination };
    Some(match first {
        0x00 => End,
        0x01 => Kill,
        0x04..=0x07 => Load(when(first)?),
        0x08..=0x0b => Store(when(first)?),
        0x0c => StoreZeros,
        0x12 | 0x13 => Barrier,
        0x18 => Nop,
        0x20 | 0x22 => Loop(usize::from(first >> 1 & 1), second),
        0x25 | 0x27 | 0x29 | 0x2b | 0x30 | 0x31 | 0x32 | 0x35 => Peripheral,
        0x34 if second & 7 == 0 => SendEvent(event),
        0x36 if second & 5 == 0 => WaitForEvent { event, invalidate: second & 2 != 0 },
        0x28 | 0x2a | 0x2c..=0x2f | 0x38..=0x3f => LoopEnd {
            forever: first & 0x10 == 0,
            counter: usize::from(first >> 2 & 1),
            when: when(first)?,
            back: second,
        },
        0x54 | 0x56 => Add(at(first), half),
        0x5c | 0x5e => Add(at(first), half | 0xffff_0000),
        0xa0 | 0xa2 if second & !7 == 0 => {
            Go { non_secure: first & 2 != 0, channel: second.into(), pc: word }
        }
        0xbc => match second {
            0 => Move(Place::Source, word),
            1 => Move(Place::Control, word),
            2 => Move(Place::Destination, word),
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<Instruction> {
        let mut all = [0; LONGEST];
        all[..bytes.len()].copy_from_slice(bytes);
        assert_eq!(length(bytes[0]), bytes.len(), "{bytes:x?}");
        decode(all)
    }

    /// DDI 0424, 4.3: the encoding of each.
    #[test]
    fn encodings() {
        use Instruction::*;
        use When::*;
        for (bytes, what) in [
            (&[0x54, 0x34, 0x12][..], Add(Place::Source, 0x1234)),
            (&[0x56, 1, 0], Add(Place::Destination, 1)),
            (&[0x5c, 0xfe, 0xff], Add(Place::Source, 0xffff_fffe)),
            (&[0x00], End),
            (&[0x35, 0x08], Peripheral),
            (&[0xa2, 3, 0x78, 0x56, 0x34, 0x12], Go { non_secure: true, channel: 3, pc: 0x1234_5678 }),
            (&[0x01], Kill),
            (&[0x04], Load(Always)),
            (&[0x05], Load(Single)),
            (&[0x07], Load(Burst)),
            (&[0x25, 0], Peripheral),
            (&[0x20, 9], Loop(0, 9)),
            (&[0x22, 255], Loop(1, 255)),
            (&[0x38, 2], LoopEnd { forever: false, counter: 0, when: Always, back: 2 }),
            (&[0x3f, 4], LoopEnd { forever: false, counter: 1, when: Burst, back: 4 }),
            (&[0x28, 2], LoopEnd { forever: true, counter: 0, when: Always, back: 2 }),
            (&[0xbc, 1, 0x17, 0, 0, 0x80], Move(Place::Control, 0x8000_0017)),
            (&[0x18], Nop),
            (&[0x12], Barrier),
            (&[0x13], Barrier),
            (&[0x34, 5 << 3], SendEvent(5)),
            (&[0x08], Store(Always)),
            (&[0x0b], Store(Burst)),
            (&[0x29, 0], Peripheral),
            (&[0x0c], StoreZeros),
            (&[0x36, 7 << 3 | 2], WaitForEvent { event: 7, invalidate: true }),
            (&[0x31, 0], Peripheral),
        ] {
            assert_eq!(of(bytes), Some(what), "{bytes:x?}");
        }
        let undefined: [&[u8]; 7] =
            [&[0x06], &[0x0a], &[0xff], &[0x02], &[0x34, 1], &[0x3a, 0], &[0xbc, 3, 0, 0, 0, 0]];
        undefined.into_iter().for_each(|bytes| assert_eq!(of(bytes), None, "{bytes:x?}"));
    }
}

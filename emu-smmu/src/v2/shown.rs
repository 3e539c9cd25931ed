//! What registers say, in words: what becomes of a stream, and the faults that are recorded. For monitors.

use std::fmt;

use super::fault::{FAULTS, GlobalFault, MULTI, SS};
use super::profile::Profile;
use super::registers::{Bank, EXIDENABLE, Registers};
use super::routing::{Route, S2cr};
use crate::translation::{Context, Way};

/// What becomes of a transaction, by registers and tables as they are now. Nothing is recorded, cached or updated by it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    /// StreamID.
    stream: u32,
    /// The groups that it matches, as their registers say.
    groups: Vec<String>,
    route: Route,
    /// The way of the address; `None` if nothing translates it.
    pub way: Option<Way>,
}

impl Walk {
    pub(super) fn new(r: &Registers, stream: u32, profile: &Profile) -> Self {
        let mask = if r.cr0 & EXIDENABLE != 0 { 0xffff } else { 0x7fff };
        let groups = r.matching(stream).map(|n| group(n, (r.smr[n], mask), S2cr(r.s2cr[n]))).collect();
        Self { stream, groups, route: r.route(stream, profile), way: None }
    }

    /// The context that translates it.
    pub(super) fn context(&self) -> Option<&Context> {
        match &self.route {
            Route::Context(context) => Some(context),
            Route::Bypass | Route::Fault(..) => None,
        }
    }
}

/// A group by its fields, of which ID and MASK have the bits of `mask`.
fn group(n: usize, (smr, mask): (u32, u32), s2cr: S2cr) -> String {
    let what = match s2cr.kind() {
        0 => format!("context bank {}", s2cr.bank()),
        1 => "bypass".to_owned(),
        _ => "fault".to_owned(),
    };
    format!("SMR {n}: ID {:#x}, MASK {:#x}; S2CR: {what}", smr & mask, smr >> 16 & mask)
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {:#x}", self.stream)?;
        for group in &self.groups {
            write!(f, "\n{group}")?;
        }
        match &self.route {
            Route::Bypass => f.write_str("\nbypassed")?,
            Route::Fault(fault, true) => write!(f, "\nglobal fault of its context: {}", fault.name())?,
            Route::Fault(fault, false) => write!(f, "\nglobal fault: {}", fault.name())?,
            Route::Context(context) => {
                match context.banks {
                    [first, second] if first != second => write!(f, "\nCB {first}, CB {second}: ")?,
                    [bank, _] => write!(f, "\nCB {bank}: ")?,
                }
                write!(f, "{context}")?;
            }
        }
        self.way.as_ref().map_or(Ok(()), |way| write!(f, "\n{way}"))
    }
}

impl GlobalFault {
    const ALL: [Self; 4] = [
        Self::InvalidContext,
        Self::UnidentifiedStream,
        Self::StreamMatchConflict,
        Self::UnimplementedContextBank,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::InvalidContext => "ICF (invalid context)",
            Self::UnidentifiedStream => "USF (unidentified stream)",
            Self::StreamMatchConflict => "SMCF (stream match conflict)",
            Self::UnimplementedContextBank => "UCBF (unimplemented context bank)",
        }
    }
}

/// The bits of CBn_FSR, from bit 1 on.
const CONTEXT_FAULTS: [&str; 8] = [
    "TF (translation)",
    "AFF (access flag)",
    "PF (permission)",
    "EF (external)",
    "TLBMCF (TLB match conflict)",
    "TLBLKF (TLB lock)",
    "ASF (address size)",
    "UUT (unsupported upstream transaction)",
];

/// The attributes of a transaction, as a syndrome has them from bit `at` on: WNR, PNU, IND.
fn attributes(syndrome: u32, at: u32) -> String {
    let set = |bit: u32| syndrome >> (at + bit) & 1 != 0;
    let access = if set(0) { "write" } else { "read" };
    let privileged = if set(1) { ", privileged" } else { "" };
    let fetch = if set(2) { ", instruction" } else { "" };
    format!("{access}{privileged}{fetch}")
}

/// That more came than is recorded.
const MORE: &str = "; MULTI: others came meanwhile";

impl Registers {
    /// The faults that are recorded, each in a line: the global one first, then those of context banks.
    pub(super) fn faults(&self) -> Vec<String> {
        let banks = self.banks.iter().enumerate().filter(|(_, bank)| bank.has_fault());
        let global = (self.gfsr != 0).then(|| self.global_fault());
        global.into_iter().chain(banks.map(|(n, bank)| bank.fault(n))).collect()
    }

    fn global_fault(&self) -> String {
        let names = GlobalFault::ALL.into_iter().filter(|fault| self.gfsr >> *fault as u32 & 1 != 0);
        let names: Vec<_> = names.map(GlobalFault::name).collect();
        let more = if self.gfsr & MULTI != 0 { MORE } else { "" };
        let how = attributes(self.gfsynr0, 1);
        let (what, stream, at) = (names.join(", "), self.gfsynr1, self.gfar);
        format!("global: {what}: stream {stream:#x}, {how} of {at:#x}{more}")
    }
}

impl Bank {
    fn fault(&self, n: usize) -> String {
        let bits = (self.fsr & FAULTS) >> 1;
        let names: Vec<_> =
            (0..).zip(CONTEXT_FAULTS).filter(|(bit, _)| bits >> bit & 1 != 0).map(|(_, name)| name).collect();
        let stalled = if self.fsr & SS != 0 { "; SS: it waits for RESUME" } else { "" };
        let more = if self.fsr & MULTI != 0 { MORE } else { "" };
        let (how, level) = (attributes(self.fsynr0, 4), self.fsynr0 & 3);
        let ipa = if self.ipafar == 0 { String::new() } else { format!(", IPA {:#x}", self.ipafar) };
        let (what, stream, at) = (names.join(", "), self.cbfrsynra, self.far);
        format!("CB {n}: {what}: stream {stream:#x}, {how} of {at:#x}{ipa}, level {level}{stalled}{more}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_by_their_fields() {
        let told = |smr, s2cr| group(3, (smr, 0x7fff), S2cr(s2cr));
        assert_eq!(told(0x80f0_0018, 7), "SMR 3: ID 0x18, MASK 0xf0; S2CR: context bank 7");
        assert!(told(0x8000_0018, 1 << 16).ends_with("S2CR: bypass"));
        assert!(told(0x8000_0018, 2 << 16).ends_with("S2CR: fault"));
    }

    #[test]
    fn faults_are_lines_the_global_one_first() {
        let mut r = Registers::new(&Profile::MMU500);
        assert!(r.faults().is_empty());
        // Stream 0x18 matches nothing: a privileged write of 0x2000.
        (r.gfsr, r.gfsynr0, r.gfsynr1, r.gfar) = (2, 0x26, 0x18, 0x2000);
        // A translation fault of level 3, stalled; and others.
        r.banks[4] = Bank { fsr: 0xc000_0402, fsynr0: 0x103, cbfrsynra: 8, far: 0x3000, ..Bank::default() };
        r.banks[6] = Bank { fsr: 0x408, fsynr0: 0x142, ipafar: 0x8000_1000, ..Bank::default() };
        assert_eq!(
            r.faults(),
            [
                "global: USF (unidentified stream): stream 0x18, write, privileged of 0x2000",
                "CB 4: TF (translation): stream 0x8, read of 0x3000, level 3; SS: it waits for RESUME; MULTI: others \
                 came meanwhile",
                "CB 6: PF (permission): stream 0x0, read, instruction of 0x0, IPA 0x80001000, level 2",
            ]
        );
    }
}

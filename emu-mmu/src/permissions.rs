//! Permissions: what AP, APTable, XN and their kin allow (Arm ARM D8.4).

use bitflags::bitflags;

use crate::walker::{Access, Request};

bitflags! {
    /// What a translation allows, both stages together, for every kind of access. A pending dirty-state update is not
    /// a missing permission: see [`crate::Translation::write_needs_update`].
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct Permissions: u8 {
        /// Privileged read.
        const PRIV_READ = 1;
        /// Privileged write.
        const PRIV_WRITE = 1 << 1;
        /// Privileged execution.
        const PRIV_EXECUTE = 1 << 2;
        /// Unprivileged read.
        const USER_READ = 1 << 3;
        /// Unprivileged write.
        const USER_WRITE = 1 << 4;
        /// Unprivileged execution.
        const USER_EXECUTE = 1 << 5;
        /// Privileged read while PSTATE.PAN is set.
        const PAN_READ = 1 << 6;
        /// Privileged write while PSTATE.PAN is set.
        const PAN_WRITE = 1 << 7;

        /// Every read.
        const READS = Self::PRIV_READ.bits() | Self::USER_READ.bits() | Self::PAN_READ.bits();
        /// Every write.
        const WRITES = Self::PRIV_WRITE.bits() | Self::USER_WRITE.bits() | Self::PAN_WRITE.bits();
        /// Everything unprivileged.
        const USER = Self::USER_READ.bits() | Self::USER_WRITE.bits() | Self::USER_EXECUTE.bits();
    }
}

/// A refusal; `write` if the write is what is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Denied {
    /// The missing permission is the write permission.
    pub write: bool,
}

impl Permissions {
    /// Whether `request` is allowed.
    pub fn check(self, request: &Request) -> Result<(), Denied> {
        let (read, write, execute) = if !request.privileged {
            (Self::USER_READ, Self::USER_WRITE, Self::USER_EXECUTE)
        } else if request.pan && !matches!(request.access, Access::CacheClean | Access::CacheInvalidate) {
            (Self::PAN_READ, Self::PAN_WRITE, Self::PRIV_EXECUTE)
        } else {
            (Self::PRIV_READ, Self::PRIV_WRITE, Self::PRIV_EXECUTE)
        };
        let need = |p: Self, write: bool| if self.contains(p) { Ok(()) } else { Err(Denied { write }) };
        match request.access {
            Access::Read | Access::AtRead => need(read, false),
            Access::Write | Access::AtWrite | Access::CacheInvalidate => need(write, true),
            Access::ReadWrite => need(read, false).and_then(|()| need(write, true)),
            Access::Execute => need(execute, false),
            // DC C* and IC IVAU need a read permission at EL0 and none above.
            Access::CacheClean if request.privileged => Ok(()),
            Access::CacheClean => need(read, false),
        }
    }
}

/// Stage 1 controls that a leaf descriptor and the tables above it give.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stage1Controls {
    /// `AP[2:1]` after the dirty-state rule (`AP[2]` is clear if hardware manages dirty state and DBM is set).
    pub ap: u8,
    /// The OR of all `APTable[1:0]`.
    pub ap_table: u8,
    /// UXN, or XN in a regime without EL0; with its table bits.
    pub uxn: bool,
    /// PXN with its table bits.
    pub pxn: bool,
}

/// Settings of a regime that shape stage 1 permissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stage1Policy {
    /// The regime has EL0.
    pub unprivileged: bool,
    /// SCTLR_ELx.WXN.
    pub wxn: bool,
    /// PAN has an effect: FEAT_PAN and not {NV,NV1} = {1,1}.
    pub pan: bool,
    /// SCTLR_ELx.EPAN.
    pub epan: bool,
    /// TCR_ELx.E0PDn for the half: unprivileged accesses never reach the tables.
    pub e0pd: bool,
}

impl Stage1Controls {
    /// The permissions (AArch64.S1DirectBasePermissions).
    #[must_use]
    pub fn permissions(&self, policy: &Stage1Policy) -> Permissions {
        let read_only = (self.ap | self.ap_table) & 2 != 0;
        let user = policy.unprivileged && self.ap & 1 != 0 && self.ap_table & 1 == 0;
        let (pw, ur, uw) = (!read_only, user, user && !read_only);
        let (px, ux) = if policy.unprivileged { (!(self.pxn || uw), !self.uxn) } else { (!self.uxn, false) };
        let mut p = Permissions::PRIV_READ;
        p.set(Permissions::PRIV_WRITE, pw);
        p.set(Permissions::PRIV_EXECUTE, px && !(policy.wxn && pw));
        p.set(Permissions::USER_READ, ur);
        p.set(Permissions::USER_WRITE, uw);
        p.set(Permissions::USER_EXECUTE, ux && !(policy.wxn && uw));
        let pan = policy.pan && policy.unprivileged && (ur || uw || policy.epan && ux);
        p.set(Permissions::PAN_READ, !pan);
        p.set(Permissions::PAN_WRITE, pw && !pan);
        if policy.e0pd {
            p.remove(Permissions::USER);
        }
        p
    }
}

/// The permissions of a stage 2 leaf (AArch64.S2DirectBasePermissions).
#[must_use]
pub fn stage2_permissions(s2ap: u8, xn: u8) -> Permissions {
    let mut p = Permissions::empty();
    p.set(Permissions::READS, s2ap & 1 != 0);
    p.set(Permissions::WRITES, s2ap & 2 != 0);
    // XN[1:0]: 00 both may, 01 EL0 only, 10 nobody, 11 EL1 only.
    p.set(Permissions::PRIV_EXECUTE, matches!(xn, 0 | 3));
    p.set(Permissions::USER_EXECUTE, matches!(xn, 0 | 1));
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Stage1Policy =
        Stage1Policy { unprivileged: true, wxn: false, pan: true, epan: false, e0pd: false };

    fn show(p: Permissions) -> String {
        const FLAGS: [(Permissions, char); 8] = [
            (Permissions::PRIV_READ, 'r'),
            (Permissions::PRIV_WRITE, 'w'),
            (Permissions::PRIV_EXECUTE, 'x'),
            (Permissions::USER_READ, 'r'),
            (Permissions::USER_WRITE, 'w'),
            (Permissions::USER_EXECUTE, 'x'),
            (Permissions::PAN_READ, 'r'),
            (Permissions::PAN_WRITE, 'w'),
        ];
        FLAGS.iter().map(|&(f, c)| if p.contains(f) { c } else { '-' }).collect()
    }

    fn s1(ap: u8, ap_table: u8, uxn: bool, pxn: bool, policy: Stage1Policy) -> String {
        show(Stage1Controls { ap, ap_table, uxn, pxn }.permissions(&policy))
    }

    #[test]
    fn access_permissions() {
        // Columns: privileged rwx, unprivileged rwx, privileged with PAN rw.
        assert_eq!(s1(0b00, 0, false, false, POLICY), "rwx--xrw");
        assert_eq!(s1(0b01, 0, false, false, POLICY), "rw-rwx--");
        assert_eq!(s1(0b10, 0, false, false, POLICY), "r-x--xr-");
        assert_eq!(s1(0b11, 0, false, false, POLICY), "r-xr-x--");
        assert_eq!(s1(0b01, 0, true, true, POLICY), "rw-rw---");
        assert_eq!(s1(0b11, 0, true, true, POLICY), "r--r----");
    }

    #[test]
    fn hierarchical() {
        assert_eq!(s1(0b01, 0b01, false, false, POLICY), "rwx--xrw");
        assert_eq!(s1(0b01, 0b10, false, false, POLICY), "r-xr-x--");
        assert_eq!(s1(0b01, 0b11, false, false, POLICY), "r-x--xr-");
    }

    #[test]
    fn write_implies_xn() {
        let wxn = Stage1Policy { wxn: true, ..POLICY };
        assert_eq!(s1(0b00, 0, false, false, wxn), "rw---xrw");
        assert_eq!(s1(0b01, 0, false, false, wxn), "rw-rw---");
        assert_eq!(s1(0b11, 0, false, false, wxn), "r-xr-x--");
    }

    #[test]
    fn enhanced_pan() {
        let epan = Stage1Policy { epan: true, ..POLICY };
        // An execute-only page of EL0: without EPAN privileged data accesses are let through under PAN.
        assert_eq!(s1(0b10, 0, false, true, POLICY), "r----xr-");
        assert_eq!(s1(0b10, 0, false, true, epan), "r----x--");
        assert_eq!(s1(0b10, 0, true, true, epan), "r-----r-");
        let none = Stage1Policy { pan: false, ..POLICY };
        assert_eq!(s1(0b01, 0, false, false, none), "rw-rwxrw");
    }

    #[test]
    fn without_el0() {
        let el2 = Stage1Policy { unprivileged: false, ..POLICY };
        assert_eq!(s1(0b01, 0, false, true, el2), "rwx---rw");
        assert_eq!(s1(0b11, 0, true, false, el2), "r-----r-");
        assert_eq!(s1(0b01, 0b01, false, false, el2), "rwx---rw");
    }

    #[test]
    fn e0pd_hides_the_half() {
        let e0pd = Stage1Policy { e0pd: true, ..POLICY };
        assert_eq!(s1(0b01, 0, false, false, e0pd), "rw------");
    }

    #[test]
    fn stage2_truth_table() {
        assert_eq!(show(stage2_permissions(0b11, 0)), "rwxrwxrw");
        assert_eq!(show(stage2_permissions(0b01, 1)), "r--r-xr-");
        assert_eq!(show(stage2_permissions(0b10, 2)), "-w--w--w");
        assert_eq!(show(stage2_permissions(0b00, 3)), "--x-----");
    }

    #[test]
    fn checks() {
        let p = Permissions::PRIV_READ | Permissions::USER_EXECUTE;
        let request = |access, privileged, pan| Request { access, privileged, pan, ..Request::read(0) };
        assert_eq!(p.check(&request(Access::Read, true, false)), Ok(()));
        assert_eq!(p.check(&request(Access::Read, true, true)), Err(Denied { write: false }));
        assert_eq!(p.check(&request(Access::ReadWrite, true, false)), Err(Denied { write: true }));
        assert_eq!(p.check(&request(Access::ReadWrite, false, false)), Err(Denied { write: false }));
        assert_eq!(p.check(&request(Access::Execute, false, false)), Ok(()));
        assert_eq!(p.check(&request(Access::CacheClean, true, true)), Ok(()));
        assert_eq!(p.check(&request(Access::CacheClean, false, false)), Err(Denied { write: false }));
        assert_eq!(p.check(&request(Access::CacheInvalidate, true, false)), Err(Denied { write: true }));
    }
}

//! What an instruction of FEAT_MOPS says of itself (Arm ARM, C4.1.95); an operand of the operations that check and move.

/// Which of the three instructions of a sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// CPYP, CPYFP, SETP.
    Prologue,
    /// CPYM, CPYFM, SETM.
    Main,
    /// CPYE, CPYFE, SETE.
    Epilogue,
}

/// What a sequence does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// CPY: blocks that may overlap in either way.
    Copy,
    /// CPYF: forward only.
    CopyForward,
    /// SET.
    Set,
}

/// An instruction of FEAT_MOPS, by its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MopsInsn(pub u32);

impl MopsInsn {
    const fn field(self, lsb: u32, mask: u32) -> u32 {
        self.0 >> lsb & mask
    }
    /// What it does.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match (self.field(22, 3), self.field(26, 1)) {
            (3, _) => Kind::Set,
            (_, 0) => Kind::CopyForward,
            _ => Kind::Copy,
        }
    }
    /// Which part; `None` if it is not allocated.
    #[must_use]
    pub const fn stage(self) -> Option<Stage> {
        let stage = match self.kind() {
            Kind::Set => self.field(14, 3),
            _ => self.field(22, 3),
        };
        match stage {
            0 => Some(Stage::Prologue),
            1 => Some(Stage::Main),
            2 => Some(Stage::Epilogue),
            _ => None,
        }
    }
    /// Writes are made as by EL0.
    #[must_use]
    pub const fn unprivileged_write(self) -> bool {
        self.field(12, 1) != 0
    }
    /// Reads are made as by EL0.
    #[must_use]
    pub const fn unprivileged_read(self) -> bool {
        self.field(13, 1) != 0
    }
    /// Bits 15:12: the options, which a syndrome repeats.
    #[must_use]
    pub const fn options(self) -> u32 {
        self.field(12, 15)
    }
    /// Numbers of Xd, Xs and Xn.
    #[must_use]
    pub const fn registers(self) -> [u32; 3] {
        [self.field(0, 31), self.field(16, 31), self.field(5, 31)]
    }
}

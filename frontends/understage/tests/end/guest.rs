//! Small programs for the machine, and the command lines that run them.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_understage");

/// Turns the machine off.
pub(crate) const OFF: &[u32] = &[
    0xd2b0_8000, // mov x0, #0x84000000
    0xf280_0100, // movk x0, #8 (PSCI SYSTEM_OFF)
    0xd400_0003, // smc #0
    0x1400_0000, // b .
];

/// Waits for interrupts that do not come.
pub(crate) const IDLE: &[u32] = &[
    0xd503_207f, // wfi
    0x17ff_ffff, // b .-4
];

/// Resets the machine at once, and so for ever.
pub(crate) const RESET: &[u32] = &[
    0xd2b0_8000, // mov x0, #0x84000000
    0xf280_0120, // movk x0, #9 (PSCI SYSTEM_RESET)
    0xd400_0003, // smc #0
    0x1400_0000, // b .
];

/// Prints 'x' for ever.
pub(crate) const FLOOD: &[u32] = &[
    0xd2a1_2001, // mov x1, #0x9000000 (the PL011)
    0x5280_0f02, // mov w2, #'x'
    0x3900_0022, // strb w2, [x1]
    0x17ff_ffff, // b .-4
];

/// Prints 'x' 20,000 times and turns the machine off.
pub(crate) const PRINT: &[u32] = &[
    0xd2a1_2001, // mov x1, #0x9000000
    0x5280_0f02, // mov w2, #'x'
    0xd289_c403, // mov x3, #20000
    0x3900_0022, // strb w2, [x1]
    0xd100_0463, // sub x3, x3, #1
    0xb5ff_ffc3, // cbnz x3, .-8
    0xd2b0_8000, // mov x0, #0x84000000
    0xf280_0100, // movk x0, #8
    0xd400_0003, // smc #0
    0x1400_0000, // b .
];

/// An exception, and nothing at its vector but the next one: VBAR_EL2 is 0x48000000, where RAM has zeros.
pub(crate) const STUCK: &[u32] = &[
    0xd2a9_0001, // mov x1, #0x48000000
    0xd51c_c001, // msr vbar_el2, x1
    0xd503_3fdf, // isb
    0x0000_0000, // udf #0
];

/// A directory with a program in it.
pub(crate) struct Guest {
    dir: tempfile::TempDir,
}

impl Guest {
    pub(crate) fn new(program: &[u32]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = program.iter().flat_map(|w| w.to_le_bytes()).collect();
        std::fs::write(dir.path().join("program"), bytes).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The arguments that run the program, and `more`.
    pub(crate) fn args(&self, more: &[&str]) -> Vec<String> {
        let load = format!("{}@0x40080000", self.path("program").display());
        let fixed =
            ["run", "--cpu", "cortex-a72", "--memory", "256M", "--load", &load, "--entry", "0x40080000"];
        fixed.iter().chain(more).map(|s| (*s).to_owned()).collect()
    }

    /// A command that runs the program in the directory, after the shell has done `before`.
    pub(crate) fn command(&self, before: &str, more: &[&str]) -> Command {
        shell(before, PROGRAM.as_ref(), &self.args(more), self.dir.path())
    }
}

/// A command by way of the shell, which leaves no core file, and does `before`, and then is `program`.
pub(crate) fn shell(before: &str, program: &Path, args: &[String], dir: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -c 0; {before}\nexec \"$@\"")).arg("sh").arg(program).args(args);
    command.current_dir(dir);
    command
}

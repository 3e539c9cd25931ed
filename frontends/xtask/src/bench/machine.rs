//! What the benchmarks run on: our machine, the peer's, and the host itself; each as a command line.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::block::Device;
use super::dma::Way;

/// The guest's RAM, in the unit that both command lines take.
const MEMORY: &str = "1G";
/// How the shell's initial RAM disk says that it is there (`guests/init.sh`).
pub(crate) const SHELL_IS_THERE: &str = "understage: Linux";

/// A thing to run benchmarks on.
#[derive(Debug)]
pub(crate) enum Machine {
    /// This project's program and its `--accel`, if one is asked for.
    Ours { program: PathBuf, accel: Option<String> },
    /// A command that takes QEMU's command line.
    Peer { words: Vec<String> },
    /// The same program built for the host.
    Native { program: PathBuf },
}

/// The files and the model of a guest, the same for all emulators.
#[derive(Debug)]
pub(crate) struct Guest {
    /// The directory with Debian's kernel and the shell's RAM disk.
    pub(crate) files: PathBuf,
    /// The RAM disk with the benchmarks.
    pub(crate) initrd: PathBuf,
    /// The RAM disk of the shell with them as its session.
    pub(crate) disk_initrd: PathBuf,
    /// The disk of the group `block`, which is written.
    pub(crate) block: PathBuf,
    /// The program that needs no kernel.
    pub(crate) bare: PathBuf,
    /// The CPU's model.
    pub(crate) cpu: String,
    /// How many of them there are.
    pub(crate) cpus: u32,
}

impl Machine {
    /// For progress, messages and the columns of the report.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ours { .. } => "ours",
            Self::Peer { .. } => "peer",
            Self::Native { .. } => "native",
        }
    }

    /// Whether it runs the guest's binary.
    pub(crate) fn is_emulator(&self) -> bool {
        !matches!(self, Self::Native { .. })
    }

    /// Runs the named benchmarks, each for about `ms` milliseconds.
    pub(crate) fn bench(&self, guest: &Guest, ms: u32, names: &[&str]) -> Command {
        let words = format!("{ms} {}", names.join(" "));
        // Linux gives what is after "--" to the first process. A panic ends the machine, which then says so.
        let append = format!("console=ttyAMA0 quiet panic=-1 -- {words}");
        match self {
            Self::Native { program } => {
                let mut command = Command::new(program);
                command.args(words.split(' '));
                command
            }
            _ => self.boot_with(guest, &guest.initrd, &append),
        }
    }

    /// As [`Machine::bench`], in a guest that treats the SMMU in front of its disk in one way; there is none natively.
    pub(crate) fn disk(&self, guest: &Guest, way: &Way, ms: u32, names: &[&str]) -> Command {
        let append = format!("console=ttyAMA0 quiet panic=-1 {} -- {ms} {}", way.append, names.join(" "));
        let disk = guest.files.join("disk.img").display().to_string();
        let mut command = self.boot_with(guest, &guest.disk_initrd, &append);
        match self {
            // What the peer's SMMU can do.
            Self::Ours { .. } => {
                command.args(["--iommu", "smmuv3:qemu", "--disk", &format!("{disk},snapshot,bus=pci")])
            }
            _ => command.args([
                "-machine",
                "iommu=smmuv3",
                "-drive",
                &format!("if=none,id=disk,format=raw,snapshot=on,file={disk}"),
                "-device",
                "virtio-blk-pci,drive=disk,disable-legacy=on,iommu_platform=on",
            ]),
        };
        command
    }

    /// As [`Machine::bench`], in a guest with a kind of disk; there is none natively. Both emulators keep what the image's file
    /// holds in the host's cache, and pass flushes on. Ours takes QEMU's spelling, so that the disk is the same.
    pub(crate) fn block(&self, guest: &Guest, device: &Device, ms: u32, names: &[&str]) -> Command {
        let append = format!("console=ttyAMA0 quiet panic=-1 -- {ms} {}", names.join(" "));
        let mut command = match self {
            Self::Ours { program, accel } => {
                let mut command = Command::new(program);
                command.arg("qemu");
                qemu_board(&mut command, guest);
                if let Some(accel) = accel {
                    command.args(["-accel", accel]);
                }
                command
            }
            _ => self.board(guest),
        };
        command.arg("-kernel").arg(guest.files.join("Image")).arg("-initrd").arg(&guest.disk_initrd);
        command.args(["-append", &append]);
        command.args(["-drive", &format!("if=none,id=disk,format=raw,file={}", guest.block.display())]);
        command.args(["-device", device.option]);
        command
    }

    /// Boots to a shell; there is nothing to boot natively.
    pub(crate) fn boot(&self, guest: &Guest) -> Command {
        self.boot_with(guest, &guest.files.join("shell.cpio"), "console=ttyAMA0 panic=-1")
    }

    /// Runs the program that needs no kernel; there is none natively.
    pub(crate) fn bare(&self, guest: &Guest) -> Command {
        let mut command = self.board(guest);
        let load = if matches!(self, Self::Ours { .. }) { "--load" } else { "-kernel" };
        command.arg(load).arg(&guest.bare);
        command
    }

    fn boot_with(&self, guest: &Guest, initrd: &Path, append: &str) -> Command {
        let kernel = guest.files.join("Image");
        let mut command = self.board(guest);
        // One spells its options with two dashes, the other with one.
        let dash = if matches!(self, Self::Ours { .. }) { "-" } else { "" };
        command.arg(format!("{dash}-kernel")).arg(kernel);
        command.arg(format!("{dash}-initrd")).arg(initrd);
        command.args([&format!("{dash}-append"), append]);
        command
    }

    /// The machine without anything to run.
    fn board(&self, guest: &Guest) -> Command {
        match self {
            Self::Ours { program, accel } => {
                let mut command = Command::new(program);
                command.args(["run", "--no-reboot", "--memory", MEMORY, "--cpu", &guest.cpu]);
                command.args(["--smp", &guest.cpus.to_string()]);
                if let Some(accel) = accel {
                    command.args(["--accel", accel]);
                }
                command
            }
            Self::Peer { words } => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                qemu_board(&mut command, guest);
                command
            }
            Self::Native { program } => Command::new(program),
        }
    }

    /// What it says about its version, for the report.
    pub(crate) fn version(&self) -> Option<String> {
        match self {
            Self::Ours { program, accel } => {
                let version = super::host::first_line(Command::new(program).arg("--version"))?;
                Some(accel.as_ref().map_or(version.clone(), |a| format!("{version} --accel {a}")))
            }
            Self::Peer { words } => {
                super::host::first_line(Command::new(&words[0]).args(&words[1..]).arg("--version"))
            }
            Self::Native { .. } => None,
        }
    }
}

/// The machine without anything to run, in QEMU's spelling.
fn qemu_board(command: &mut Command, guest: &Guest) {
    command.args(["-M", "virt,virtualization=on,gic-version=3", "-cpu", &guest.cpu]);
    command.args(["-smp", &guest.cpus.to_string()]);
    command.args(["-m", MEMORY, "-display", "none", "-monitor", "none", "-serial", "stdio"]);
    command.args(["-nic", "none", "-no-reboot"]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::block::DEVICES;
    use crate::bench::dma::WAYS;

    fn line(command: &Command) -> String {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_same_guest_in_three_spellings() {
        let guest = Guest {
            files: "g".into(),
            initrd: "b.cpio".into(),
            disk_initrd: "d.cpio".into(),
            block: "k.img".into(),
            bare: "b.elf".into(),
            cpu: "neoverse-n1".into(),
            cpus: 2,
        };
        let ours = Machine::Ours { program: "us".into(), accel: Some("jit".into()) };
        assert_eq!(
            line(&ours.bench(&guest, 400, &["fib", "libm"])),
            "us run --no-reboot --memory 1G --cpu neoverse-n1 --smp 2 --accel jit --kernel g/Image --initrd b.cpio \
             --append console=ttyAMA0 quiet panic=-1 -- 400 fib libm"
        );
        let peer = Machine::Peer { words: vec!["wrap".into(), "qemu".into()] };
        let said = line(&peer.boot(&guest));
        assert!(said.starts_with("wrap qemu -M virt,") && said.contains(" -initrd g/shell.cpio "), "{said}");
        assert!(line(&ours.bare(&guest)).ends_with(" --smp 2 --accel jit --load b.elf"));
        assert!(line(&peer.bare(&guest)).ends_with(" -no-reboot -kernel b.elf"));
        let way = &WAYS[1];
        assert_eq!(
            line(&ours.disk(&guest, way, 9, &["disk4k@lazy"])),
            "us run --no-reboot --memory 1G --cpu neoverse-n1 --smp 2 --accel jit --kernel g/Image --initrd d.cpio \
             --append console=ttyAMA0 quiet panic=-1 iommu.passthrough=0 iommu.strict=0 -- 9 disk4k@lazy \
             --iommu smmuv3:qemu --disk g/disk.img,snapshot,bus=pci"
        );
        let said = line(&peer.disk(&guest, way, 9, &["disk4k@lazy"]));
        assert!(said.contains(" iommu.strict=0 -- 9 disk4k@lazy -machine iommu=smmuv3 -drive "), "{said}");
        let device = &DEVICES[0];
        for machine in [&ours, &peer] {
            let said = line(&machine.block(&guest, device, 9, &["read4k@virtio"]));
            assert!(
                said.ends_with(
                    " -kernel g/Image -initrd d.cpio -append console=ttyAMA0 quiet panic=-1 -- 9 read4k@virtio \
                     -drive if=none,id=disk,format=raw,file=k.img -device virtio-blk-pci,drive=disk,disable-legacy=on"
                ),
                "{said}"
            );
        }
        let native = Machine::Native { program: "n".into() };
        assert_eq!(line(&native.bench(&guest, 400, &["fib"])), "n 400 fib");
    }
}

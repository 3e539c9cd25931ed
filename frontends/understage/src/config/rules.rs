//! The rules that concern several options at once.

use super::{
    Accel, Blob, CODE_CACHE, CharBackend, Check, Device, GicVersion, Ledger, MAX_CPUS_GICV2, MachineConfig,
    Time,
};
use crate::error::{UserError, user_error};
use crate::number::show_size;

impl MachineConfig {
    /// What goes with time that is counted.
    fn check_time(&self) -> Result<(), UserError> {
        let Time::Counted(given) = &self.time else { return Ok(()) };
        let (option, refused) =
            (given.option, |what: &str| Err(user_error!("{} does not go with {what}", given.option)));
        match self {
            _ if self.topology.cpus() != 1 => Err(user_error!(
                "{option} counts the instructions of one CPU: there are {}",
                self.topology.cpus()
            )),
            Self { check: Some(Check::Lockstep(check)), .. } => refused(check),
            Self { gdb: Some(gdb), .. } => refused(gdb.option),
            Self { empty: true, .. } | Self { accel: Accel::Qtest, .. } => {
                refused("a machine whose CPUs do not run")
            }
            _ if self.trace.blocks() => refused("a trace of blocks"),
            _ => Ok(()),
        }
    }

    /// The rules that concern several options at once. Both command lines end with this.
    pub fn check(&self) -> Result<(), UserError> {
        if self.kernel.is_none() {
            let orphan = self.initrd.as_ref().map(|f| f.option).or(self.append.as_ref().map(|a| a.option));
            if let Some(option) = orphan {
                return Err(user_error!("{option} needs a kernel to hand it to"));
            }
        }
        let cpus = self.topology.cpus();
        if self.virt.gic == GicVersion::V2 && cpus > MAX_CPUS_GICV2 {
            return Err(user_error!("a machine with a GICv2 has 1 to {MAX_CPUS_GICV2} CPUs, not {cpus}"));
        }
        let monitor = !self.characters.monitors.is_empty() || !self.characters.controls.is_empty();
        if let (Some(option), None, false) = (self.gdb_wait, &self.gdb, monitor) {
            return Err(user_error!(
                "{option} needs a debugger or a monitor that lets the machine go: say where there is one"
            ));
        }
        if self.devices.iter().filter(|device| device.is_system_mmu()).count() > 1 {
            return Err(user_error!(
                "two system MMUs are to be in front of the PCI bus, and there can be one"
            ));
        }
        self.check_accel()?;
        self.check_daemon()?;
        self.check_time()?;
        let ledger = if let Ledger::File(file) = &self.ledger { Some(file) } else { None };
        if let (true, Some(file)) = (self.empty, ledger.or(self.trace.timeline.as_ref())) {
            return Err(user_error!("{} is about CPUs and devices, and this machine has none", file.option));
        }
        if let (Some(Check::Lockstep(option)), true) = (&self.check, self.trace.blocks()) {
            return Err(user_error!(
                "{option} compares host code, and there is none while blocks are traced"
            ));
        }
        if let (Some(Check::Lockstep(option)), Accel::Interp) = (&self.check, &self.accel) {
            return Err(user_error!(
                "{option} compares host code with the interpreter, and there is only the latter"
            ));
        }
        self.check_qtest()?;
        if self.backends().filter(|c| c.is_stdio()).count() > 1 {
            return Err(user_error!(
                "only one of the serial ports, the consoles and the monitors can be on stdio"
            ));
        }
        let runs = self.kernel.is_some()
            || self.flash[0].is_some()
            || self.entry.is_some()
            || self.blobs.iter().any(|b| matches!(b, Blob::Elf { run: true, .. }));
        let programs = self.blobs.iter().filter(|b| matches!(b, Blob::Elf { run: true, .. }));
        if programs.count() > 1 && self.entry.is_none() {
            return Err(user_error!(
                "only one of the loaded ELF files can be run: say where to start with an entry point"
            ));
        }
        if !runs && self.dump_dtb.is_none() && self.accel != Accel::Qtest && !self.empty {
            return Err(user_error!("there is nothing to run: give a kernel, firmware, or an entry point"));
        }
        Ok(())
    }

    /// Every character device.
    pub fn backends(&self) -> impl Iterator<Item = &CharBackend> {
        let more = &self.characters;
        let devices = self.devices.iter().flat_map(|device| device.settings.characters());
        devices
            .chain([&self.serial])
            .chain(&more.second_serial)
            .chain(&more.muxes)
            .chain(&more.monitors)
            .chain(more.controls.iter().map(|(backend, _)| backend))
            .chain(self.semihosting.iter().filter_map(|s| s.console.as_ref()))
            .chain(self.qtest.iter().map(|q| &q.client))
    }

    /// There is a system MMU: one that a machine runs with is the only one.
    #[must_use]
    pub fn has_system_mmu(&self) -> bool {
        self.devices.iter().any(Device::is_system_mmu)
    }

    /// Without CPUs that run there is nothing to debug or to compare.
    fn check_qtest(&self) -> Result<(), UserError> {
        if self.accel != Accel::Qtest {
            return Ok(());
        }
        if let Some(gdb) = &self.gdb {
            return Err(user_error!("{} has nothing to debug: with -accel qtest no CPU runs", gdb.option));
        }
        match &self.check {
            Some(Check::Lockstep(option)) => {
                Err(user_error!("{option} has nothing to compare: with -accel qtest no CPU runs"))
            }
            None => Ok(()),
        }
    }

    /// What goes on in the background has no terminal.
    fn check_daemon(&self) -> Result<(), UserError> {
        let Some(daemonize) = &self.host.daemonize else { return Ok(()) };
        match self.backends().any(CharBackend::is_stdio) {
            true => Err(user_error!(
                "{} takes the terminal away, and a serial port or console is on it: say where else it goes",
                daemonize.option
            )),
            false => Ok(()),
        }
    }

    /// The command line of a program that asks for it by a semihosting call.
    #[must_use]
    pub fn program_arguments(&self) -> Vec<String> {
        match &self.semihosting {
            Some(s) if !s.arguments.is_empty() => s.arguments.clone(),
            _ => {
                let kernel = self.kernel.as_ref().map(|k| k.file.shown().to_string());
                kernel.into_iter().chain(self.append.as_ref().map(|a| a.value.clone())).collect()
            }
        }
    }

    /// Each CPU has its own part of the host code, which has a least and a greatest size.
    fn check_accel(&self) -> Result<(), UserError> {
        let Accel::Jit { cache } = &self.accel else {
            return match self.perf.first() {
                Some(file) => Err(user_error!(
                    "{} is about translated code, and there is none with this accelerator",
                    file.option
                )),
                None => Ok(()),
            };
        };
        let cpus = u64::from(self.topology.cpus()).max(1);
        let (bytes, option) = (show_size(**cache), cache.option);
        let (least, most) = (*CODE_CACHE.start(), *CODE_CACHE.end());
        match **cache / cpus {
            each if each < least => Err(user_error!(
                "{option} {bytes} is too little: each CPU needs at least {}",
                show_size(least)
            )),
            each if each > most => Err(user_error!(
                "{option} {bytes} is too much: each CPU can have at most {}",
                show_size(most)
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Bus, Given, HostFile, Kernel};
    use crate::device::serial_bus::ConsolePorts;

    fn kernel() -> Option<Kernel> {
        Some(Kernel { file: HostFile::new("--kernel", "Image"), raw_allowed: false })
    }

    fn refusal(config: MachineConfig) -> String {
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn rules_across_options() {
        let none = MachineConfig::default();
        assert_eq!(
            refusal(none.clone()),
            "there is nothing to run: give a kernel, firmware, or an entry point"
        );
        let check = Some(Check::Lockstep("--check lockstep"));
        assert_eq!(
            refusal(MachineConfig { check, accel: Accel::Interp, entry: Some(0), ..none.clone() }),
            "--check lockstep compares host code with the interpreter, and there is only the latter"
        );
        let initrd = Some(HostFile::new("--initrd", "i"));
        assert_eq!(
            refusal(MachineConfig { initrd, ..none.clone() }),
            "--initrd needs a kernel to hand it to"
        );
        let stdio = CharBackend::Stdio { escapes: true };
        let devices = vec![Device::new(ConsolePorts::single(stdio), Bus::PCI)];
        assert_eq!(
            refusal(MachineConfig { kernel: kernel(), devices, ..none.clone() }),
            "only one of the serial ports, the consoles and the monitors can be on stdio"
        );
        assert_eq!(MachineConfig { kernel: kernel(), ..none.clone() }.check(), Ok(()));
        let ledger = Ledger::File(HostFile::new("--ledger", "l"));
        assert_eq!(
            refusal(MachineConfig { empty: true, ledger, ..none.clone() }),
            "--ledger is about CPUs and devices, and this machine has none"
        );
        let time = Time::Counted(Given::new("--count-time", 0_u32));
        assert_eq!(
            refusal(MachineConfig { kernel: kernel(), check, time, ..none.clone() }),
            "--count-time does not go with --check lockstep"
        );
        let dump_dtb = Some(HostFile::new("--dump-dtb", "x"));
        assert_eq!(MachineConfig { dump_dtb, ..none }.check(), Ok(()));
    }
}

//! The commands behind `monitor`.

use std::fmt::Write;

use emu_a64::level::El;
use emu_a64::regs::SP;
use emu_pe::cpu::Cpu;
use emu_pe::gic::GicReg;
use emu_pe::mem::inspect;

use super::registers::{Register, named};
use super::target::{Debuggee, sstep};
use crate::monitor::smmu;
use crate::number::parse_u64;

/// A command: name, arguments, what help says, what it does.
type Command = (&'static str, &'static str, &'static str, fn(&mut Debuggee, &[&str]) -> String);

const COMMANDS: &[Command] = &[
    ("help", "", "this list", |_, _| help()),
    ("info", "registers [-a]", "registers of the CPU, or of all, as QEMU shows them", info),
    ("regs", "[NAME...]", "registers of the CPU, or these system registers", regs),
    ("walk", "ADDRESS", "how the CPU's current regime translates a virtual address, step by step", walk),
    ("interrupts", "", "interrupts of the CPU: what is signalled, priorities, list registers", interrupts),
    ("smmu", "[WHAT...]", "inside the system MMU: 'monitor smmu' says what there is", look_into_smmu),
    ("phys", "on|off", "whether addresses of memory are physical ones", phys),
    ("step-interrupts", "on|off", "whether a single step takes interrupts (off at first)", step_interrupts),
];

/// What a line typed after `monitor` answers.
pub fn answer(debuggee: &mut Debuggee, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((name, rest)) = words.split_first() else { return help() };
    match COMMANDS.iter().find(|c| c.0 == *name) {
        Some((.., run)) => run(debuggee, rest),
        None => format!("there is no command '{name}'; 'monitor help' lists them\n"),
    }
}

fn help() -> String {
    let mut out = String::new();
    for (name, arguments, about, _) in COMMANDS {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{:<28}{about}", format!("{name} {arguments}"));
    }
    out
}

/// Runs `show` on the CPU that the debugger has selected.
fn on_cpu(debuggee: &Debuggee, show: impl FnOnce(&mut Cpu, &mut String) -> std::fmt::Result) -> String {
    let cpu = debuggee.current;
    let mut out = String::new();
    if let Some(mut vcpu) = debuggee.vcpu(cpu) {
        // Writing to a String does not fail.
        let _ = writeln!(out, "CPU {cpu} at {}", vcpu.cpu.pstate.el);
        let _ = show(&mut vcpu.cpu, &mut out);
    }
    out
}

fn regs(debuggee: &mut Debuggee, names: &[&str]) -> String {
    on_cpu(debuggee, |cpu, out| {
        if names.is_empty() {
            return core(cpu, out);
        }
        names.iter().try_for_each(|name| match named(name) {
            None => writeln!(out, "there is no system register '{name}'"),
            Some(row) => match cpu.peek(row) {
                Some(value) => writeln!(out, "{} {value:#018x}", row.name),
                None => writeln!(out, "{} is not there in the CPU's present state", row.name),
            },
        })
    })
}

/// The condition flags in PSTATE.
const FLAGS: [(u32, &str); 4] = [(31, "N"), (30, "Z"), (29, "C"), (28, "V")];

fn flag(on: bool, name: &'static str) -> &'static str {
    if on { name } else { "-" }
}

fn core(cpu: &mut Cpu, out: &mut String) -> std::fmt::Result {
    let p = &cpu.pstate;
    let flags: String = FLAGS.iter().map(|(bit, name)| flag(cpu.regs.nzcv >> bit & 1 != 0, name)).collect();
    let masks = [(8, "D"), (4, "A"), (2, "I"), (1, "F")];
    let masked: String = masks.iter().map(|(bit, name)| flag(p.daif & bit != 0, name)).collect();
    writeln!(out, "PC  {:#018x}  {flags} {masked} SPSel {}", cpu.regs.pc, u8::from(p.sp_sel))?;
    for n in 0..32 {
        let register = Register::of(n).and_then(|r| r.read(cpu)).unwrap_or(0);
        let name = if n == 31 { "SP".to_owned() } else { format!("X{n}") };
        write!(out, "{name:<3} {register:#018x}{}", if n % 4 == 3 { "\n" } else { "  " })?;
    }
    Ok(())
}

fn walk(debuggee: &mut Debuggee, arguments: &[&str]) -> String {
    let [text] = arguments else { return "usage: walk ADDRESS\n".to_owned() };
    let va = match parse_u64(text) {
        Ok(va) => va,
        Err(e) => return format!("{e}\n"),
    };
    on_cpu(debuggee, |cpu, out| {
        let mut steps = Vec::new();
        let result = inspect::walk(cpu, va, &mut steps);
        steps.iter().try_for_each(|step| writeln!(out, "{step}"))?;
        match result {
            Ok(t) => writeln!(out, "{va:#x} is at physical address {:#x}", t.pa.0),
            Err(fault) => writeln!(out, "{va:#x}: {fault}"),
        }
    })
}

fn look_into_smmu(debuggee: &mut Debuggee, words: &[&str]) -> String {
    match debuggee.held {
        Some(_) => smmu::answer(&debuggee.smmu, words),
        None => "the machine runs: stop it to look inside\n".to_owned(),
    }
}

fn interrupts(debuggee: &mut Debuggee, _: &[&str]) -> String {
    use GicReg as R;
    on_cpu(debuggee, |cpu, out| {
        let s = cpu.gic.signals();
        let raised = [(s.irq, "IRQ"), (s.fiq, "FIQ"), (s.virq, "virtual IRQ"), (s.vfiq, "virtual FIQ")];
        let raised: Vec<_> = raised.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        let list = if raised.is_empty() { "nothing".to_owned() } else { raised.join(", ") };
        writeln!(out, "signalled: {list}; masks DAIF {:04b}", cpu.pstate.daif)?;
        let Some(gic) = cpu.gic.registers() else {
            return writeln!(out, "the CPU interface is memory-mapped (GICv2)");
        };
        for (side, virt) in [("physical", false), ("virtual", true)] {
            if virt && !cpu.has_el(El::El2) {
                continue;
            }
            let look = |reg| gic.look(reg, virt);
            writeln!(
                out,
                "{side}: PMR {:#x}, running priority {:#x}, groups enabled {}{}, pending {} and {} (1023: none)",
                look(R::ICC_PMR_EL1),
                look(R::ICC_RPR_EL1),
                look(R::ICC_IGRPEN0_EL1),
                look(R::ICC_IGRPEN1_EL1),
                look(R::ICC_HPPIR0_EL1),
                look(R::ICC_HPPIR1_EL1),
            )?;
        }
        if !cpu.has_el(El::El2) {
            return Ok(());
        }
        writeln!(
            out,
            "ICH_HCR_EL2 {:#x}, maintenance {:#x}",
            gic.look(R::ICH_HCR_EL2, false),
            gic.look(R::ICH_MISR_EL2, false)
        )?;
        // ICH_VTR_EL2.ListRegs, bits 4:0, is their number less one.
        let last = (gic.look(R::ICH_VTR_EL2, false) & 31) as u8;
        (0..=last).try_for_each(|n| list_register(out, n, gic.look(R::ICH_LR_EL2(n), false)))
    })
}

/// ICH_LR&lt;n&gt;_EL2 (IHI 0069, 12.4.7) in words.
fn list_register(out: &mut String, n: u8, lr: u64) -> std::fmt::Result {
    let state = ["invalid", "pending", "active", "active and pending"][(lr >> 62) as usize & 3];
    write!(out, "ICH_LR{n}_EL2 {lr:#018x}: {state}")?;
    if lr >> 62 != 0 {
        write!(
            out,
            ", virtual INTID {}, priority {:#x}, group {}",
            lr & 0xffff_ffff,
            lr >> 48 & 0xff,
            lr >> 60 & 1
        )?;
        if lr >> 61 & 1 != 0 {
            write!(out, ", hardware INTID {}", lr >> 32 & 0x1fff)?;
        }
    }
    writeln!(out)
}

/// Sets a switch, or says how it stands.
fn switch(slot: &mut bool, what: &str, arguments: &[&str]) -> String {
    match arguments {
        [] => {}
        ["on"] => *slot = true,
        ["off"] => *slot = false,
        _ => return "usage: on or off\n".to_owned(),
    }
    format!("{what}: {}\n", if *slot { "on" } else { "off" })
}

fn phys(debuggee: &mut Debuggee, arguments: &[&str]) -> String {
    switch(&mut debuggee.physical, "physical addresses", arguments)
}

fn step_interrupts(debuggee: &mut Debuggee, arguments: &[&str]) -> String {
    let mut on = debuggee.sstep & sstep::NO_IRQ == 0;
    let said = switch(&mut on, "interrupts while stepping", arguments);
    debuggee.sstep = debuggee.sstep & !sstep::NO_IRQ | if on { 0 } else { sstep::NO_IRQ };
    said
}

/// The one thing that QEMU's users ask for here, in the form that their scripts read.
fn info(debuggee: &mut Debuggee, arguments: &[&str]) -> String {
    let cpus = match arguments {
        ["registers"] => debuggee.current..debuggee.current + 1,
        ["registers", "-a"] => 0..debuggee.cpus.count(),
        _ => return "usage: info registers [-a]\n".to_owned(),
    };
    let mut out = String::new();
    for cpu in cpus {
        if let Some(mut vcpu) = debuggee.vcpu(cpu) {
            // Writing to a String does not fail.
            let _ = as_qemu(cpu, &mut vcpu.cpu, &mut out);
        }
    }
    out
}

/// Registers in the form that the users of QEMU read.
pub(crate) fn as_qemu(number: usize, cpu: &mut Cpu, out: &mut String) -> std::fmt::Result {
    write!(out, "\nCPU#{number}\n PC={:016x} ", cpu.regs.pc)?;
    for n in 0..31 {
        write!(out, "X{n:02}={:016x}{}", cpu.regs.x[n], if n % 3 == 1 { "\n" } else { " " })?;
    }
    let spsr = cpu.spsr();
    let flags: String = FLAGS.iter().map(|(bit, name)| flag(spsr >> bit & 1 != 0, name)).collect();
    let pointer = if cpu.pstate.sp_sel { 'h' } else { 't' };
    writeln!(out, "SP={:016x}\nPSTATE={spsr:08x} {flags} {}{pointer}", cpu.regs.x[SP], cpu.pstate.el)
}

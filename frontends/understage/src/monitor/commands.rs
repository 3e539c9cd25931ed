//! The commands.

use std::fmt::Write;

use emu_pe::mem::inspect;

use super::memory::Format;
use super::{Machine, Session, show, smmu};
use crate::board::hotplug::NotRemoved;
use crate::number::parse_u64;
use crate::quit::Quit;

/// A command: its names, arguments, what help says, what it does.
type Command =
    (&'static [&'static str], &'static str, &'static str, fn(&Machine, &mut Session, &[&str]) -> String);

const COMMANDS: &[Command] = &[
    (&["help", "?"], "[COMMAND]", "this list", |_, _, words| help(words)),
    (&["info"], "[WHAT]", "what there is: see 'help info'", info),
    (&["quit", "q"], "", "end the machine", |m, _, _| {
        (m.on_quit)(Quit::Status(0));
        String::new()
    }),
    (&["stop", "s"], "", "stop the CPUs, and the machine's time", |m, _, _| {
        m.stop();
        String::new()
    }),
    (&["cont", "c"], "", "let them go on", |m, _, _| {
        m.go_on();
        String::new()
    }),
    (&["system_reset"], "", "reset the machine", |m, _, _| {
        m.reset();
        String::new()
    }),
    (
        &["system_powerdown"],
        "",
        "press the power key: a guest that listens to it turns the machine off",
        |m, _, _| {
            m.press_power_key();
            String::new()
        },
    ),
    (&["device_add"], "NAME,bus=ID[,PROPERTY=VALUE...]", "plug a device into a root port", |m, _, words| {
        m.add_device(&words.join(" ")).map_or_else(|e| format!("Error: {e}\n"), |()| String::new())
    }),
    (&["device_del"], "ID", "ask the guest to let go of a device", |m, _, words| {
        let [id] = words else { return "usage: device_del ID\n".to_owned() };
        match m.remove_device(id) {
            Ok(()) => String::new(),
            Err(NotRemoved::Unknown) => format!("Error: Device '{id}' not found\n"),
            Err(NotRemoved::Refused(e)) => format!("Error: {e}\n"),
        }
    }),
    (&["cpu"], "NUMBER", "the CPU that the following commands are about", cpu),
    (
        &["x"],
        "[/FORMAT] ADDRESS",
        "memory at a virtual address: /COUNT, x d u o c, and b h w g",
        |m, s, words| dump(m, s, words, false),
    ),
    (&["xp"], "[/FORMAT] ADDRESS", "memory at a physical address", |m, s, words| dump(m, s, words, true)),
    (&["gva2gpa"], "ADDRESS", "the physical address of a virtual one", gva2gpa),
    (&["smmu"], "[WHAT]", "inside the system MMU: see 'help smmu'", |m, _, words| {
        m.held(|| smmu::answer(&m.smmu, words)).unwrap_or_else(|| "the machine has ended\n".to_owned())
    }),
    (
        &["check"],
        "lockstep",
        "from now on compare translated code with the interpreter (slow; a difference ends the machine)",
        check,
    ),
    (
        &["hostfwd_add"],
        "[NETWORK] [tcp|udp]:[ADDRESS]:PORT-[ADDRESS]:PORT",
        "forward a port of the host to the guest",
        |m, _, words| m.networks.user.add_forward(words),
    ),
    (&["hostfwd_remove"], "[NETWORK] [tcp|udp]:[ADDRESS]:PORT", "forward it no more", |m, _, words| {
        m.networks.user.remove_forward(words)
    }),
    (&["ringbuf_read"], "DEVICE SIZE", "the oldest output that a ring buffer has", ringbuf_read),
];

/// What a line answers.
pub(super) fn answer(machine: &Machine, session: &mut Session, line: &str) -> String {
    // `x/4xw ADDRESS` has its format at the name.
    let spaced = line.replacen('/', " /", 1);
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let Some((name, rest)) = words.split_first() else { return String::new() };
    match COMMANDS.iter().find(|c| c.0.contains(name)) {
        Some((.., run)) => run(machine, session, rest),
        None => format!("unknown command: '{name}'\n"),
    }
}

fn help(words: &[&str]) -> String {
    let mut out = String::new();
    if words == ["info"] {
        for (name, about, _) in show::TOPICS {
            // Writing to a String does not fail.
            let _ = writeln!(out, "info {name:<14} -- {about}");
        }
        return out;
    }
    if words == ["smmu"] {
        return smmu::help();
    }
    for (names, arguments, about, _) in COMMANDS {
        if words.is_empty() || names.contains(&words[0]) {
            let _ = writeln!(out, "{:<28} -- {about}", format!("{} {arguments}", names.join("|")));
        }
    }
    if out.is_empty() {
        let _ = writeln!(out, "unknown command: '{}'", words.join(" "));
    }
    out
}

fn info(machine: &Machine, session: &mut Session, words: &[&str]) -> String {
    let Some((topic, rest)) = words.split_first() else { return help(&["info"]) };
    match show::TOPICS.iter().find(|t| t.0 == *topic) {
        Some((.., show)) => show(machine, session.cpu, rest),
        None => format!("unknown command: 'info {topic}'\n"),
    }
}

fn cpu(machine: &Machine, session: &mut Session, words: &[&str]) -> String {
    match words {
        [number] => match number.parse::<usize>() {
            Ok(n) if n < machine.vcpus.len() => {
                session.cpu = n;
                String::new()
            }
            _ => format!("there is no CPU '{number}': there are {}\n", machine.vcpus.len()),
        },
        _ => "usage: cpu NUMBER\n".to_owned(),
    }
}

fn check(machine: &Machine, _: &mut Session, words: &[&str]) -> String {
    if words != ["lockstep"] {
        return "usage: check lockstep\n".to_owned();
    }
    match machine.check_lockstep() {
        Ok(()) => String::new(),
        Err(why) => format!("{why}\n"),
    }
}

fn dump(machine: &Machine, session: &mut Session, words: &[&str], physical: bool) -> String {
    let (format, address) = match words {
        [format, address] if format.starts_with('/') => (&format[1..], address),
        [address] => ("", address),
        _ => return "usage: x [/FORMAT] ADDRESS\n".to_owned(),
    };
    let format = match Format::read(format, session.format) {
        Ok(format) => format,
        Err(why) => return format!("{why}\n"),
    };
    session.format = format;
    let address = match parse_u64(address) {
        Ok(address) => address,
        Err(e) => return format!("{e}\n"),
    };
    let mut bytes = vec![0; (format.count * format.size) as usize];
    let found = machine.with_cpu(session.cpu, |cpu| {
        let read = if physical {
            cpu.mem.read_physical(address, &mut bytes)
        } else {
            inspect::read(cpu, address, &mut bytes)
        };
        read.unwrap_or(0)
    });
    let Some(found) = found else { return "the machine has ended\n".to_owned() };
    let whole = found - found % format.size as usize;
    let mut out = if whole == 0 { String::new() } else { format.show(address, &bytes[..whole]) };
    if whole < bytes.len() {
        let at = address.wrapping_add(whole as u64);
        // Writing to a String does not fail.
        let _ = writeln!(out, "Cannot access memory at {at:#x}");
    }
    out
}

fn gva2gpa(machine: &Machine, session: &mut Session, words: &[&str]) -> String {
    let [address] = words else { return "usage: gva2gpa ADDRESS\n".to_owned() };
    let va = match parse_u64(address) {
        Ok(va) => va,
        Err(e) => return format!("{e}\n"),
    };
    match machine.with_cpu(session.cpu, |cpu| inspect::walk(cpu, va, &mut Vec::new())) {
        Some(Ok(t)) => format!("gpa: {:#x}\n", t.pa.0),
        Some(Err(_)) => "Unmapped\n".to_owned(),
        None => "the machine has ended\n".to_owned(),
    }
}

fn ringbuf_read(machine: &Machine, _: &mut Session, words: &[&str]) -> String {
    let [device, size] = words else { return "usage: ringbuf_read DEVICE SIZE\n".to_owned() };
    let Some((_, ring)) = machine.rings.iter().find(|(name, _)| name == device) else {
        return format!("there is no ring buffer '{device}'\n");
    };
    match parse_u64(size) {
        Ok(n) => format!("{}\n", String::from_utf8_lossy(&ring.take(n.min(1 << 20) as usize))),
        Err(e) => format!("{e}\n"),
    }
}

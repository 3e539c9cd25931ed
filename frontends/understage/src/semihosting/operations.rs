//! The operations (section "Semihosting operations" of the specification).

use emu_pe::semihosting::Served;
use nix::errno::Errno;

use super::call::{Call, Outcome};
use super::{Host, files};
use crate::ledger::LONGEST_MARK;

/// X0 after most operations that failed.
const FAILED: u64 = u64::MAX;
/// Ticks of SYS_ELAPSED in a second: nanoseconds.
const TICKS: u64 = 1_000_000_000;
/// ADP_Stopped_ApplicationExit: the reason of SYS_EXIT that comes with a status.
const APPLICATION_EXIT: u64 = 0x2_0026;

/// One of the numbers that the specification leaves to applications (0x100 to 0x1ff): a mark for the ledger.
const MARK: u32 = 0x100;

/// An operation: its number, and what does it. `None` as its result is to wait.
type Operation = (u32, fn(&Host, &mut Call<'_>) -> Result<Option<u64>, Errno>);

macro_rules! done {
    ($f:expr) => {
        |host, call| $f(host, call).map(Some)
    };
}

const OPERATIONS: &[Operation] = &[
    (0x01, done!(files::open)),
    (0x02, done!(files::close)),
    (0x03, done!(write_character)),
    (0x04, done!(write_string)),
    (0x05, done!(files::write)),
    (0x06, files::read),
    (0x07, read_character),
    (0x08, done!(is_error)),
    (0x09, done!(files::is_tty)),
    (0x0a, done!(files::seek)),
    (0x0c, done!(files::length)),
    (0x0d, done!(files::temporary_name)),
    (0x0e, done!(files::remove)),
    (0x0f, done!(files::rename)),
    (0x10, done!(clock)),
    (0x11, done!(time)),
    (0x12, done!(system)),
    (0x13, done!(errno)),
    (0x15, done!(command_line)),
    (0x16, done!(heap_info)),
    (0x18, done!(exit)),
    (0x20, done!(exit)),
    (0x30, done!(elapsed)),
    (0x31, done!(tick_frequency)),
    (MARK, done!(mark)),
];

/// Does what the call says. One that fails leaves its error number for SYS_ERRNO.
pub(super) fn serve(host: &Host, call: &mut Call<'_>) -> Served {
    let operation = OPERATIONS.iter().find(|(number, _)| *number == call.operation);
    let result = match operation {
        Some((_, run)) => run(host, call),
        None => {
            tracing::warn!(
                "the guest asks for semihosting operation {:#x}, which there is none of",
                call.operation
            );
            Err(Errno::ENOSYS)
        }
    };
    match result {
        Ok(Some(value)) => Served::Done(value),
        Ok(None) => Served::Again,
        Err(e) => {
            *host.errno.lock() = e as i32;
            Served::Done(FAILED)
        }
    }
}

/// SYS_WRITEC.
fn write_character(host: &Host, call: &mut Call<'_>) -> Outcome {
    let mut byte = [0];
    call.read(call.parameter, &mut byte)?;
    call.cpu.aside(|_| host.console.debug(&byte))?;
    Ok(0)
}

/// SYS_WRITE0.
fn write_string(host: &Host, call: &mut Call<'_>) -> Outcome {
    call.pieces(call.parameter, None, |cpu, bytes| {
        cpu.aside(|_| host.console.debug(bytes))?;
        Ok(bytes.len())
    })
}

/// SYS_READC.
fn read_character(host: &Host, call: &mut Call<'_>) -> Result<Option<u64>, Errno> {
    let mut byte = [0];
    match call.cpu.aside(|bell| host.console.read(&mut byte, bell)) {
        None => Ok(None),
        Some(0) => Err(Errno::EIO),
        Some(_) => Ok(Some(byte[0].into())),
    }
}

/// SYS_ISERROR: operations report errors as negative numbers.
fn is_error(_: &Host, call: &mut Call<'_>) -> Outcome {
    Ok(u64::from((call.field(0)? as i64) < 0))
}

/// SYS_CLOCK: hundredths of a second.
fn clock(_: &Host, call: &mut Call<'_>) -> Outcome {
    Ok(call.cpu.clock.now_ns() / (TICKS / 100))
}

/// SYS_TIME: seconds since 1970.
fn time(host: &Host, call: &mut Call<'_>) -> Outcome {
    Ok(host.epoch.wrapping_add(call.cpu.clock.now_ns() / TICKS))
}

/// SYS_SYSTEM: no guest runs commands of the host.
fn system(_: &Host, _: &mut Call<'_>) -> Outcome {
    tracing::warn!("the guest wants to run a command of the host (semihosting SYS_SYSTEM), which is refused");
    Err(Errno::EPERM)
}

/// SYS_ERRNO.
fn errno(host: &Host, _: &mut Call<'_>) -> Outcome {
    Ok(*host.errno.lock() as u64)
}

/// SYS_GET_CMDLINE.
fn command_line(host: &Host, call: &mut Call<'_>) -> Outcome {
    let [at, size] = call.fields()?;
    let length = host.command_line.len() as u64;
    if length >= size {
        return Err(Errno::E2BIG);
    }
    call.write(at, &[&host.command_line[..], b"\0"].concat())?;
    call.write(call.parameter.wrapping_add(8), &length.to_le_bytes())?;
    Ok(0)
}

/// SYS_HEAPINFO: heap and stack grow towards each other.
fn heap_info(host: &Host, call: &mut Call<'_>) -> Outcome {
    let block = call.field(0)?;
    let (low, high) = (host.heap.base, host.heap.base + host.heap.size);
    let values = [low, high, high, low].map(u64::to_le_bytes);
    call.write(block, &values.concat())?;
    Ok(0)
}

/// SYS_EXIT and SYS_EXIT_EXTENDED, which are the same to a 64-bit program.
fn exit(host: &Host, call: &mut Call<'_>) -> Outcome {
    let status = match call.fields() {
        Ok([APPLICATION_EXIT, status]) => status as u8,
        // Stopped by something else, or nobody can tell by what.
        _ => 1,
    };
    host.power.quit(status);
    Ok(0)
}

/// SYS_ELAPSED.
fn elapsed(_: &Host, call: &mut Call<'_>) -> Outcome {
    let now = call.cpu.clock.now_ns();
    call.write(call.parameter, &now.to_le_bytes())?;
    Ok(0)
}

/// A mark: X1 is the address of its name, which ends with a zero byte. Without a ledger it is an error, and nothing else.
fn mark(host: &Host, call: &mut Call<'_>) -> Outcome {
    let book = host.book.as_ref().ok_or(Errno::ENOSYS)?;
    let mut name = Vec::new();
    call.pieces(call.parameter, None, |_, bytes| {
        name.extend_from_slice(&bytes[..bytes.len().min(LONGEST_MARK - name.len())]);
        Ok(if name.len() < LONGEST_MARK { bytes.len() } else { 0 })
    })?;
    let cpu = &call.cpu;
    cpu.counters.settle_level(cpu.pstate.el as usize);
    if book.mark(&String::from_utf8_lossy(&name)) { Ok(0) } else { Err(Errno::ENOSPC) }
}

/// SYS_TICKFREQ.
fn tick_frequency(_: &Host, _: &mut Call<'_>) -> Outcome {
    Ok(TICKS)
}

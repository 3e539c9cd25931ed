//! Puts the mode of the terminal on standard input back, whatever ends the process.
//!
//! Some ends leave no time for anything but a signal handler: `abort`, a fault in host code, a signal whose purpose is a
//! core dump. So the mode to be put back is in a static, and putting it back is one call that a handler may make. This is
//! the only part of the front ends that needs `unsafe`, and does nothing else.
//!
//! # Invariant
//! A handler here changes nothing about what the signal does: when the mode is back, the process ends or stops by the same
//! signal, or the handler that was there before has its turn.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use libc::{c_int, c_void, siginfo_t, termios};

/// Signals that end a process which does not ask for them (signal(7), "Term" and "Core"), apart from those that end a
/// machine in order (SIGHUP, SIGINT, SIGTERM), the one that Rust's runtime ignores (SIGPIPE) and the one that nobody
/// can handle.
pub const FATAL: [c_int; 17] = [
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGUSR1,
    libc::SIGSEGV,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSYS,
];

/// The standard input of the process.
const STDIN: c_int = 0;

type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// The mode to put back, or null. What it points to is never freed, so that a handler can read it at any time.
static BEFORE: AtomicPtr<termios> = AtomicPtr::new(ptr::null_mut());

/// The actions that [`arm`] has replaced, in the order of [`FATAL`]; never freed either.
static REPLACED: [AtomicPtr<libc::sigaction>; FATAL.len()] =
    [const { AtomicPtr::new(ptr::null_mut()) }; FATAL.len()];

/// From now on `before` is the mode to put back. It costs the memory of a mode for each call.
pub fn keep(before: termios) {
    BEFORE.store(Box::into_raw(Box::new(before)), Ordering::Release);
}

/// Puts the mode back, which stays the one to put back. Returns at once if there is none, or if the terminal belongs to
/// others while this process is in the background. From any thread, any number of times; also in a signal handler.
pub fn put_back() {
    let before = BEFORE.load(Ordering::Acquire);
    if before.is_null() || is_in_background() {
        return;
    }
    // SAFETY: `before` comes from `keep` and is never freed or changed; tcsetattr only reads it.
    unsafe { libc::tcsetattr(STDIN, libc::TCSANOW, before) };
}

/// Puts the mode back for good.
pub fn restore() {
    put_back();
    BEFORE.store(ptr::null_mut(), Ordering::Release);
}

/// True if standard input is this process's terminal and another process group uses it now: changing its mode would stop
/// this process (SIGTTOU), and would be wrong.
#[must_use]
pub fn is_in_background() -> bool {
    // SAFETY: both calls only ask the kernel; they are on the list of functions for signal handlers (signal-safety(7)).
    let (user, own) = unsafe { (libc::tcgetpgrp(STDIN), libc::getpgrp()) };
    user != -1 && user != own
}

/// True if the process was started with this signal ignored, as `nohup` does: then it is to stay ignored.
#[must_use]
pub fn is_ignored(signal: c_int) -> bool {
    action(signal).is_ok_and(|action| action.sa_sigaction == libc::SIG_IGN)
}

fn action(signal: c_int) -> io::Result<libc::sigaction> {
    // SAFETY: a `sigaction` of zeros is one; the call fills it in and changes nothing.
    let (failed, action) = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        (libc::sigaction(signal, ptr::null(), &raw mut action), action)
    };
    if failed == 0 { Ok(action) } else { Err(io::Error::last_os_error()) }
}

/// Handles [`FATAL`] and SIGTSTP from now on. A second call does nothing; a signal that the process ignores stays ignored.
pub fn arm() -> io::Result<()> {
    static ARMED: AtomicBool = AtomicBool::new(false);
    if ARMED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    for (signal, slot) in FATAL.iter().zip(&REPLACED) {
        let before = action(*signal)?;
        if before.sa_sigaction == libc::SIG_IGN {
            continue;
        }
        // The handler may run as soon as it is there.
        slot.store(Box::into_raw(Box::new(before)), Ordering::Release);
        handle(*signal, on_fatal)?;
    }
    if is_ignored(libc::SIGTSTP) { Ok(()) } else { handle(libc::SIGTSTP, on_stop) }
}

fn handle(signal: c_int, handler: Handler) -> io::Result<()> {
    // SAFETY: the structure is valid, and the handlers here make only calls that a handler may make. They run on the
    // thread's own signal stack, where there is one, for the fault may be that the stack is full.
    let failed = unsafe {
        let mut ours: libc::sigaction = std::mem::zeroed();
        ours.sa_sigaction = handler as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigemptyset(&raw mut ours.sa_mask);
        libc::sigaction(signal, &raw const ours, ptr::null_mut())
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The process is to stop: it does, with the terminal as it was. Whether it goes on in the foreground, and what mode it wants
/// then, is for whoever handles SIGCONT.
extern "C" fn on_stop(signal: c_int, _info: *mut siginfo_t, _context: *mut c_void) {
    // SAFETY: all of these are on the list of functions for signal handlers, and get valid structures; `errno` belongs to
    // the thread, which must find it as it was.
    unsafe {
        let errno = *libc::__errno_location();
        put_back();
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        let (mut ours, mut only): (libc::sigaction, libc::sigset_t) =
            (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&raw mut only);
        libc::sigaddset(&raw mut only, signal);
        libc::sigaction(signal, &raw const default, &raw mut ours);
        libc::raise(signal);
        // Here it stops, unless it has no shell that could let it go on.
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, ptr::null_mut());
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const only, ptr::null_mut());
        libc::sigaction(signal, &raw const ours, ptr::null_mut());
        *libc::__errno_location() = errno;
    }
}

/// The mode is put back, the earlier action is put back, and the signal comes again: by the instruction that is at
/// fault, or because it is sent.
extern "C" fn on_fatal(signal: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    put_back();
    // SAFETY: the kernel gives a valid `info` to a handler with SA_SIGINFO; the other pointers are from `arm`, or null;
    // sigaction and raise are on the list of functions for signal handlers.
    unsafe {
        let faults = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];
        let by_fault = faults.contains(&signal) && !info.is_null() && (*info).si_code > 0;
        let slot = FATAL.iter().position(|s| *s == signal).map(|i| REPLACED[i].load(Ordering::Acquire));
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        // Rust's own handler of faults must see the fault; whoever sends a signal wants what it does by default.
        let earlier = match slot {
            Some(earlier) if by_fault && !earlier.is_null() => earlier.cast_const(),
            _ => &raw const default,
        };
        libc::sigaction(signal, earlier, ptr::null_mut());
        if !by_fault {
            libc::raise(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_known() {
        assert!(is_ignored(libc::SIGPIPE), "Rust's runtime ignores it");
        assert!(!is_ignored(libc::SIGTERM));
    }

    #[test]
    fn arming_twice_is_arming_once() {
        arm().unwrap();
        arm().unwrap();
        let handler = action(libc::SIGUSR1).unwrap().sa_sigaction;
        assert_eq!(handler, on_fatal as Handler as usize);
        // Without a mode to put back, nothing is done.
        put_back();
        restore();
    }
}

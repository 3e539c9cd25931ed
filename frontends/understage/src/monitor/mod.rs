//! The human monitor: commands that are typed at a prompt, in a terminal beside the serial port (Ctrl-A c) or at a character
//! device of its own. Names and forms are those of QEMU's monitor, as far as this machine has what they are about.
//!
//! | module | what lives there |
//! |---|---|
//! | [`line`] | editing a line |
//! | [`commands`] | the commands |
//! | [`devices`] | the registers of devices |
//! | [`show`] | what `info` prints |
//! | [`memory`] | `x` and `xp` |
//! | [`smmu`] | inside the system MMU, also for the debugger |

mod commands;
mod devices;
mod line;
mod memory;
mod show;
pub mod smmu;

use std::ops::Deref;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use emu_core::bus::Bus;
use emu_core::clock::Clock;
use emu_core::irq::IrqLine;
use emu_devices::pci::{PciHost, Placed, Position};
use emu_engine::interp::lockstep::Totals;
use emu_pe::cpu::Cpu;
use emu_pe::psci::Machine as _;
use parking_lot::Mutex;

use self::line::Line;
pub(crate) use self::show::format_of;
use crate::board::hotplug::{NotRemoved, Plugger};
use crate::character::ring::Ring;
use crate::character::{Bell, Port};
use crate::config::MachineConfig;
use crate::device::disks::Disks;
use crate::error::{UserError, reason, user_error};
use crate::ledger::Book;
use crate::network::Shown;
use crate::power::{Power, SharedVcpu};
use crate::qemu;
use crate::qmp::events::Events;
use crate::quit::OnQuit;

/// How long the power key is held down.
const KEY_PRESS: Duration = Duration::from_millis(100);
/// How often a monitor looks whether its answers are taken.
const PATIENCE: Duration = Duration::from_millis(50);

/// What monitors see and command.
pub struct Parts {
    /// The CPUs.
    pub vcpus: Vec<SharedVcpu>,
    /// What stops and ends them.
    pub power: Arc<Power>,
    /// The machine's time.
    pub clock: Arc<Clock>,
    /// The physical address space.
    pub bus: Arc<Bus>,
    /// The PCI bus, if the board has one.
    pub pci: Option<Arc<PciHost>>,
    /// Adds devices to it, and takes them away.
    pub plugger: Option<Arc<Plugger>>,
    /// What there is to see of the SMMU.
    pub smmu: smmu::View,
    /// What CPUs and devices did, if it is kept.
    pub book: Option<Arc<Book>>,
    /// The wire of the power key.
    pub power_key: IrqLine,
    /// Name and description of each character device.
    pub characters: Vec<(String, String)>,
    /// Those whose output is kept.
    pub rings: Vec<(String, Ring)>,
    /// The network back ends.
    pub networks: Shown,
    /// The images that devices use.
    pub disks: Arc<Disks>,
    /// What was said of the machine.
    pub listing: Listing,
    /// Ends the machine.
    pub on_quit: OnQuit,
}

/// The same, and what all monitors of a machine share.
pub struct Machine {
    parts: Parts,
    /// Who is told of what happens to it.
    pub events: Events,
    /// A monitor has stopped the machine.
    stopped: Mutex<bool>,
}

impl Deref for Machine {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// What the command line says that monitors show or do.
#[derive(Clone, Debug)]
pub struct Listing {
    devices: Vec<String>,
    /// The CPUs wait for a monitor's word before their first instruction.
    stopped: bool,
    /// The machine's name.
    pub name: Option<String>,
    /// Its UUID.
    pub uuid: Option<[u8; 16]>,
    /// Bytes of RAM.
    pub memory: u64,
}

impl Listing {
    /// Of a machine.
    #[must_use]
    pub fn of(config: &MachineConfig) -> Self {
        Self {
            devices: show::added_devices(config),
            stopped: config.gdb_wait.is_some() && config.gdb.is_none(),
            name: config.host.name.clone(),
            uuid: config.uuid,
            memory: config.memory,
        }
    }
}

impl Machine {
    /// It has not started. If the command line says so, its CPUs wait for a monitor's word.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let machine = Arc::new(Self { parts, events: Events::default(), stopped: Mutex::new(false) });
        if machine.listing.stopped {
            machine.stop();
        }
        for (id, port) in machine.networks.streams() {
            let (of, id, own) = (Arc::downgrade(&machine), id.clone(), Arc::downgrade(port));
            port.on_open(Box::new(move |open| {
                if let (Some(machine), Some(port)) = (of.upgrade(), own.upgrade()) {
                    machine.events.stream(&id, open, port.peer());
                }
            }));
        }
        machine
    }

    /// The functions on PCI, if there is any.
    pub(crate) fn functions(&self) -> Vec<Placed> {
        self.pci.as_ref().map_or_else(Vec::new, |pci| pci.functions())
    }

    /// Adds a device while the machine runs; `text` is an object, or a line as that of `-device`.
    pub(crate) fn add_device(&self, text: &str) -> Result<(), UserError> {
        let plugger =
            self.plugger.as_ref().ok_or_else(|| user_error!("this machine has no bus for devices"))?;
        plugger.add(qemu::later_parts(text)?)
    }

    /// Asks the guest to let go of a device.
    pub(crate) fn remove_device(&self, id: &str) -> Result<(), NotRemoved> {
        self.plugger.as_ref().map_or(Err(NotRemoved::Unknown), |plugger| plugger.remove(id))
    }

    /// The devices that were added, as `info qtree` shows them.
    fn added_devices(&self) -> Vec<String> {
        let now = self.plugger.as_ref().map(|plugger| show::added_devices(&plugger.machine()));
        now.unwrap_or_else(|| self.listing.devices.clone())
    }

    /// The PCI functions that were given an id.
    pub(crate) fn pci_ids(&self) -> Vec<(Position, String)> {
        let now = self.plugger.as_ref().map(|plugger| show::pci_ids(&plugger.machine()));
        now.unwrap_or_default()
    }

    /// Runs `look` on a CPU while all are still. `None` if there is no such CPU, or the machine has ended.
    fn with_cpu<T>(&self, cpu: usize, look: impl FnOnce(&mut Cpu) -> T) -> Option<T> {
        let vcpu = self.vcpus.get(cpu)?;
        self.held(|| look(&mut vcpu.lock().cpu))
    }

    /// Runs `look` while all CPUs are still. `None` if the machine has ended.
    fn held<T>(&self, look: impl FnOnce() -> T) -> Option<T> {
        self.power.pause();
        let seen = self.power.wait_held().then(look);
        self.power.unpause();
        seen
    }

    /// All CPUs compare host code with the interpreter from now on. They begin together, for in lockstep one runs at a time.
    fn check_lockstep(&self) -> Result<(), &'static str> {
        self.power.pause();
        let begun = if self.power.wait_held() {
            let mut vcpus: Vec<_> = self.vcpus.iter().map(|v| v.lock()).collect();
            if vcpus.iter().any(|v| v.cpu.trace.blocks) {
                Err("blocks are traced, and what is traced is interpreted only")
            } else if vcpus.iter().any(|v| v.lockstep_totals().is_some()) {
                Err("the check has begun already")
            } else if vcpus.iter_mut().enumerate().all(|(i, v)| v.check_lockstep(i as u64)) {
                Ok(())
            } else {
                Err("there is nothing to compare: no host code is made")
            }
        } else {
            Err("the machine has ended")
        };
        self.power.unpause();
        begun
    }

    /// What was compared since then; `None` if nothing is.
    fn lockstep_totals(&self) -> Option<Totals> {
        self.held(|| self.vcpus.iter().filter_map(|v| v.lock().lockstep_totals()).reduce(|a, b| a + b))
            .flatten()
    }

    /// The user stops the machine, and its time. Does not wait.
    pub(crate) fn stop(&self) {
        let mut stopped = self.stopped.lock();
        if !std::mem::replace(&mut *stopped, true) {
            self.power.pause();
            self.clock.pause();
            drop(stopped);
            self.events.stopped();
        }
    }

    /// A user has stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.lock()
    }

    /// The machine is reset. Does not wait.
    pub(crate) fn reset(&self) {
        self.power.system_reset();
    }

    /// The power key is held down, and let go.
    pub(crate) fn press_power_key(&self) {
        self.events.power_key();
        self.power_key.set(true);
        thread::sleep(KEY_PRESS);
        self.power_key.set(false);
    }

    /// What the human monitor answers to a line, of a user who has chosen a CPU.
    pub(crate) fn typed(&self, cpu: usize, line: &str) -> String {
        commands::answer(self, &mut Session { cpu, ..Session::default() }, line)
    }

    /// The machine goes on.
    pub(crate) fn go_on(&self) {
        if std::mem::take(&mut *self.stopped.lock()) {
            self.events.resumed();
            self.clock.resume();
            self.power.unpause();
        }
    }
}

/// What one user of a monitor has chosen.
#[derive(Default)]
struct Session {
    /// The CPU that commands are about.
    cpu: usize,
    format: memory::Format,
}

/// A monitor that is to be started.
pub struct Monitor {
    prompt: &'static str,
    bell: Arc<Bell>,
}

impl Monitor {
    /// With this prompt.
    #[must_use]
    pub fn new(prompt: &'static str) -> Self {
        Self { prompt, bell: Arc::default() }
    }

    /// To be called when somebody turns to the monitor, or connects to it: it greets, and shows its prompt.
    #[must_use]
    pub fn greeter(&self) -> Box<dyn Fn() + Send + Sync> {
        let bell = self.bell.clone();
        Box::new(move || bell.ring(true))
    }

    /// Serves `port` in a thread of its own.
    pub fn start(self, machine: Arc<Machine>, port: Arc<Port>) -> Result<(), UserError> {
        let bell = self.bell.clone();
        port.input().set_notify(Arc::new(move || bell.ring(false)));
        let body = move || serve(&self, &machine, &port);
        thread::Builder::new()
            .name("monitor".into())
            .spawn(body)
            .map(drop)
            .map_err(|e| user_error!("cannot start a thread for the monitor: {}", reason(&e)))
    }
}

fn serve(monitor: &Monitor, machine: &Machine, port: &Port) {
    let (mut line, mut session) = (Line::default(), Session::default());
    loop {
        if monitor.bell.wait() {
            let version = env!("CARGO_PKG_VERSION");
            let greeting = format!(
                "understage {version} monitor - type 'help' for more information\r\n{}",
                monitor.prompt
            );
            port.write(greeting.as_bytes());
        }
        let mut bytes = [0; 256];
        loop {
            // Who does not read the answers gets no more of them.
            while !port.room() {
                thread::sleep(PATIENCE);
            }
            let n = port.input().take(&mut bytes);
            if n == 0 {
                break;
            }
            for byte in &bytes[..n] {
                let typed = line.feed(*byte);
                let mut answer = typed.echo;
                if let Some(line) = typed.line {
                    answer.push_str(&commands::answer(machine, &mut session, &line).replace('\n', "\r\n"));
                    answer.push_str(monitor.prompt);
                }
                port.write(answer.as_bytes());
            }
        }
    }
}

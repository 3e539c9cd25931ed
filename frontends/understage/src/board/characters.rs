//! The board's character devices: which port is whose, who shares one, and where the monitors are.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use crate::character::Port;
use crate::character::mux::Mux;
use crate::character::ring::Ring;
use crate::config::{CharBackend, MachineConfig};
use crate::error::{UserError, user_error};
use crate::monitor::{Machine, Monitor};
use crate::qmp::Control;
use crate::quit::OnQuit;

/// What has been opened so far.
pub struct Characters {
    on_quit: OnQuit,
    prompt: &'static str,
    /// Those with several users, by [`CharBackend::Mux`].
    muxes: Vec<Arc<Mux>>,
    /// Label, description and port of each, in the order in which they begin.
    opened: Vec<(String, String, Arc<Port>)>,
    monitors: Vec<(Monitor, Arc<Port>)>,
    controls: Vec<Control>,
}

impl Characters {
    /// Opens those with several users, and the monitors.
    pub(super) fn new(config: &MachineConfig, on_quit: OnQuit) -> Result<Self, UserError> {
        let wanted = &config.characters;
        let mut this = Self {
            on_quit,
            prompt: wanted.prompt.0,
            muxes: Vec::new(),
            opened: Vec::new(),
            monitors: Vec::new(),
            controls: Vec::new(),
        };
        for (n, backend) in wanted.muxes.iter().enumerate() {
            let port = this.direct(backend, &format!("mux{n}"))?;
            this.muxes.push(Mux::new(port, this.on_quit.clone()));
        }
        for (n, backend) in wanted.monitors.iter().enumerate() {
            this.monitor(backend, &format!("monitor{n}"))?;
        }
        for (n, (backend, pretty)) in wanted.controls.iter().enumerate() {
            let port = this.open(backend, &format!("qmp{n}"))?;
            this.controls.push(Control::new(port, *pretty));
        }
        Ok(this)
    }

    /// A port that nobody else uses.
    fn direct(&mut self, backend: &CharBackend, label: &str) -> Result<Arc<Port>, UserError> {
        let port = Arc::new(Port::open(backend, self.on_quit.clone())?);
        self.opened.push((label.to_owned(), backend.describe(), port.clone()));
        Ok(port)
    }

    fn mux(&self, index: usize) -> Result<&Arc<Mux>, UserError> {
        self.muxes
            .get(index)
            .ok_or_else(|| user_error!("there is no character device {index} with several users"))
    }

    /// A port for a device. On a terminal with escape keys there is a monitor as well, and the device gets the keys at
    /// first.
    pub(crate) fn open(&mut self, backend: &CharBackend, label: &str) -> Result<Arc<Port>, UserError> {
        match backend {
            CharBackend::Mux(index) => Ok(self.mux(*index)?.user(Box::new(|| ()))),
            CharBackend::Stdio { escapes: true } if io::stdin().is_terminal() => {
                let mux = Mux::new(self.direct(backend, label)?, self.on_quit.clone());
                self.monitor_on(&mux);
                Ok(mux.user(Box::new(|| ())))
            }
            _ => self.direct(backend, label),
        }
    }

    fn monitor_on(&mut self, mux: &Arc<Mux>) {
        let monitor = Monitor::new(self.prompt);
        let port = mux.user(monitor.greeter());
        self.monitors.push((monitor, port));
    }

    fn monitor(&mut self, backend: &CharBackend, label: &str) -> Result<(), UserError> {
        if let CharBackend::Mux(index) = backend {
            let mux = self.mux(*index)?.clone();
            self.monitor_on(&mux);
            return Ok(());
        }
        let monitor = Monitor::new(self.prompt);
        let port = self.direct(backend, label)?;
        let greet = monitor.greeter();
        if port.is_open() {
            greet();
        }
        port.on_open(Box::new(move |open| {
            if open {
                greet();
            }
        }));
        self.monitors.push((monitor, port));
        Ok(())
    }

    /// What ends the machine.
    #[must_use]
    pub fn on_quit(&self) -> OnQuit {
        self.on_quit.clone()
    }

    /// Name and description of each device.
    #[must_use]
    pub fn described(&self) -> Vec<(String, String)> {
        self.opened.iter().map(|(label, what, _)| (label.clone(), what.clone())).collect()
    }

    /// Those whose output is kept.
    #[must_use]
    pub fn rings(&self) -> Vec<(String, Ring)> {
        let ring =
            |(label, _, port): &(String, String, Arc<Port>)| Some((label.clone(), port.ring()?.clone()));
        self.opened.iter().filter_map(ring).collect()
    }

    /// The machine begins: terminals, files and connections first, then the monitors.
    pub fn begin(&mut self, machine: &Arc<Machine>) -> Result<(), UserError> {
        self.opened.iter().try_for_each(|(label, _, port)| port.begin(label))?;
        self.controls.drain(..).try_for_each(|control| control.start(machine.clone()))?;
        self.monitors.drain(..).try_for_each(|(monitor, port)| monitor.start(machine.clone(), port))
    }
}

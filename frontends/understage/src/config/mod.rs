//! What machine to build, as plain data. Both command lines produce a [`MachineConfig`]; the loaders, the devicetree
//! and the board read it and nothing else.
//!
//! | module | what lives there |
//! |---|---|
//! | [`given`] | values that remember which option gave them |
//! | [`machine`] | the whole: [`MachineConfig`] |
//! | [`rules`] | what must hold between options |
//! | [`virt`], [`cpu`], [`smmu`], [`device`], [`disk`] | the parts of the machine |
//! | [`network`] | the other ends of network cables |
//! | [`program`] | what is in it when it starts |
//! | [`character`] | the other ends of serial ports, consoles, monitors |
//! | [`execution`], [`trace`], [`debugger`] | how it runs, and what is told and seen of that |
//! | [`host`] | how it lives on the host |
//! | [`qtest`] | who drives its devices, if no CPU does |

mod character;
mod cpu;
mod debugger;
mod device;
mod dgram;
mod disk;
mod execution;
mod given;
mod host;
mod machine;
mod network;
mod program;
mod qtest;
mod rules;
mod smmu;
mod smmuv2;
mod trace;
mod user_network;
mod virt;

pub use character::{CharBackend, Characters, LogFile, SHORT_FORMS, Socket, SocketPlace};
pub use cpu::{CpuChanges, CpuModel, MAX_CPUS, MAX_CPUS_GICV2, Topology, check_cpus};
pub use debugger::{Address, address};
pub use device::{AnySettings, Bus, Device, Interfaces, PciPlug, Settings};
pub use dgram::Dgram;
pub use disk::{Disk, DiskFormat, Flash, Label};
pub use execution::{Accel, CODE_CACHE, Check, PerfFile, StopOn, Time};
pub use given::{Given, HostFile};
pub use host::{Host, MAX_MEMORY, MEMORY_GRANULE, Ram, RamBacking, Rtc, RtcBase, check_memory};
pub use machine::{Ledger, MachineConfig, Semihosting};
pub use network::{Netdev, NetdevKind, STREAM, default_station, netdev_help, station};
pub use program::{Blob, FwCfgContents, FwCfgFile, Kernel, Module, ModuleKind};
pub use qtest::{Qtest, QtestLog};
pub use smmu::{Smmu, SmmuPlace, SmmuProfile};
pub use smmuv2::{Smmuv2, Smmuv2Profile};
pub use trace::{Category, Tracing, help as trace_help, ranges as trace_ranges};
pub use virt::{GicVersion, Msi, Virt};

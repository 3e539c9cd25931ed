//! The part of the machine that the cases about the SMMU are for: an SMMUv3 with all that is implemented, whatever the CPU, and two
//! test masters behind it.

use std::sync::Arc;

use emu_core::bus::{Backing, Bus};
use emu_core::clock::Clock;
use emu_core::dma::{DirectPort, Master, Stalls};
use emu_core::irq::{IrqLine, IrqSink};
use emu_devices::test_master::{self, TestMaster};
use emu_pe::doorbell::Doorbell;
use emu_pe::mem::shared::Shared;
use emu_smmu::v3::profile::Profile;
use emu_smmu::v3::{self, Smmuv3};
use firmware::guest_tests::layout;

use super::map;

/// The StreamID of the SMMU's own messages.
const OWN_STREAM: u32 = 0xffff;

/// Puts them on the bus; SPIs are wires of `spis`.
pub(super) fn build(
    bus: &Arc<Bus>,
    clock: &Arc<Clock>,
    spis: &Arc<dyn IrqSink>,
    bells: &[Arc<Doorbell>],
    shared: &Shared,
) {
    let line = |n: u32| IrqLine::new(spis.clone(), n);
    let bells = bells.to_vec();
    let smmu = Smmuv3::new(v3::Config {
        name: "smmuv3".to_owned(),
        profile: Profile::FULL,
        bus: bus.clone(),
        clock: clock.clone(),
        wires: [0, 1, 2, 3].map(|n| line(layout::SMMU_SPI + n)),
        messages: Arc::new(DirectPort::new(bus.clone(), Master::new(OWN_STREAM, Stalls::Never))),
        send_event: Some(Arc::new(move || bells.iter().for_each(|bell| bell.send_event()))),
        counters: Arc::default(),
    });
    shared.listen(smmu.core().clone());
    map(bus, layout::SMMU, v3::WINDOW, Backing::Mmio(smmu.clone()));
    let masters: [(&[u32], bool); 2] = [(&layout::TEST_STREAMS, true), (&layout::UNSTALLABLE_STREAMS, false)];
    for (n, (streams, may_stall)) in (0..).zip(masters) {
        let master = TestMaster::new(test_master::Config {
            name: "test-master",
            streams,
            may_stall,
            ports: &*smmu,
            irq: line(layout::TEST_MASTER_SPI + n as u32),
            counters: Arc::default(),
        });
        let at = layout::TEST_MASTER + n * layout::TEST_MASTER_SIZE;
        map(bus, at, test_master::WINDOW, Backing::Mmio(master));
    }
}

//! The part of the machine that the cases about the System MMU are for: one of them, whatever the CPU, and test masters behind it.

use std::sync::Arc;

use emu_core::bus::{Backing, Bus};
use emu_core::clock::Clock;
use emu_core::dma::{DirectPort, DmaPort, Master, Ports, Stalls};
use emu_core::irq::{IrqLine, IrqSink};
use emu_devices::test_master::{self, TestMaster};
use emu_pe::doorbell::Doorbell;
use emu_pe::mem::shared::Shared;
use emu_smmu::v2::{self, Smmuv2};
use emu_smmu::v3::pmcg::{self, Pmcg};
use emu_smmu::v3::profile::{Choices, Profile, Stages};
use emu_smmu::v3::{self, Smmuv3};
use firmware::guest_tests::{Smmu, layout};

use super::map;

/// The StreamID of the counter group's own messages.
const PMCG_STREAM: u32 = 0xfffe;

/// Context banks of an SMMUv2 that have a wire.
const CONTEXT_WIRES: u32 = 32;

/// What it is connected to.
pub(super) struct Around<'a> {
    pub(super) bus: &'a Arc<Bus>,
    pub(super) clock: &'a Arc<Clock>,
    pub(super) spis: &'a Arc<dyn IrqSink>,
    pub(super) bells: &'a [Arc<Doorbell>],
    pub(super) shared: &'a Shared,
}

/// Puts them on the bus.
pub(super) fn build(smmu: Smmu, around: &Around<'_>) {
    let of_stages = |stages| {
        let choices = Choices { stages: Some(stages), ..Choices::default() };
        Profile::FULL.with(&choices).expect("stages can be chosen")
    };
    let ports = match smmu {
        Smmu::Full => around.smmuv3(Profile::FULL),
        Smmu::Plain => around.smmuv3(Profile::QEMU),
        Smmu::TwoStalls => around.smmuv3(Profile { stall_max: 2, ..Profile::FULL }),
        Smmu::Stage1 => around.smmuv3(of_stages(Stages::One)),
        Smmu::Stage2 => around.smmuv3(of_stages(Stages::Two)),
        Smmu::Mmu500 => around.smmuv2(v2::Profile::MMU500),
        Smmu::FullV2 => around.smmuv2(v2::Profile::FULL),
    };
    around.masters(&*ports);
}

impl Around<'_> {
    fn line(&self, n: u32) -> IrqLine {
        IrqLine::new(self.spis.clone(), n)
    }

    fn messages(&self, stream: u32) -> Arc<dyn DmaPort> {
        Arc::new(DirectPort::new(self.bus.clone(), Master::new(stream, Stalls::Never)))
    }

    fn smmuv3(&self, profile: Profile) -> Arc<dyn Ports> {
        let bells = self.bells.to_vec();
        let smmu = Smmuv3::new(v3::Config {
            name: "smmuv3".to_owned(),
            profile,
            bus: self.bus.clone(),
            clock: self.clock.clone(),
            wires: [0, 1, 2, 3].map(|n| self.line(layout::SMMU_SPI + n)),
            messages: self.messages(layout::SMMU_DEVICE),
            send_event: Some(Arc::new(move || bells.iter().for_each(|bell| bell.send_event()))),
            counters: Arc::default(),
        });
        self.shared.listen(smmu.core().clone());
        map(self.bus, layout::SMMU, v3::WINDOW, Backing::Mmio(smmu.clone()));
        let counters = pmcg::Config {
            name: "pmcg".to_owned(),
            clock: self.clock.clone(),
            wire: self.line(layout::SMMU_PMCG_SPI),
            messages: self.messages(PMCG_STREAM),
            counters: Arc::default(),
        };
        if let Some(counters) = Pmcg::beside(&smmu, counters) {
            map(self.bus, layout::SMMU_PMCG, pmcg::WINDOW, Backing::Mmio(counters));
        }
        smmu
    }

    fn smmuv2(&self, profile: v2::Profile) -> Arc<dyn Ports> {
        let smmu = Smmuv2::new(v2::Config {
            name: "smmuv2".to_owned(),
            profile,
            bus: self.bus.clone(),
            clock: self.clock.clone(),
            global: self.line(layout::SMMU_V2_SPI),
            contexts: (0..CONTEXT_WIRES).map(|n| self.line(layout::SMMU_V2_CONTEXT_SPI + n)).collect(),
            counters: Arc::default(),
        });
        self.shared.listen(smmu.core().clone());
        map(self.bus, layout::SMMU_V2, profile.window(), Backing::Mmio(smmu.clone()));
        smmu
    }

    fn masters(&self, ports: &dyn Ports) {
        for (n, (streams, may_stall)) in (0..).zip(layout::TEST_MASTERS) {
            let master = TestMaster::new(test_master::Config {
                name: "test-master",
                streams,
                may_stall,
                ports,
                irq: self.line(layout::TEST_MASTER_SPI + n),
                counters: Arc::default(),
            });
            let at = layout::TEST_MASTER + u64::from(n) * layout::TEST_MASTER_SIZE;
            map(self.bus, at, test_master::WINDOW, Backing::Mmio(master));
        }
    }
}

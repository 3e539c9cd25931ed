//! Every component of a machine, as the boards list them: what is on a board is tested by that.

use std::ffi::OsString;
use std::sync::Arc;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Requester};
use emu_core::lifecycle::{Payload, restore_all, save_all};
use understage::board::build::Board;
use understage::load::plan::Plan;
use understage::qemu::{self, Request};

/// Machines that have all kinds of components between them.
const LINES: &[&str] = &[
    "-M virt,gic-version=3,virtualization=on -cpu max -smp 2 -m 8M -serial null -serial null \
     -device virtio-rng-pci -device virtio-rng-device -device virtio-serial-pci -device virtio-serial-device \
     -device pci-testdev -device pci-testdev -device edu -display none -kernel none",
    "-M virt,gic-version=3,virtualization=on,iommu=smmuv3 -cpu max -m 8M -serial null \
     -device virtio-rng-pci,iommu_platform=on -device edu -display none -kernel none",
    "-M virt,gic-version=3 -cpu max -m 8M -serial null -device arm-smmuv3,primary-bus=pcie.0,profile=full \
     -device edu -device iommu-testdev -device test-master -display none -kernel none",
    "-M virt,gic-version=2,virtualization=on -cpu cortex-a72 -smp 2 -m 8M -serial null \
     -device virtio-rng-pci-transitional -display none -kernel none",
    "-M virt,gic-version=2,its=off,iommu=smmuv2 -cpu max -m 8M -serial null -global virtio-mmio.force-legacy=off \
     -device virtio-rng-device,iommu_platform=on -device test-master,stall=off -display none -kernel none",
    "-M virt,gic-version=3,iommu=smmuv3 -cpu max -m 8M -serial null -device pcie-root-port,id=a,slot=1 \
     -netdev hubport,id=n,hubid=0 -device virtio-net-pci,netdev=n -device virtio-net-device -device e1000e \
     -device edu,bus=a,multifunction=on -device virtio-rng-pci,bus=a,addr=0.3 -device pcie-root-port,id=b,slot=2,hotplug=off \
     -device pci-testdev,bus=b -device pcie-root-port,slot=3 -display none -kernel none",
];

fn board(line: &str) -> Board {
    let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    let Request::Run(config) = qemu::parse(&args).unwrap() else { panic!("{line}") };
    let plan = Plan {
        segments: Vec::new(),
        flash: [None, None],
        fw_cfg: Vec::new(),
        fw_cfg_files: Vec::new(),
        dtb: Vec::new(),
        boot: None,
    };
    Board::new(&config, &plan, &|_| Arc::new(|_| {})).unwrap()
}

/// The same for the same seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }
}

/// Makes the machine's state another one than after power-on, as a guest's writes do. They go where registers are: to the
/// first page of each region, and to configuration space.
fn disturb(board: &Board, seed: u64) {
    let mut numbers = Numbers(seed);
    let view = board.bus.view();
    for region in view.regions() {
        let span = match region.backing {
            Backing::Mmio(_) => region.size.min(0x8000),
            Backing::Ram(..) => region.size,
            Backing::Rom(..) => continue,
        };
        for _ in 0..200 {
            let at = (numbers.next() % span) & !3;
            let cpu = Requester::Cpu(numbers.next() as u32 % 2);
            // It may be refused.
            let _ = board.bus.write(Pa(region.base.0 + at), Size::B4, numbers.next(), cpu);
        }
    }
    for vcpu in &board.vcpus {
        let cpu = &mut vcpu.lock().cpu;
        cpu.regs.x.iter_mut().for_each(|x| *x = numbers.next());
        cpu.regs.pc = numbers.next();
        cpu.refresh();
    }
    board.clock.pause();
}

fn pause(board: &Board) {
    board.components.iter().rev().for_each(|c| c.pause());
}

fn each(test: impl Fn(&Board, &Board)) {
    for line in LINES {
        let (disturbed, fresh) = (board(line), board(line));
        pause(&disturbed);
        pause(&fresh);
        disturb(&disturbed, 1);
        test(&disturbed, &fresh);
    }
}

/// The texts that are no state of any component.
fn garbage(payload: &Payload) -> Vec<Payload> {
    let text = |state: &str| Payload { state: state.to_owned(), ..payload.clone() };
    let cut = &payload.state[..payload.state.len() - 1];
    let mut all = vec![
        text(""),
        text("null"),
        text("[]"),
        text("{}"),
        text(cut),
        text(&format!("{cut},\"surplus\":1}}")),
        text(&format!("{} ", payload.state)),
        Payload { version: payload.version + 1, ..payload.clone() },
        Payload { version: 0, ..payload.clone() },
        Payload { kind: "nothing".into(), ..payload.clone() },
        payload.clone().blob("surplus", vec![1]),
        payload.clone().part(Payload { name: "surplus".into(), ..payload.clone() }),
    ];
    for name in payload.blobs.keys() {
        let mut without = payload.clone();
        without.blobs.remove(name);
        all.push(without);
    }
    for n in 0..payload.parts.len() {
        let mut without = payload.clone();
        without.parts.remove(n);
        all.push(without);
    }
    all
}

#[test]
fn components_have_names_of_their_own() {
    each(|board, _| {
        let mut names: Vec<String> = board.components.iter().map(|c| c.name().to_owned()).collect();
        for own in ["clock", "ram", "cpu0", "power", "pcie", "flash0", "fw_cfg@9020000"] {
            assert!(names.iter().any(|n| n == own), "{own}");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    });
}

#[test]
fn what_is_saved_is_saved_again_after_a_restore() {
    each(|from, to| {
        let saved = save_all(&from.components);
        let changed = save_all(&to.components).iter().zip(&saved).filter(|(a, b)| a != b).count();
        assert!(changed > 4, "only {changed} components are not as after power-on");
        restore_all(&to.components, saved.clone()).unwrap();
        for (component, payload) in to.components.iter().zip(&saved) {
            assert!(component.save() == *payload, "{}", component.name());
        }
    });
}

#[test]
fn a_reset_after_a_restore_is_a_reset() {
    each(|from, to| {
        restore_all(&to.components, save_all(&from.components)).unwrap();
        for board in [from, to] {
            board.components.iter().for_each(|c| c.reset());
        }
        for (a, b) in from.components.iter().zip(&to.components) {
            assert!(a.save() == b.save(), "{}", a.name());
        }
    });
}

/// A state that does not fit is refused by name, and changes nothing: neither in its component nor in those before it.
#[test]
fn garbage_and_other_versions_are_refused() {
    each(|from, to| {
        let (saved, before) = (save_all(&from.components), save_all(&to.components));
        for (n, component) in to.components.iter().enumerate() {
            for payload in garbage(&saved[n]) {
                let refused = component.restore(payload.clone());
                let why = refused.expect_err(&format!("{}: {}", component.name(), payload.state));
                assert!(why.to_string().contains(component.name()), "{why}");
            }
            assert!(component.save() == before[n], "{}", component.name());
        }
    });
}

#[test]
fn one_bad_state_keeps_all_components_as_they_are() {
    each(|from, to| {
        let before = save_all(&to.components);
        let saved = save_all(&from.components);
        for bad in [0, saved.len() / 2, saved.len() - 1] {
            let mut damaged = saved.clone();
            damaged[bad].version += 1;
            restore_all(&to.components, damaged).unwrap_err();
        }
        restore_all(&to.components, saved[1..].to_vec()).unwrap_err();
        assert!(save_all(&to.components) == before);
    });
}

//! What the loader tells a kernel through any devicetree, the board's own or the user's: `/chosen` and `/memory`.

use std::fs::File;
use std::io::{self, Read};

use super::tree::{Node, Tree, split};
use crate::config::ModuleKind;
use crate::map::Range;

/// Random numbers for the kernel (Devicetree schema, `chosen`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seeds {
    /// `rng-seed`: entropy for the kernel's generator.
    pub rng: [u8; 32],
    /// `kaslr-seed`: for the placement of the kernel.
    pub kaslr: u64,
}

impl Seeds {
    /// Fresh seeds from the host's generator.
    pub fn from_host() -> io::Result<Self> {
        let (mut rng, mut kaslr) = ([0; 32], [0; 8]);
        let mut source = File::open("/dev/urandom")?;
        source.read_exact(&mut rng)?;
        source.read_exact(&mut kaslr)?;
        Ok(Self { rng, kaslr: u64::from_le_bytes(kaslr) })
    }
}

/// What is told.
#[derive(Clone, Debug)]
pub struct BootInfo {
    /// RAM.
    pub memory: Range,
    /// Kernel command line.
    pub bootargs: Option<String>,
    /// Initial RAM disk.
    pub initrd: Option<Range>,
    /// What a hypervisor finds for its guests, and where.
    pub modules: Vec<(Range, ModuleKind)>,
    /// Random numbers, if there are to be any.
    pub seeds: Option<Seeds>,
}

/// A devicetree that cannot be brought up to date.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("#address-cells and #size-cells of its root are {0} and {1}, which cannot say {2:#x}")]
pub struct Cells(u32, u32, u64);

impl BootInfo {
    /// Brings `/chosen` and `/memory` up to date. A command line or RAM disk that is not given leaves what a
    /// devicetree says about them.
    pub fn apply(&self, tree: &mut Tree) -> Result<(), Cells> {
        self.memory(&mut tree.root)?;
        let chosen = tree.root.child_mut("chosen");
        if let Some(args) = &self.bootargs {
            chosen.set("bootargs", args.bytes().chain([0]).collect());
        }
        if let Some(initrd) = self.initrd {
            chosen.set("linux,initrd-start", initrd.base.to_be_bytes().to_vec());
            chosen.set("linux,initrd-end", initrd.end().to_be_bytes().to_vec());
        }
        if let Some(seeds) = &self.seeds {
            chosen.set("rng-seed", seeds.rng.to_vec());
            chosen.set("kaslr-seed", seeds.kaslr.to_be_bytes().to_vec());
        }
        for (range, kind) in &self.modules {
            chosen.children.push(module(*range, kind));
        }
        Ok(())
    }

    /// One memory node in place of any that are there.
    fn memory(&self, root: &mut Node) -> Result<(), Cells> {
        // The defaults are those of the specification, 2.3.5.
        let cells = |name, default| root.get_cells(name).and_then(|c| c.first().copied()).unwrap_or(default);
        let (address, size) = (cells("#address-cells", 2), cells("#size-cells", 1));
        let mut reg = number(self.memory.base, address).ok_or(Cells(address, size, self.memory.base))?;
        reg.extend(number(self.memory.size, size).ok_or(Cells(address, size, self.memory.size))?);
        let is_memory = |n: &Node| n.get_str("device_type") == Some("memory") || n.name == "memory";
        let at = root.children.iter().position(is_memory).unwrap_or(0);
        root.children.retain(|n| !is_memory(n));
        let node = Node::new(format!("memory@{:x}", self.memory.base))
            .strings("device_type", &["memory"])
            .cells("reg", &reg);
        root.children.insert(at, node);
        Ok(())
    }
}

/// A node of Xen's binding for what a boot loader has put into memory (docs/misc/arm/device-tree/booting.txt), with two
/// cells for address and size each.
fn module(range: Range, kind: &ModuleKind) -> Node {
    let what = match kind {
        ModuleKind::Kernel { .. } => "multiboot,kernel",
        ModuleKind::Ramdisk => "multiboot,ramdisk",
    };
    let node = Node::new(format!("module@{:#x}", range.base))
        .strings("compatible", &["multiboot,module", what])
        .wide("reg", &[range.base, range.size]);
    match kind {
        ModuleKind::Kernel { bootargs: Some(text) } => node.strings("bootargs", &[text]),
        _ => node,
    }
}

/// `n` in `cells` cells, if it fits.
fn number(n: u64, cells: u32) -> Option<Vec<u32>> {
    let [high, low] = split(n);
    match (cells, high) {
        (1, 0) => Some(vec![low]),
        (2, _) => Some(vec![high, low]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> BootInfo {
        BootInfo {
            memory: Range { base: 0x4000_0000, size: 6 << 30 },
            bootargs: Some("console=ttyAMA0".into()),
            initrd: Some(Range { base: 0x4800_0000, size: 0x123 }),
            modules: Vec::new(),
            seeds: Some(Seeds { rng: [7; 32], kaslr: 9 }),
        }
    }

    #[test]
    fn a_given_tree_is_brought_up_to_date() {
        let old = |name: &str| Node::new(name).strings("device_type", &["memory"]).wide("reg", &[0, 1]);
        let chosen = Node::new("chosen").strings("bootargs", &["old"]).strings("stdout-path", &["/uart"]);
        let root = Node::new("")
            .cells("#address-cells", &[2])
            .cells("#size-cells", &[2])
            .child(Node::new("uart"))
            .child(old("memory@0"))
            .child(chosen)
            .child(old("memory@80000000"));
        let mut tree = Tree { root, ..Tree::default() };
        info().apply(&mut tree).unwrap();
        let names: Vec<_> = tree.root.children.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["uart", "memory@40000000", "chosen"]);
        assert_eq!(tree.root.children[1].get_cells("reg").unwrap(), [0, 0x4000_0000, 1, 0x8000_0000]);
        let chosen = tree.root.find("chosen").unwrap();
        assert_eq!(chosen.get_str("bootargs"), Some("console=ttyAMA0"));
        assert_eq!(chosen.get_str("stdout-path"), Some("/uart"));
        assert_eq!(chosen.get_cells("linux,initrd-start"), Some(vec![0, 0x4800_0000]));
        assert_eq!(chosen.get_cells("linux,initrd-end"), Some(vec![0, 0x4800_0123]));
        assert_eq!(chosen.get("rng-seed"), Some(&[7; 32][..]));
    }

    #[test]
    fn random_numbers_can_be_left_out() {
        let root = Node::new("").cells("#address-cells", &[2]).cells("#size-cells", &[2]);
        let mut tree = Tree { root, ..Tree::default() };
        BootInfo { seeds: None, ..info() }.apply(&mut tree).unwrap();
        let chosen = tree.root.find("chosen").unwrap();
        assert_eq!((chosen.get("rng-seed"), chosen.get("kaslr-seed")), (None, None));
    }

    #[test]
    fn what_is_not_given_stays() {
        let root = Node::new("").child(Node::new("chosen").strings("bootargs", &["old"]));
        let mut tree = Tree { root, ..Tree::default() };
        let memory = Range { base: 0x4000_0000, size: 1 << 30 };
        BootInfo { bootargs: None, initrd: None, memory, ..info() }.apply(&mut tree).unwrap();
        let chosen = tree.root.find("chosen").unwrap();
        assert_eq!(chosen.get_str("bootargs"), Some("old"));
        assert_eq!(chosen.get("linux,initrd-start"), None);
        assert_eq!(tree.root.children[0].get_cells("reg").unwrap(), [0, 0x4000_0000, 0x4000_0000]);
    }

    #[test]
    fn guests_of_a_hypervisor_have_nodes() {
        let kernel = ModuleKind::Kernel { bootargs: Some("root=/dev/vda".into()) };
        let modules = vec![
            (Range { base: 0x4700_0000, size: 0x1000 }, kernel),
            (Range { base: 0x4800_0000, size: 0x20 }, ModuleKind::Ramdisk),
        ];
        let root = Node::new("").cells("#address-cells", &[2]).cells("#size-cells", &[2]);
        let mut tree = Tree { root, ..Tree::default() };
        BootInfo { modules, ..info() }.apply(&mut tree).unwrap();
        let chosen = tree.root.find("chosen").unwrap();
        let kernel = chosen.find("module@0x47000000").unwrap();
        assert_eq!(kernel.get("compatible"), Some(&b"multiboot,module\0multiboot,kernel\0"[..]));
        assert_eq!(kernel.get_cells("reg").unwrap(), [0, 0x4700_0000, 0, 0x1000]);
        assert_eq!(kernel.get_str("bootargs"), Some("root=/dev/vda"));
        let ramdisk = chosen.find("module@0x48000000").unwrap();
        assert_eq!(ramdisk.get("compatible"), Some(&b"multiboot,module\0multiboot,ramdisk\0"[..]));
    }

    #[test]
    fn memory_must_fit_the_cells() {
        let root = Node::new("").cells("#address-cells", &[2]).cells("#size-cells", &[1]);
        let e = info().apply(&mut Tree { root, ..Tree::default() }).unwrap_err();
        assert!(e.to_string().contains("are 2 and 1, which cannot say 0x180000000"), "{e}");
    }
}

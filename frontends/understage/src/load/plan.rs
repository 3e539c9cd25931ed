//! What is in RAM and flash when the machine starts.
//!
//! The addresses are those that QEMU's `virt` uses, because images exist that were linked for them: a kernel 2 MiB
//! into RAM or where its header says, the initial RAM disk 128 MiB (or half of a smaller RAM) into it, and the devicetree
//! behind that. Where something else is in the way, they move. A program that is not Linux finds the devicetree at the
//! start of RAM, and is told nothing in X0.

use bytes::Bytes;
use emu_a64::level::El;
use emu_core::ram::GuestRam;
use emu_devices::fwcfg::key;
use emu_devices::hostfile;

use super::layout::Layout;
use super::{elf, image, uimage};
use crate::config::{Blob, Flash, FwCfgContents, FwCfgFile, HostFile, Kernel, MachineConfig};
use crate::device::fw_cfg::Item;
use crate::devicetree::{self, CpuTraits};
use crate::error::{UserError, reason, user_error};
use crate::fdt::{self, BootInfo, Seeds, Tree};
use crate::file;
use crate::map::{self, Range};
use crate::number::show_size;

const MIB: u64 = 1 << 20;
/// The largest kernel that comes out of a compressed one: some kilobytes can say that they are more than any host has.
const MAX_KERNEL: u64 = 1 << 30;
/// Where a U-Boot image that can be anywhere goes in RAM.
const UIMAGE_OFFSET: u64 = 32 * MIB;

/// Bytes that go to a place in RAM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Physical address.
    pub address: u64,
    /// The bytes, which may be a part of a file that others share.
    pub bytes: Bytes,
    /// Bytes in memory, at least `bytes.len()`: the rest is zero when the machine starts.
    pub size: u64,
    /// What it is, for messages.
    pub what: String,
}

/// The state in which CPU 0 starts; all that is not named here has its reset value. So X1 to X3 are zero, which they must be
/// for Linux (Documentation/arch/arm64/booting.rst).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boot {
    /// Address of the first instruction.
    pub entry_pc: u64,
    /// X0: for a kernel, the devicetree's address.
    pub x0: u64,
    /// Exception level: the highest that there is.
    pub el: El,
}

/// Everything that loading decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// What goes into RAM at every reset, the devicetree among it.
    pub segments: Vec<Segment>,
    /// What the flash banks contain: at most a bank's size.
    pub flash: [Option<Vec<u8>>; 2],
    /// What fw_cfg has beside what every board has.
    pub fw_cfg: Vec<Item>,
    /// What the user wants fw_cfg to have, by name.
    pub fw_cfg_files: Vec<(String, Vec<u8>)>,
    /// The devicetree.
    pub dtb: Vec<u8>,
    /// Where CPU 0 starts; `None` if there is nothing to run, which only a dump of the devicetree allows.
    pub boot: Option<Boot>,
}

/// How much of RAM is looked at in one go.
const CHUNK: usize = 64 << 10;

impl Plan {
    /// Puts the segments into RAM that was used before.
    pub fn refill(&self, ram: &GuestRam) -> Result<(), UserError> {
        self.fill(ram)?;
        for s in &self.segments {
            let rest = s.address.saturating_sub(map::RAM_BASE) + s.bytes.len() as u64;
            clear(ram, rest, s.size - s.bytes.len() as u64);
        }
        Ok(())
    }

    /// Puts the segments into RAM that is zero.
    pub fn fill(&self, ram: &GuestRam) -> Result<(), UserError> {
        for s in &self.segments {
            let offset = s.address.checked_sub(map::RAM_BASE);
            let written = offset.and_then(|o| ram.write(o, &s.bytes));
            written.ok_or_else(|| user_error!("{} at {:#x} is outside of RAM", s.what, s.address))?;
        }
        Ok(())
    }
}

/// Makes RAM zero, without a write to what is so already: the host has no memory for that.
fn clear(ram: &GuestRam, offset: u64, len: u64) {
    let (mut now, zeros) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut done = 0;
    while done < len {
        let n = (len - done).min(CHUNK as u64) as usize;
        if ram.read(offset + done, &mut now[..n]).is_some() && now[..n] != zeros[..n] {
            ram.write(offset + done, &zeros[..n]);
        }
        done += n as u64;
    }
}

/// The kernel as it will be in memory.
struct LoadedKernel {
    segments: Vec<Segment>,
    entry: u64,
    /// It takes the devicetree's address in X0, as Linux does.
    linux: bool,
}

/// Reads all files and decides where everything goes.
pub fn plan(config: &MachineConfig, cpu: CpuTraits, seeds: Seeds) -> Result<Plan, UserError> {
    let ram = Range { base: map::RAM_BASE, size: config.memory };
    let mut layout = Layout::new(ram);
    let mut segments = Vec::new();
    let mut blob_entry = None;
    let mut modules = Vec::new();
    for blob in &config.blobs {
        let (loaded, entry) = load_blob(blob, ram)?;
        if let (Blob::Module(module), Some(first)) = (blob, loaded.first()) {
            modules.push((Range { base: first.address, size: first.size }, module.kind.clone()));
        }
        segments.extend(loaded);
        blob_entry = blob_entry.or(entry);
    }
    let mut flash = [read_flash(config.flash[0].as_ref())?, read_flash(config.flash[1].as_ref())?];
    let has_firmware = config.flash[0].is_some();

    let mut fw_cfg =
        vec![Item { key: key::NB_CPUS, bytes: (config.topology.cpus() as u16).to_le_bytes().to_vec() }];
    fw_cfg.extend(
        config
            .boot_menu
            .map(|menu| Item { key: key::BOOT_MENU, bytes: u16::from(menu).to_le_bytes().to_vec() }),
    );
    fw_cfg.extend(config.uuid.map(|uuid| Item { key: key::UUID, bytes: uuid.to_vec() }));
    let mut kernel_entry = None;
    let mut linux = false;
    let mut initrd_bytes = None;
    if has_firmware {
        fw_cfg.extend(kernel_by_fw_cfg(config, ram)?);
    } else {
        if let Some(kernel) = &config.kernel {
            let kernel = load_kernel(kernel, ram)?;
            kernel_entry = Some(kernel.entry);
            linux = kernel.linux;
            segments.extend(kernel.segments);
        }
        let read = |f| uimage::ram_disk(read_for_ram(f, ram)?, f);
        initrd_bytes = config.initrd.as_ref().map(read).transpose()?;
    }
    for s in &segments {
        layout.take(&s.what, s.address, s.size)?;
    }
    let mut segments = put_into_flash(segments, &mut flash, config)?;

    // Everything with a fixed place has it now; the rest goes around.
    let preferred = ram.base + (ram.size / 2).min(128 * MIB);
    let mut initrd = None;
    if let Some((bytes, file)) = initrd_bytes.zip(config.initrd.as_ref()) {
        let what = format!("the initial RAM disk {}", file.describe());
        let range = layout.place(&what, bytes.len() as u64, preferred, 4096)?;
        initrd = Some(range);
        segments.push(Segment { address: range.base, size: range.size, bytes: bytes.into(), what });
    }
    let dtb = devicetree(
        config,
        cpu,
        BootInfo {
            memory: ram,
            bootargs: config.append.as_ref().map(|a| a.value.clone()),
            initrd,
            modules,
            seeds: config.dtb_randomness.then_some(seeds),
        },
    )?;
    let near = match (linux, initrd) {
        (false, _) => ram.base,
        (_, Some(initrd)) => initrd.end().next_multiple_of(2 * MIB),
        (_, None) => preferred,
    };
    let what = "the devicetree".to_owned();
    let dtb_range = layout.place(&what, dtb.len() as u64, near, dtb_alignment(dtb.len())?)?;
    segments.push(Segment { address: dtb_range.base, size: dtb_range.size, bytes: dtb.clone().into(), what });

    let entry = config.entry.or(blob_entry).or(has_firmware.then_some(map::FLASH0.base)).or(kernel_entry);
    let el = config.virt.levels().highest();
    let boot = entry.map(|entry_pc| Boot { entry_pc, x0: if linux { dtb_range.base } else { 0 }, el });
    Ok(Plan { segments, flash, fw_cfg, fw_cfg_files: fw_cfg_files(config)?, dtb, boot })
}

/// The most that a file of fw_cfg has: its size is a 32-bit number, and its bytes are kept.
const LARGEST_FW_CFG_FILE: u64 = 256 * MIB;

fn fw_cfg_files(config: &MachineConfig) -> Result<Vec<(String, Vec<u8>)>, UserError> {
    let read = |f: &FwCfgFile| {
        let bytes = match &f.contents {
            FwCfgContents::Bytes(bytes) => bytes.clone(),
            FwCfgContents::File(file) => file::read(file, LARGEST_FW_CFG_FILE, "what fw_cfg takes")?,
        };
        Ok((f.name.clone(), bytes))
    };
    config.fw_cfg.iter().map(read).collect()
}

/// A devicetree must not cross a 2 MiB boundary (booting.rst): it is aligned to a power of two that holds it.
fn dtb_alignment(len: usize) -> Result<u64, UserError> {
    match (len as u64).next_power_of_two() {
        align if align <= 2 * MIB => Ok(align.max(64 << 10)),
        _ => Err(user_error!(
            "the devicetree has {}, more than the 2 MiB that a kernel takes",
            show_size(len as u64)
        )),
    }
}

fn read_for_ram(file: &HostFile, ram: Range) -> Result<Vec<u8>, UserError> {
    file::read(file, ram.size, "the RAM")
}

fn read_flash(flash: Option<&Flash>) -> Result<Option<Vec<u8>>, UserError> {
    let Some(flash) = flash else { return Ok(None) };
    if !flash.readonly && !flash.snapshot {
        // What is going to be written is a file that can be; reading another one would wait for it.
        let refused = |e| user_error!("cannot open {}: {}", flash.file.describe(), reason(&e));
        hostfile::open(&flash.file.value, true).map_err(refused)?;
    }
    file::read(&flash.file, map::FLASH0.size, "a flash bank").map(Some)
}

/// Makes the segments that are in flash the contents of their banks, which have no others; gives the rest.
fn put_into_flash(
    segments: Vec<Segment>,
    flash: &mut [Option<Vec<u8>>; 2],
    config: &MachineConfig,
) -> Result<Vec<Segment>, UserError> {
    let mut rest = Vec::with_capacity(segments.len() + 2);
    for s in segments {
        let Some(n) = Layout::flash_bank(s.address) else {
            rest.push(s);
            continue;
        };
        if let Some(given) = &config.flash[n] {
            let (what, file) = (s.what, given.file.describe());
            return Err(user_error!("{what} would be in flash bank {n}, whose contents are {file}"));
        }
        let start = (s.address - [map::FLASH0, map::FLASH1][n].base) as usize;
        let bank = flash[n].get_or_insert_default();
        let end = start + s.size as usize;
        if bank.len() < end {
            bank.resize(end, 0xff);
        }
        bank[start..end].fill(0);
        bank[start..start + s.bytes.len()].copy_from_slice(&s.bytes);
    }
    Ok(rest)
}

fn load_blob(blob: &Blob, ram: Range) -> Result<(Vec<Segment>, Option<u64>), UserError> {
    let one = |bytes: Vec<u8>, address: u64, what: String| {
        (vec![Segment { address, size: bytes.len() as u64, bytes: bytes.into(), what }], None)
    };
    Ok(match blob {
        Blob::Raw { file, address } => one(read_for_ram(file, ram)?, *address, file.describe()),
        Blob::Module(m) => one(read_for_ram(&m.file, ram)?, m.address, m.file.describe()),
        Blob::Data { bytes, address } => one(bytes.clone(), *address, "the data of a loader".into()),
        Blob::Elf { file, run } => {
            // Symbols and debugging information may make the file larger than RAM.
            let program = elf::parse(&file::read(file, 4 << 30, "what can be loaded")?.into(), file)?;
            (program.segments, run.then_some(program.entry))
        }
    })
}

fn load_kernel(kernel: &Kernel, ram: Range) -> Result<LoadedKernel, UserError> {
    let bytes = Bytes::from(file::read_kernel(&kernel.file, 4 << 30, "what can be loaded")?);
    if elf::has_magic(&bytes) {
        let program = elf::parse(&bytes, &kernel.file)?;
        return Ok(LoadedKernel { segments: program.segments, entry: program.entry, linux: false });
    }
    let what = format!("the kernel {}", kernel.file.describe());
    let limit = ram.size.min(MAX_KERNEL);
    if let Some(image) = uimage::kernel(&bytes, &kernel.file)? {
        return load_uimage(&image, &kernel.file, what, ram);
    }
    let bytes = image::decompress(bytes.into(), &kernel.file, limit)?;
    let (address, size) = match image::header(&bytes) {
        Some(h) => (image_address(h.text_offset, ram), h.image_size),
        None if kernel.raw_allowed && !bytes.is_empty() => {
            (Some(ram.base + image::LEGACY_TEXT_OFFSET), bytes.len() as u64)
        }
        None => {
            return Err(user_error!(
                "{what} is neither an arm64 Image nor an ELF file (raw code is loaded with --load and --entry)"
            ));
        }
    };
    let address =
        address.ok_or_else(|| user_error!("the header of {what} asks for a place beyond all memory"))?;
    let segments = vec![Segment { address, bytes: bytes.into(), size, what }];
    Ok(LoadedKernel { segments, entry: address, linux: true })
}

/// A kernel goes where the header in front of it says, and needs the memory that its own header says.
fn load_uimage(
    image: &uimage::UImage<'_>,
    file: &HostFile,
    what: String,
    ram: Range,
) -> Result<LoadedKernel, UserError> {
    let bytes = if image.gzip {
        image::gunzip(image.data, file, ram.size.min(MAX_KERNEL))?
    } else {
        image.data.to_vec()
    };
    let size = image::header(&bytes).map_or(bytes.len() as u64, |h| h.image_size);
    let (address, entry) = match image.load {
        Some(address) => (address, image.entry),
        None => (ram.base + UIMAGE_OFFSET, ram.base + UIMAGE_OFFSET + image.entry),
    };
    let segments = vec![Segment { address, bytes: bytes.into(), size, what }];
    Ok(LoadedKernel { segments, entry, linux: image.linux })
}

/// `text_offset` from a 2 MiB boundary; the first one is left free for a kernel that would start right at it.
fn image_address(text_offset: u64, ram: Range) -> Option<u64> {
    let base = if text_offset < 4096 { ram.base + 2 * MIB } else { ram.base };
    base.checked_add(text_offset)
}

/// With firmware, the kernel is not in RAM: the firmware fetches it.
fn kernel_by_fw_cfg(config: &MachineConfig, ram: Range) -> Result<Vec<Item>, UserError> {
    let mut items = Vec::new();
    let mut blob = |size_key: u16, data_key: u16, bytes: Vec<u8>| {
        items.push(Item { key: size_key, bytes: (bytes.len() as u32).to_le_bytes().to_vec() });
        items.push(Item { key: data_key, bytes });
    };
    let limit = ram.size.min(u32::MAX.into());
    if let Some(kernel) = &config.kernel {
        let bytes = file::read_kernel(&kernel.file, limit, "the RAM")?;
        let bytes = image::decompress(bytes, &kernel.file, limit.min(MAX_KERNEL))?;
        blob(key::KERNEL_SIZE, key::KERNEL_DATA, bytes);
    }
    if let Some(initrd) = &config.initrd {
        blob(key::INITRD_SIZE, key::INITRD_DATA, file::read(initrd, limit, "the RAM")?);
    }
    if let Some(append) = &config.append {
        let text = append.bytes().chain([0]).collect();
        blob(key::CMDLINE_SIZE, key::CMDLINE_DATA, text);
    }
    Ok(items)
}

fn devicetree(config: &MachineConfig, cpu: CpuTraits, info: BootInfo) -> Result<Vec<u8>, UserError> {
    let (mut tree, name): (Tree, String) = match &config.dtb {
        Some(f) => {
            let bytes = file::read(f, 2 * MIB, "the 2 MiB that a kernel takes")?;
            let tree = fdt::read::read(&bytes);
            let name = format!("the devicetree {}", f.describe());
            (tree.map_err(|e| user_error!("{name} cannot be used: {e}"))?, name)
        }
        None => (devicetree::build(config, cpu)?, "the board's devicetree".into()),
    };
    info.apply(&mut tree).map_err(|e| user_error!("{name} cannot be used: {e}"))?;
    tree.to_blob().map_err(|e| user_error!("{name} cannot be written: {e}"))
}

/// Writes the devicetree to a file.
pub fn dump(dtb: &[u8], file: &HostFile) -> Result<(), UserError> {
    std::fs::write(&file.value, dtb)
        .map_err(|e| user_error!("cannot write {}: {}", file.describe(), reason(&e)))
}

#[cfg(test)]
mod tests;

//! Writes the tour's program and its disk to files, to look at them with other tools or to run them on another machine, as
//! far as that has the same devices (the last of them is an SMMU in front of a virtio-mmio disk):
//! `cargo run -p firmware --example tour_image -- tour.bin disk.img`.

use std::env;
use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let mut names = env::args_os().skip(1);
    let (Some(program), Some(disk)) = (names.next(), names.next()) else {
        return Err("two file names are needed: for the program and for the disk".into());
    };
    let image = firmware::guest_tour::image()?;
    fs::write(&program, &image.bytes)?;
    fs::write(&disk, firmware::guest_tour::disk())?;
    println!("{} bytes, to be loaded and entered at {:#x}, EL2", image.bytes.len(), image.base);
    Ok(())
}

//! A QCOW2 image and all files that it refers to, directly or through another image.
//!
//! Each file is opened, identified, locked and checked here before anything is made of it, from the guest's image down
//! to the last backing file. The names in an image are data of whoever made it: they lead to files only, never in a
//! circle, and never further than [`MAX_FILES`].

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use imago::file::File as ImagoFile;
use imago::qcow2::Qcow2;
use imago::raw::Raw;
use imago::{DenyImplicitOpenGate, FormatAccess, FormatDriverBuilder, StorageOpenOptions};

use super::Qcow2Disk;
use super::open::{Format, OpenError, probe};
use super::qcow2_check;
use super::qcow2_header::{Backing, DIRTY, Header, HeaderError};
use crate::hostfile::{self, Claim, Identity};

/// Images in a chain.
pub(super) const MAX_FILES: usize = 64;

/// An image that is open.
struct Layer {
    path: PathBuf,
    file: File,
    header: Header,
    data: Option<(PathBuf, File)>,
}

/// A chain from the guest's image down.
struct Chain {
    layers: Vec<Layer>,
    /// What the last one stands on, if that is raw.
    raw: Option<(PathBuf, File)>,
    seen: Vec<Identity>,
}

fn invalid(path: &Path, why: impl Into<String>) -> OpenError {
    broken(path, io::Error::new(io::ErrorKind::InvalidData, why.into()))
}

fn broken(path: &Path, source: io::Error) -> OpenError {
    OpenError::Broken { path: path.display().to_string(), format: "qcow2", source }
}

impl Chain {
    /// Opens a file that the image at `by` names, and that is not in the chain yet.
    fn open(&mut self, by: &Path, name: &str, claim: Claim) -> Result<(PathBuf, File), OpenError> {
        if self.seen.len() >= MAX_FILES {
            return Err(invalid(by, format!("more than {MAX_FILES} files stand behind one another")));
        }
        let path = resolve(by, name)?;
        let shown = || path.display().to_string();
        let opened = hostfile::open(&path, claim != Claim::Read);
        let (file, identity) = opened.map_err(|source| OpenError::Open { path: shown(), source })?;
        if self.seen.contains(&identity) {
            return Err(invalid(
                by,
                format!("it stands on '{name}', which is the same file, or stands on it"),
            ));
        }
        self.seen.push(identity);
        super::open::lock(&file, claim, &path)?;
        Ok((path, file))
    }

    /// Reads the header of an image and adds it; gives what it stands on.
    fn add(&mut self, path: PathBuf, file: File, write: bool) -> Result<Option<Backing>, OpenError> {
        let header = Header::read(&file).map_err(|e| match e {
            HeaderError::Broken(source) => broken(&path, source),
            HeaderError::Unsupported(what) => OpenError::Feature { path: path.display().to_string(), what },
        })?;
        if !write && header.features & DIRTY != 0 {
            let why = "it was not closed when it was last written; open it for writing once, or repair it";
            return Err(invalid(&path, why));
        }
        let claim = if write { Claim::Write } else { Claim::Read };
        let data = header.data_file.as_ref().map(|name| self.open(&path, name, claim)).transpose()?;
        let backing = header.backing.clone();
        self.layers.push(Layer { path, file, header, data });
        Ok(backing)
    }

    /// Goes down from the image that was added last.
    fn follow(&mut self, mut next: Option<Backing>) -> Result<(), OpenError> {
        while let Some(backing) = next.take() {
            let by = self.layers.last().map(|l| l.path.clone()).unwrap_or_default();
            let (path, file) = self.open(&by, &backing.name, Claim::Read)?;
            let format = match backing.format.as_deref() {
                Some("qcow2") => Format::Qcow2,
                Some("raw" | "file" | "host_device") => Format::Raw,
                Some(other) => {
                    let what = format!("stands on an image in the format '{other}'");
                    return Err(OpenError::Feature { path: by.display().to_string(), what });
                }
                None => probe(&file, &path)?,
            };
            match format {
                Format::Raw => self.raw = Some((path, file)),
                Format::Qcow2 => next = self.add(path, file, false)?,
            }
        }
        Ok(())
    }

    /// Puts the images on one another, from the last one up.
    fn build(self, write: bool) -> Result<FormatAccess<ImagoFile>, OpenError> {
        let mut below = match self.raw {
            Some((path, file)) => Some(raw(&path, file).map_err(|e| broken(&path, e))?),
            None => None,
        };
        for (i, layer) in self.layers.into_iter().enumerate().rev() {
            let path = layer.path.clone();
            below = Some(image(layer, below.take(), write && i == 0).map_err(|e| broken(&path, e))?);
        }
        below.ok_or_else(|| invalid(Path::new(""), "it has no image"))
    }
}

fn storage(path: &Path, file: File, write: bool) -> io::Result<ImagoFile> {
    ImagoFile::from_open_file(file, StorageOpenOptions::new().filename(path).write(write))
}

fn raw(path: &Path, file: File) -> io::Result<FormatAccess<ImagoFile>> {
    Ok(FormatAccess::new(Raw::open_image(storage(path, file, false)?, false)?))
}

fn image(
    layer: Layer,
    below: Option<FormatAccess<ImagoFile>>,
    write: bool,
) -> io::Result<FormatAccess<ImagoFile>> {
    let data = match layer.data {
        Some((path, file)) => Some(storage(&path, file, write)?),
        None => None,
    };
    let builder = Qcow2::<ImagoFile>::builder(storage(&layer.path, layer.file, write)?);
    let qcow2 = builder.write(write).backing(below).data_file(data).open(DenyImplicitOpenGate::default())?;
    Ok(FormatAccess::new(qcow2))
}

/// The path that an image means by a name: beside itself, unless it is absolute.
fn resolve(by: &Path, name: &str) -> Result<PathBuf, OpenError> {
    let plain = name.strip_prefix("file:").unwrap_or(name);
    // As QEMU reads it, what has a colon before any slash is no path.
    if plain.split('/').next().is_some_and(|first| first.contains(':')) {
        let what = format!("stands on '{name}', which is not a file");
        return Err(OpenError::Feature { path: by.display().to_string(), what });
    }
    Ok(by.parent().unwrap_or(Path::new("")).join(plain))
}

/// Opens the image in `file`, which is locked, with everything behind it.
pub(super) fn open(path: &Path, file: File, identity: Identity, write: bool) -> Result<Qcow2Disk, OpenError> {
    let mut chain = Chain { layers: Vec::new(), raw: None, seen: vec![identity] };
    let same = if write { Some(file.try_clone().map_err(|e| broken(path, e))?) } else { None };
    let backing = chain.add(path.to_owned(), file, write)?;
    chain.follow(backing)?;
    if let Some(file) = &same {
        // The last that is looked at, because it may change the file.
        qcow2_check::check(file, &chain.layers[0].header).map_err(|e| broken(path, e))?;
    }
    let header = chain.layers[0].header.clone();
    Ok(Qcow2Disk::new(path, chain.build(write)?, &header, same))
}

#[cfg(test)]
mod tests;

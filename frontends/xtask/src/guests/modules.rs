//! Kernel modules of a Debian kernel package: finding them, what they depend on, and decompressing them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Failure, output};

/// The modules of one kernel, by name (with underscores, as the kernel has them).
pub(crate) struct Modules(BTreeMap<String, PathBuf>);

impl Modules {
    /// Finds all modules below `dir`.
    pub(crate) fn find(dir: &Path) -> Result<Self, Failure> {
        let mut found = BTreeMap::new();
        let mut todo = vec![dir.to_path_buf()];
        while let Some(dir) = todo.pop() {
            let entries = fs::read_dir(&dir).map_err(|e| format!("cannot read '{}': {e}", dir.display()))?;
            for path in entries.flatten().map(|e| e.path()) {
                if path.is_dir() && !path.is_symlink() {
                    todo.push(path);
                } else if let Some(name) = module_name(&path) {
                    found.insert(name, path);
                }
            }
        }
        match found.is_empty() {
            true => Err(format!("there are no kernel modules below '{}'", dir.display())),
            false => Ok(Self(found)),
        }
    }

    /// The modules `wanted` and all that they depend on, in an order in which they can be loaded. A driver that is
    /// not a module is built into the kernel.
    pub(crate) fn closure(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let mut order = Vec::new();
        for name in wanted {
            self.add(name, &mut order)?;
        }
        Ok(order)
    }

    fn add(&self, name: &str, order: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
        let name = name.replace('-', "_");
        let Some(path) = self.0.get(&name) else { return Ok(()) };
        if order.iter().any(|(n, _)| *n == name) {
            return Ok(());
        }
        let bytes = load(path)?;
        for needed in depends(&bytes) {
            self.add(&needed, order)?;
        }
        order.push((name, bytes));
        Ok(())
    }
}

fn module_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".ko.xz").or_else(|| name.strip_suffix(".ko"))?;
    Some(stem.replace('-', "_"))
}

fn load(path: &Path) -> Result<Vec<u8>, Failure> {
    match path.extension() {
        Some(xz) if xz == "xz" => output(Command::new("xz").arg("-dc").arg(path)),
        _ => fs::read(path).map_err(|e| format!("cannot read '{}': {e}", path.display())),
    }
}

/// The `depends=` entry of a module's `.modinfo` section: strings that end with NUL.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|w| w == KEY) else { return Vec::new() };
    let rest = &module[at + KEY.len()..];
    let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
    String::from_utf8_lossy(&rest[..end]).split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(module_name(Path::new("a/virtio-rng.ko.xz")).as_deref(), Some("virtio_rng"));
        assert_eq!(module_name(Path::new("a/x.ko")).as_deref(), Some("x"));
        assert_eq!(module_name(Path::new("modules.builtin")), None);
    }

    #[test]
    fn dependencies_come_first_and_once() {
        let dir = std::env::temp_dir().join(format!("xtask-modules-{}", std::process::id()));
        fs::create_dir_all(dir.join("kernel/drivers")).unwrap();
        let module =
            |name: &str, info: &[u8]| fs::write(dir.join("kernel/drivers").join(name), info).unwrap();
        module("top.ko", b"\x7fELF\0license=GPL\0depends=mid-a,base\0name=top\0");
        module("mid-a.ko", b"\0depends=base\0");
        module("base.ko", b"\0depends=\0");
        let modules = Modules::find(&dir).unwrap();
        let order: Vec<_> =
            modules.closure(&["top", "built-in", "base"]).unwrap().into_iter().map(|(n, _)| n).collect();
        assert_eq!(order, ["base", "mid_a", "top"]);
        fs::remove_dir_all(&dir).unwrap();
        assert!(Modules::find(&dir).is_err());
    }
}

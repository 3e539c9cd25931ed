//! The tree, and writing it as a blob.

use std::sync::Arc;

use vm_fdt::{FdtReserveEntry, FdtWriter};

/// A property: a name and bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Property {
    /// Name, shared by the properties that have it.
    pub name: Arc<str>,
    /// Value as it is in the blob.
    pub value: Vec<u8>,
}

/// A node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// Name with unit address; empty for the root.
    pub name: String,
    /// Properties in order.
    pub properties: Vec<Property>,
    /// Children in order.
    pub children: Vec<Node>,
}

/// A devicetree.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    /// Memory reservations: address and size.
    pub reserved: Vec<(u64, u64)>,
    /// Physical id of the boot CPU.
    pub boot_cpu: u32,
    /// The root.
    pub root: Node,
}

/// Bytes of a list of strings.
fn string_list(strings: &[&str]) -> Vec<u8> {
    strings.iter().flat_map(|s| s.bytes().chain([0])).collect()
}

/// Bytes of a list of cells.
fn cell_list(cells: &[u32]) -> Vec<u8> {
    cells.iter().flat_map(|c| c.to_be_bytes()).collect()
}

/// The two cells of a 64-bit number.
#[must_use]
pub const fn split(n: u64) -> [u32; 2] {
    [(n >> 32) as u32, n as u32]
}

impl Node {
    /// An empty node.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets a property to these bytes.
    pub fn set(&mut self, name: &str, value: Vec<u8>) {
        match self.properties.iter_mut().find(|p| *p.name == *name) {
            Some(p) => p.value = value,
            None => self.properties.push(Property { name: name.into(), value }),
        }
    }

    /// The bytes of a property.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.properties.iter().find(|p| *p.name == *name).map(|p| &p.value[..])
    }

    /// A property as cells; `None` if it is not there or not a whole number of them.
    #[must_use]
    pub fn get_cells(&self, name: &str) -> Option<Vec<u32>> {
        let (cells, []) = self.get(name)?.as_chunks::<4>() else { return None };
        Some(cells.iter().map(|c| u32::from_be_bytes(*c)).collect())
    }

    /// A property as one string, or the first of several.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<&str> {
        let value = self.get(name)?;
        let end = value.iter().position(|b| *b == 0)?;
        std::str::from_utf8(&value[..end]).ok()
    }

    /// With a property of 32-bit cells.
    #[must_use]
    pub fn cells(mut self, name: &str, cells: &[u32]) -> Self {
        self.set(name, cell_list(cells));
        self
    }

    /// With a property of 64-bit numbers, two cells each.
    #[must_use]
    pub fn wide(self, name: &str, numbers: &[u64]) -> Self {
        let cells: Vec<u32> = numbers.iter().flat_map(|n| split(*n)).collect();
        self.cells(name, &cells)
    }

    /// With a property of strings.
    #[must_use]
    pub fn strings(mut self, name: &str, strings: &[&str]) -> Self {
        self.set(name, string_list(strings));
        self
    }

    /// With an empty property.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.set(name, Vec::new());
        self
    }

    /// With a child.
    #[must_use]
    pub fn child(mut self, node: Self) -> Self {
        self.children.push(node);
        self
    }

    /// The node at `path` below this one, as `cpus/cpu@0`.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Self> {
        path.split('/')
            .filter(|p| !p.is_empty())
            .try_fold(self, |node, name| node.children.iter().find(|c| c.name == name))
    }

    /// The child called `name`, made if there is none.
    pub fn child_mut(&mut self, name: &str) -> &mut Self {
        let i = self.children.iter().position(|c| c.name == name).unwrap_or_else(|| {
            self.children.push(Self::new(name));
            self.children.len() - 1
        });
        &mut self.children[i]
    }
}

impl Tree {
    /// The blob (version 17).
    pub fn to_blob(&self) -> Result<Vec<u8>, vm_fdt::Error> {
        let reserved: Result<Vec<_>, _> =
            self.reserved.iter().map(|(address, size)| FdtReserveEntry::new(*address, *size)).collect();
        let mut out = FdtWriter::new_with_mem_reserv(&reserved?)?;
        out.set_boot_cpuid_phys(self.boot_cpu);
        write(&mut out, &self.root)?;
        out.finish()
    }
}

fn write(out: &mut FdtWriter, node: &Node) -> Result<(), vm_fdt::Error> {
    let open = out.begin_node(&node.name)?;
    for p in &node.properties {
        out.property(&p.name, &p.value)?;
    }
    for child in &node.children {
        write(out, child)?;
    }
    out.end_node(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_and_finds() {
        let mut root = Node::new("").child(Node::new("a").child(Node::new("b@1").wide("reg", &[1 << 32, 2])));
        assert_eq!(root.find("/a/b@1").unwrap().get_cells("reg"), Some(vec![1, 0, 0, 2]));
        assert!(root.find("/a/c").is_none());
        root.child_mut("a").set("s", b"x\0y\0".to_vec());
        assert_eq!(root.find("a").unwrap().get_str("s"), Some("x"));
        root.child_mut("a").set("s", b"z".to_vec());
        assert_eq!(root.find("a").unwrap().get_str("s"), None);
        assert_eq!(root.find("a").unwrap().get_cells("s"), None);
        root.child_mut("new");
        assert_eq!(root.children.len(), 2);
    }
}

//! Reading a blob. It is a user's file: every offset and length in it is checked.

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;

use super::tree::{Node, Property, Tree};

const MAGIC: u32 = 0xd00d_feed;
/// The version that is read: 17, or a later one that is compatible with it.
const VERSION: u32 = 17;
/// Nodes in nodes; Linux has the same limit.
const MAX_DEPTH: usize = 64;

/// Bytes of the longest name. The specification has 31 and a unit address (2.2.1, 2.2.4); a blob can refer to a name of
/// any length as often as it likes.
const MAX_NAME: usize = 255;

/// Tokens of the structure block (Devicetree Specification, 5.4.1).
mod token {
    pub(super) const BEGIN_NODE: u32 = 1;
    pub(super) const END_NODE: u32 = 2;
    pub(super) const PROP: u32 = 3;
    pub(super) const NOP: u32 = 4;
    pub(super) const END: u32 = 9;
}

/// Why bytes are not a devicetree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ReadError {
    /// The magic number is wrong.
    #[error("it does not begin with the devicetree's magic number")]
    Magic,
    /// Another version of the format.
    #[error("its format has version {0}, not {VERSION}")]
    Version(u32),
    /// Something lies outside of the file or of its block.
    #[error("it is truncated, or an offset in it is wrong")]
    Truncated,
    /// The structure block makes no sense.
    #[error("its structure is damaged at byte {0:#x}")]
    Structure(usize),
    /// A name is not text.
    #[error("a name in it is not ASCII text of at most {MAX_NAME} characters")]
    Name,
    /// Too many levels.
    #[error("it has more than {MAX_DEPTH} levels of nodes")]
    Depth,
}

fn be32(bytes: &[u8], at: usize) -> Result<u32, ReadError> {
    let word = at.checked_add(4).and_then(|end| bytes.get(at..end)).and_then(|w| w.first_chunk());
    Ok(u32::from_be_bytes(*word.ok_or(ReadError::Truncated)?))
}

fn be64(bytes: &[u8], at: usize) -> Result<u64, ReadError> {
    Ok(u64::from(be32(bytes, at)?) << 32 | u64::from(be32(bytes, at.wrapping_add(4))?))
}

/// The string that ends with NUL at `at`.
fn text(bytes: &[u8], at: usize) -> Result<&str, ReadError> {
    let rest = bytes.get(at..).ok_or(ReadError::Truncated)?;
    let end = rest.iter().take(MAX_NAME + 1).position(|b| *b == 0);
    let end = end.ok_or(if rest.len() > MAX_NAME { ReadError::Name } else { ReadError::Truncated })?;
    std::str::from_utf8(&rest[..end]).ok().filter(|s| s.is_ascii()).ok_or(ReadError::Name)
}

/// Reads a blob. Bytes after its end are ignored, as bootloaders pad it.
pub fn read(file: &[u8]) -> Result<Tree, ReadError> {
    if be32(file, 0).ok() != Some(MAGIC) {
        return Err(ReadError::Magic);
    }
    let field = |at| be32(file, at).map(|v| v as usize);
    let blob = file.get(..field(4)?).ok_or(ReadError::Truncated)?;
    let (version, compatible) = (be32(blob, 20)?, be32(blob, 24)?);
    if version < VERSION || compatible > VERSION {
        return Err(ReadError::Version(version));
    }
    let block = |offset: usize, size: usize| {
        offset.checked_add(size).and_then(|end| blob.get(offset..end)).ok_or(ReadError::Truncated)
    };
    let strings = block(field(12)?, field(32)?)?;
    let structure = block(field(8)?, field(36)?)?;
    let mut reader = Reader { structure, strings, at: 0, names: HashMap::new() };
    Ok(Tree { reserved: reservations(blob, field(16)?)?, boot_cpu: be32(blob, 28)?, root: reader.root()? })
}

/// The memory reservation block (5.3): pairs up to one of zeros.
fn reservations(blob: &[u8], mut at: usize) -> Result<Vec<(u64, u64)>, ReadError> {
    let mut all = Vec::new();
    loop {
        let entry = (be64(blob, at)?, be64(blob, at.wrapping_add(8))?);
        match entry {
            (0, 0) => return Ok(all),
            // An empty reservation reserves nothing.
            (_, 0) => {}
            _ => all.push(entry),
        }
        at = at.wrapping_add(16);
    }
}

struct Reader<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    at: usize,
    /// Names by their place in the strings.
    names: HashMap<usize, Arc<str>>,
}

impl Reader<'_> {
    fn word(&mut self) -> Result<u32, ReadError> {
        let word = be32(self.structure, self.at)?;
        self.at += 4;
        Ok(word)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), ReadError> {
        let end = self.at.checked_add(bytes).ok_or(ReadError::Truncated)?;
        self.at = end.checked_next_multiple_of(4).ok_or(ReadError::Truncated)?;
        Ok(())
    }

    fn node_name(&mut self) -> Result<Node, ReadError> {
        let name = text(self.structure, self.at)?.to_owned();
        self.skip(name.len() + 1)?;
        Ok(Node::new(name))
    }

    fn property(&mut self) -> Result<Property, ReadError> {
        let len = self.word()? as usize;
        let name = self.word()? as usize;
        let end = self.at.checked_add(len).ok_or(ReadError::Truncated)?;
        let value = self.structure.get(self.at..end).ok_or(ReadError::Truncated)?.to_vec();
        self.skip(len)?;
        Ok(Property { name: self.shared_name(name)?, value })
    }

    fn shared_name(&mut self, at: usize) -> Result<Arc<str>, ReadError> {
        if let Some(name) = self.names.get(&at) {
            return Ok(name.clone());
        }
        let name: Arc<str> = text(self.strings, at)?.into();
        self.names.insert(at, name.clone());
        Ok(name)
    }

    /// The root node and all below it. `open` holds the nodes from the root down to the one that is being read.
    fn root(&mut self) -> Result<Node, ReadError> {
        let mut open: Vec<Node> = Vec::new();
        let mut root = None;
        loop {
            let start = self.at;
            let damaged = ReadError::Structure(start);
            match self.word()? {
                token::NOP => {}
                token::BEGIN_NODE if root.is_none() => {
                    if open.len() == MAX_DEPTH {
                        return Err(ReadError::Depth);
                    }
                    open.push(self.node_name()?);
                }
                token::END_NODE => {
                    let node = open.pop().ok_or(damaged)?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(node),
                        None => root = Some(node),
                    }
                }
                token::PROP => {
                    let node = open.last_mut().filter(|n| n.children.is_empty()).ok_or(damaged)?;
                    node.properties.push(self.property()?);
                }
                token::END => return root.ok_or(damaged),
                _ => return Err(damaged),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let cpu = Node::new("cpu@0").cells("reg", &[0]).strings("compatible", &["a", "b"]);
        let root = Node::new("")
            .cells("#address-cells", &[2])
            .flag("dma-coherent")
            .child(Node::new("cpus").child(cpu))
            .child(Node::new("memory@40000000").wide("reg", &[0x4000_0000, 0x1000]));
        Tree { reserved: vec![(0x1000, 0x2000)], boot_cpu: 3, root }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut blob = sample().to_blob().unwrap();
        assert_eq!(read(&blob), Ok(sample()));
        blob.extend([0; 100]);
        assert_eq!(read(&blob), Ok(sample()));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let blob = sample().to_blob().unwrap();
        for len in 0..blob.len() {
            assert!(read(&blob[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn no_damage_to_a_byte_panics() {
        let blob = sample().to_blob().unwrap();
        for at in 0..blob.len() {
            for value in [0, 1, 2, 3, 9, 0x7f, 0x80, 0xff] {
                let mut bad = blob.clone();
                bad[at] = value;
                let _ = read(&bad);
            }
        }
    }

    /// A blob of `count` empty properties with one name.
    fn with_properties(name: &[u8], count: usize) -> Vec<u8> {
        let be = |words: &[u32]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
        let mut structure = be(&[token::BEGIN_NODE, 0]);
        for _ in 0..count {
            structure.extend(be(&[token::PROP, 0, 0]));
        }
        structure.extend(be(&[token::END_NODE, token::END]));
        let (at, strings) = (40 + 16, 40 + 16 + structure.len());
        let total = strings + name.len() + 1;
        let lengths = [name.len() as u32 + 1, structure.len() as u32];
        let mut blob = be(&[MAGIC, total as u32, at as u32, strings as u32, 40, 17, 16, 0]);
        blob.extend(be(&lengths));
        blob.extend([0; 16]);
        blob.extend(structure);
        blob.extend(name);
        blob.push(0);
        blob
    }

    #[test]
    fn a_name_is_bounded_and_held_once() {
        let tree = read(&with_properties(&[b'a'; MAX_NAME], 80_000)).unwrap();
        let names: Vec<&Arc<str>> = tree.root.properties.iter().map(|p| &p.name).collect();
        assert_eq!(names.len(), 80_000);
        assert!(names.iter().all(|n| Arc::ptr_eq(n, names[0])));
        assert_eq!(read(&with_properties(&[b'a'; MAX_NAME + 1], 1)), Err(ReadError::Name));
        assert_eq!(read(&with_properties(&[b'a'; 1 << 20], 80_000)), Err(ReadError::Name));
    }

    #[test]
    fn named_errors() {
        assert_eq!(read(b"ELF"), Err(ReadError::Magic));
        let mut old = sample().to_blob().unwrap();
        old[23] = 16;
        assert_eq!(read(&old), Err(ReadError::Version(16)));
        let mut deep = Node::new("x");
        for _ in 0..MAX_DEPTH - 1 {
            deep = Node::new("x").child(deep);
        }
        // One level more than the writer takes: spliced in by hand as a node inside the innermost one.
        let blob = Tree { root: deep, ..Tree::default() }.to_blob();
        assert!(blob.is_ok_and(|b| read(&b).is_ok()));
    }
}

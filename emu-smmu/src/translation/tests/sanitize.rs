//! What the sanitizers find, and what is no finding.

use super::*;

const STREAM: u32 = 3;
const OTHER: u32 = 4;
const ALL: Sanitizers = Sanitizers { stale: true, isolation: true };

/// The root of a stream's tables, and its port.
type Stream = (u64, Arc<dyn DmaPort>);

/// A rig with both sanitizers, and two streams with tables of their own.
fn watched() -> (Rig, [Stream; 2]) {
    let rig = Rig::new();
    rig.core.sanitize(ALL);
    let streams = [STREAM, OTHER].map(|stream| (rig.translate(stream, stream as u16), rig.port(stream)));
    (rig, streams)
}

fn findings(rig: &Rig) -> Vec<String> {
    let (total, kept) = rig.core.findings();
    assert!(total >= kept.len() as u64);
    kept.iter().map(ToString::to_string).collect()
}

#[test]
fn a_page_that_was_unmapped_and_not_invalidated_is_found_when_it_is_used() {
    let (rig, [(root, port), _]) = watched();
    rig.memory.map(root, 3, 0x1000, DATA | PAGE);
    rig.memory.map(root, 3, 0x2000, (DATA + 0x1000) | PAGE);
    for va in [0x1008, 0x2008, 0x1008] {
        assert_eq!(rig.write(&port, va, b"x"), Ok(()));
    }
    assert_eq!(findings(&rig), [""; 0]);
    rig.memory.map(root, 3, 0x1000, 0);
    rig.memory.map(root, 3, 0x2000, (DATA + 0x2000) | PAGE);
    assert_eq!(rig.write(&port, 0x1008, b"y"), Ok(()), "what hardware does is what it did");
    assert!(rig.read(&port, 0x2010, 4).is_ok());
    let now = format!("{:#x}", DATA + 0x2010);
    let expected = [
        format!(
            "stale translation: a write of stream 0x3 at 0x1008 went to {:#x}, and the tables fault (Translation)",
            DATA + 8
        ),
        format!(
            "stale translation: a read of stream 0x3 at 0x2010 went to {:#x}, and the tables lead to {now}",
            DATA + 0x1010
        ),
    ];
    assert_eq!(findings(&rig), expected);
    // The same again is counted, and not said again.
    assert_eq!(rig.write(&port, 0x1008, b"y"), Ok(()));
    assert_eq!((rig.core.findings().0, findings(&rig).len()), (3, 2));
    rig.core.invalidate(&Scope::AllEl1);
    assert!(rig.write(&port, 0x1008, b"z").is_err() && rig.write(&port, 0x2008, b"z").is_ok());
    assert_eq!(rig.core.findings().0, 3, "what was invalidated is right again");
}

/// Software takes write permission away with an invalidation, and ages pages without one.
#[test]
fn a_permission_that_is_gone_is_found_and_an_access_flag_is_not() {
    let (rig, [(root, port), _]) = watched();
    rig.memory.map(root, 3, 0x1000, DATA | PAGE);
    assert_eq!(rig.write(&port, 0x1000, b"x"), Ok(()));
    rig.memory.map(root, 3, 0x1000, DATA | PAGE & !(1 << 10));
    assert_eq!(rig.write(&port, 0x1000, b"x"), Ok(()));
    assert_eq!(findings(&rig), [""; 0]);
    rig.memory.map(root, 3, 0x1000, DATA | PAGE | READ_ONLY);
    assert!(rig.read(&port, 0x1000, 1).is_ok());
    assert_eq!(findings(&rig), [""; 0], "it still may read");
    assert_eq!(rig.write(&port, 0x1000, b"x"), Ok(()));
    assert_eq!(findings(&rig).len(), 1);
}

#[test]
fn a_page_of_two_address_spaces_is_found_while_both_have_it() {
    for (ours, theirs, found) in [(0, 0, true), (READ_ONLY, 0, true), (READ_ONLY, READ_ONLY, false)] {
        let (rig, [(root, port), (other_root, other)]) = watched();
        rig.memory.map(root, 3, 0x1000, DATA | PAGE | ours);
        rig.memory.map(other_root, 3, 0x7000, DATA | PAGE | theirs);
        assert!(rig.read(&port, 0x1000, 1).is_ok());
        assert_eq!(findings(&rig), [""; 0], "one alone has it");
        assert!(rig.read(&other, 0x7000, 1).is_ok());
        let says = |mask| if mask == 0 { "may write" } else { "reads" };
        let expected = format!(
            "no isolation: page {DATA:#x} is reached by stream 0x3 at 0x1000 (tables at {root:#x}, {}) \
             and by stream 0x4 at 0x7000 (tables at {other_root:#x}, {})",
            says(ours),
            says(theirs)
        );
        assert_eq!(findings(&rig), if found { vec![expected] } else { vec![] });
    }
}

#[test]
fn a_page_that_one_has_after_the_other_is_no_finding() {
    let (rig, [(root, port), (other_root, other)]) = watched();
    rig.memory.map(root, 3, 0x1000, DATA | PAGE);
    assert_eq!(rig.write(&port, 0x1000, b"x"), Ok(()));
    rig.memory.map(root, 3, 0x1000, 0);
    rig.core.invalidate(&Scope::AllEl1);
    rig.memory.map(other_root, 3, 0x7000, DATA | PAGE);
    assert_eq!(rig.write(&other, 0x7000, b"x"), Ok(()));
    // Two masters of one space share what they like.
    let beside = rig.port(OTHER);
    assert_eq!(rig.write(&beside, 0x7000, b"x"), Ok(()));
    assert_eq!(findings(&rig), [""; 0]);
}

#[test]
fn nothing_is_looked_at_unless_it_is_asked_for() {
    let rig = Rig::new();
    let root = rig.translate(STREAM, 1);
    let port = rig.port(STREAM);
    rig.memory.map(root, 3, 0x1000, DATA | PAGE);
    assert_eq!(rig.write(&port, 0x1000, b"x"), Ok(()));
    rig.memory.map(root, 3, 0x1000, 0);
    assert_eq!(rig.write(&port, 0x1000, b"x"), Ok(()));
    assert_eq!(rig.core.findings(), (0, vec![]));
    // The first call has decided.
    rig.core.sanitize(Sanitizers::default());
    rig.core.sanitize(ALL);
    assert_eq!(rig.core.sanitizers(), Sanitizers::default());
}

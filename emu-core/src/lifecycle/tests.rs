//! Two components, one of which has a part and bytes of its own.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Counter {
    count: u32,
    limit: u32,
}

impl SavedState for Counter {
    const KIND: &'static str = "counter";
    const VERSION: u32 = 3;
}

struct Device {
    name: &'static str,
    state: Mutex<Counter>,
    bytes: Mutex<Vec<u8>>,
}

fn device(name: &'static str, count: u32) -> Arc<Device> {
    let state = Mutex::new(Counter { count, limit: 10 });
    Arc::new(Device { name, state, bytes: Mutex::new(vec![count as u8; 3]) })
}

impl Component for Device {
    fn name(&self) -> &str {
        self.name
    }
    fn reset(&self) {
        self.state.lock().count = 0;
    }
    fn save(&self) -> Payload {
        let state = self.state.lock().clone();
        let part = Payload::new("part", &state);
        Payload::new(self.name, &state).blob("bytes", self.bytes.lock().clone()).part(part)
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state: Counter = saved.state()?;
        if state.limit != self.state.lock().limit {
            return Err(saved.unfit("it has another limit"));
        }
        let bytes = saved.blob("bytes")?;
        saved.check_part("part", Source::state::<Counter>)?;
        Ok(Restore::new(move || {
            *self.state.lock() = state;
            *self.bytes.lock() = bytes;
        }))
    }
}

fn counts(devices: &[Arc<Device>; 2]) -> [u32; 2] {
    devices.each_ref().map(|d| d.state.lock().count)
}

fn all(devices: &[Arc<Device>; 2]) -> [Arc<dyn Component>; 2] {
    devices.each_ref().map(|d| d.clone() as Arc<dyn Component>)
}

/// Spoils what was saved.
type Damage = fn(&mut Vec<Payload>);

#[test]
fn all_components_go_into_the_state_or_none() {
    let from = [device("a", 1), device("b", 2)];
    let to = [device("a", 0), device("b", 0)];
    let saved = save_all(&all(&from));
    let damage: [(Damage, &str); 9] = [
        (|p| p[1].version = 4, "the state of b has version 4, this build reads version 3"),
        (|p| p[1].kind = "clock".into(), "the state of b is one of a clock, not of a counter"),
        (|p| p[1].name = "c".into(), "there is no state of b"),
        (|p| p.push(p[0].clone()), "there is a state of a, which this machine does not have"),
        (
            |p| p[1].state = "{".into(),
            "the state of b does not parse: EOF while parsing an object at line 1 column 1",
        ),
        (
            |p| p[1].state = r#"{"count":2,"limit":10,"new":1}"#.into(),
            "the state of b does not parse: it has more than this build knows, or not in the form that it writes",
        ),
        (
            |p| p[1].state = r#"{"count":2,"limit":9}"#.into(),
            "the state of b does not fit: it has another limit",
        ),
        (
            |p| drop(p[1].blobs.insert("more".into(), vec![1])),
            "the state of b does not parse: nobody takes its more",
        ),
        (|p| p[1].parts[0].version = 0, "the state of b, part has version 0, this build reads version 3"),
    ];
    for (damage, why) in damage {
        let mut payloads = saved.clone();
        damage(&mut payloads);
        assert_eq!(restore_all(&all(&to), payloads).map_err(|e| e.to_string()), Err(why.to_owned()));
        assert_eq!(counts(&to), [0, 0], "nothing has changed");
    }
    assert_eq!(restore_all(&all(&to), saved.clone()), Ok(()));
    assert_eq!((counts(&to), save_all(&all(&to))), ([1, 2], saved));
}

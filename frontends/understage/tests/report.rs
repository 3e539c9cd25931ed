//! The report of ways of I/O, as a user has it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use prost::Message;
use serde_json::Value;
use understage::timeline::messages::{Kind, Trace, TrackEvent};

fn report(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_understage"))
        .arg("io-report")
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap()
}

/// In counted time nothing differs, and the sums are the counters'.
#[test]
fn two_reports_are_equal_and_their_sums_are_the_counters() {
    let dir = tempfile::tempdir().unwrap();
    let files = |n: u32| [format!("{n}.html"), format!("{n}.json")];
    let outs = [1, 2].map(|n| {
        let [html, json] = files(n);
        let out = report(dir.path(), &["--html", &html, "--json", &json]);
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        out
    });
    assert_eq!(String::from_utf8_lossy(&outs[0].stdout), String::from_utf8_lossy(&outs[1].stdout));
    for (first, second) in files(1).iter().zip(files(2)) {
        let [first, second] = [first, &second].map(|f| std::fs::read_to_string(dir.path().join(f)).unwrap());
        assert_eq!(first, second);
    }
    assert!(
        String::from_utf8_lossy(&outs[0].stderr).contains("guest two reads 32 sectors from the virtio disk")
    );

    let json: Value = serde_json::from_slice(&std::fs::read(dir.path().join("1.json")).unwrap()).unwrap();
    let ways = json["ways"].as_array().unwrap();
    assert_eq!(ways.len(), 5);
    for way in ways {
        let cost = |key: &str| {
            let costs = way["costs"].as_array().unwrap();
            costs.iter().find(|c| c["key"] == key).unwrap_or_else(|| panic!("no {key}"))["count"]
                .as_u64()
                .unwrap()
        };
        let counted = |account: &str, key: &str| way["accounts"][account][key].as_u64().unwrap_or(0);
        assert_eq!(
            cost("instructions_guest") + cost("instructions_hypervisor"),
            counted("cpu0", "instructions")
        );
        let exits = way["costs"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["key"].as_str().unwrap().starts_with("exits_"));
        assert_eq!(exits.map(|c| c["count"].as_u64().unwrap()).sum::<u64>(), counted("cpu0", "exc_to_el2"));
        assert_eq!(cost("exits_other"), 0);
        // What all devices together moved is what each of them moved.
        let accounts = way["accounts"].as_object().unwrap();
        let each = accounts.iter().filter(|(name, _)| *name != "devices");
        let sum: u64 = each.filter_map(|(_, counts)| counts["dma_bytes_written"].as_u64()).sum();
        assert_eq!(sum, counted("devices", "dma_bytes_written"));
    }
    let disk = ways.iter().find(|way| way["title"] == "virtio disk").unwrap();
    let account = |key: &str| disk["accounts"]["virtio-mmio@a003e00"][key].as_u64();
    assert_eq!((account("requests_completed"), account("storage_bytes_read")), (Some(32), Some(32 * 512)));
    assert_eq!(account("line_raised"), Some(32));
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let out = report(dir.path(), &["--html", "no/such/report.html"]);
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!((out.status.code(), out.stdout.len()), (Some(2), 0), "{errors}");
    assert!(errors.contains("--html") && errors.lines().count() == 1, "{errors}");
}

/// The timeline of the same work: decoded, its tracks are told of, its slices nest, and what was counted is in it.
#[test]
fn a_timeline_is_a_trace_of_nested_slices() {
    let dir = tempfile::tempdir().unwrap();
    let out = report(dir.path(), &["--timeline", "t.pftrace", "--json", "t.json", "--quiet"]);
    assert_eq!((out.status.code(), out.stderr.len()), (Some(0), 0));
    let trace = Trace::decode(&std::fs::read(dir.path().join("t.pftrace")).unwrap()[..]).unwrap();

    let (mut names, mut depth, mut counters) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut before = 0;
    for packet in &trace.packet {
        if let Some(track) = &packet.track_descriptor {
            assert_eq!(names.insert(track.uuid(), track.name().to_owned()), None, "told of once");
            continue;
        }
        let now = packet.timestamp.expect("an event has a time");
        assert!(now >= before);
        before = now;
        let event = packet.track_event.as_ref().unwrap();
        let track = names.get(&event.track_uuid()).expect("its track was told of before").clone();
        match event.kind() {
            Kind::SliceBegin => *depth.entry(track).or_insert(0) += 1,
            Kind::SliceEnd => {
                let depth = depth.get_mut(&track).unwrap();
                *depth -= 1;
                assert!(*depth >= 0);
            }
            Kind::Counter => {
                let last = counters.insert(track, event.counter_value()).unwrap_or(0);
                assert!(event.counter_value() > last, "bytes add up");
            }
            Kind::Instant => assert!(!event.name().is_empty()),
            Kind::Unspecified => panic!("{event:?}"),
        }
    }
    assert!(depth.contains_key("cpu0") && depth.values().all(|d| *d == 0), "{depth:?}");
    assert!(counters.contains_key("virtio-mmio@a003e00: bytes written by DMA"), "{counters:?}");

    let events = || trace.packet.iter().filter_map(|p| p.track_event.as_ref());
    let on = |track: &str| names.iter().find(|(_, name)| *name == track).map(|(uuid, _)| *uuid);
    let marks: Vec<&TrackEvent> = events().filter(|e| Some(e.track_uuid()) == on("marks")).collect();
    assert_eq!(marks.len(), 5);
    // After the first mark guest one reads the emulated disk, by 129 aborts for each of 32 sectors, and nothing else happens.
    let from = events().position(|e| e == marks[0]).unwrap();
    let entered = events().skip(from).filter(|e| e.kind() == Kind::SliceBegin).take(129 * 32);
    let others: Vec<&str> = entered
        .map(TrackEvent::name)
        .filter(|name| *name != "EL1 to EL2: data abort from a lower EL")
        .collect();
    assert_eq!(others, [""; 0]);
}

/// What is no ledger, or has nothing to compare, is refused in a sentence.
#[test]
fn a_report_of_a_ledger_needs_one_with_marks() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |text: &str| {
        std::fs::write(dir.path().join("l.json"), text).unwrap();
        let out = report(dir.path(), &["--from", "l.json", "--json", "out.json"]);
        assert_eq!(out.status.code(), Some(2));
        assert!(!dir.path().join("out.json").exists(), "nothing is written");
        String::from_utf8(out.stderr).unwrap()
    };
    assert!(refused("{").contains("is no ledger"));
    assert!(refused(r#"{"version":9}"#).contains("it has version 9, and 1 is known here"));
    let none = r#"{"version":1,"phases":[],"whole":{"ns":0,"accounts":{}}}"#;
    assert!(refused(none).contains("its guest has made no mark"));
    let missing = report(dir.path(), &["--from", "nothing.json"]);
    let errors = String::from_utf8(missing.stderr).unwrap();
    assert!(errors.contains("cannot read") && errors.contains("nothing.json"), "{errors}");
}

#[test]
fn phases_of_a_ledger_stand_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let phase = |name: &str, aborts: u64| {
        format!(
            r#"{{"name":"{name}","begin_ns":0,"ns":5,"accounts":{{"cpu0":{{"exc_to_el2":{aborts},"to_el2_ec_0x24":{aborts}}}}}}}"#
        )
    };
    let phases = [phase("start", 9), phase("emulated/10/read", 70), phase("virtio <b>/10/read", 5)].join(",");
    let text = format!(r#"{{"version":1,"phases":[{phases}],"whole":{{"ns":0,"accounts":{{}}}}}}"#);
    std::fs::write(dir.path().join("l.json"), text).unwrap();
    let out = report(dir.path(), &["--from", "l.json", "--html", "r.html"]);
    let table = String::from_utf8(out.stdout).unwrap();
    let row = table.lines().find(|l| l.contains("stage-2 aborts of loads and stores")).unwrap();
    assert!(row.split_whitespace().rev().take(2).eq(["0.5", "7"]), "{table}");
    let page = std::fs::read_to_string(dir.path().join("r.html")).unwrap();
    assert!(page.contains("virtio &lt;b&gt;") && !page.contains("<b>"));
}

//! Running a case of the bare-metal suite, here or elsewhere.

use emu_cpu::model::Model;
use firmware::bare::{Case, Needs, layout, report};

use crate::machine::{self, Ending, How, Limits};

/// The models that a case runs on.
#[must_use]
pub fn models(case: &Case) -> Vec<(&'static str, Model)> {
    let all = [
        (Needs::V80, "cortex-a72", Model::cortex_a72 as fn() -> Model),
        (Needs::V82, "neoverse-n1", Model::neoverse_n1),
        (Needs::Max, "max", Model::max),
    ];
    all.into_iter().filter(|(has, ..)| *has >= case.needs).map(|(_, name, model)| (name, model())).collect()
}

/// Runs a case on one model. The error says what differs from what the specification says.
pub fn run(case: &Case, model: Model, how: How) -> Result<(), String> {
    let image = case.assemble();
    let outcome = machine::run(model, &image.bytes, Limits { how, ..Limits::default() });
    let mut results = vec![0; layout::RESULTS_SIZE as usize];
    outcome.ram.read(layout::RESULTS - layout::RAM, &mut results).ok_or("RAM has no result blocks")?;
    let mut text = report::failure(&image.expected, &results).unwrap_or_default();
    text.extend(outcome.difference);
    if outcome.ending != Ending::Off {
        text.push_str(&format!("it ended by {:x?}\n", outcome.ending));
    }
    if text.is_empty() { Ok(()) } else { Err(text) }
}

/// Runs a case on all models that have what it needs, in all ways.
pub fn run_everywhere(case: &Case) -> Result<(), String> {
    let failures: Vec<_> = models(case)
        .into_iter()
        .flat_map(|(name, model)| {
            [How::Interpreted, How::HostCode, How::Lockstep].map(|how| (name, model.clone(), how))
        })
        .filter_map(|(name, model, how)| {
            run(case, model, how).err().map(|text| format!("on {name}, {how:?}:\n{text}"))
        })
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(format!("{} ({})\n{}", case.name, case.section, failures.join("\n")))
    }
}

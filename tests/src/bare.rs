//! Running a case of the bare-metal suite, here or elsewhere.

use emu_cpu::model::Model;
use firmware::bare::{Case, Needs, layout, report};

use crate::machine::{self, Ending, Limits};

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

/// Runs a case on one model, interpreted or as host code. The error says what differs from what the specification says.
pub fn run(case: &Case, model: Model, jit: bool) -> Result<(), String> {
    let image = case.assemble();
    let outcome = machine::run(model, &image.bytes, Limits { jit, ..Limits::default() });
    let mut results = vec![0; layout::RESULTS_SIZE as usize];
    outcome.ram.read(layout::RESULTS - layout::RAM, &mut results).ok_or("RAM has no result blocks")?;
    let mut text = report::failure(&image.expected, &results).unwrap_or_default();
    if outcome.ending != Ending::Off {
        text.push_str(&format!("it ended by {:x?}\n", outcome.ending));
    }
    if text.is_empty() { Ok(()) } else { Err(text) }
}

/// Runs a case on all models that have what it needs, in both ways.
pub fn run_everywhere(case: &Case) -> Result<(), String> {
    let failures: Vec<_> = models(case)
        .into_iter()
        .flat_map(|(name, model)| {
            [(name, model.clone(), false, "interpreted"), (name, model, true, "as host code")]
        })
        .filter_map(|(name, model, jit, how)| {
            run(case, model, jit).err().map(|text| format!("on {name}, {how}:\n{text}"))
        })
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(format!("{} ({})\n{}", case.name, case.section, failures.join("\n")))
    }
}

//! Running a case of the bare-metal suite, here or elsewhere.

use std::collections::HashSet;

use emu_a64::features::Feat;
use emu_pe::model::Model;
use firmware::guest_tests::{CASES, Case, Needs, layout, report};

use crate::machine::{self, Ending, Execution, Limits};

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

/// Every model runs the first case of each area that it has the features for, as host code: the models that [`models`] leaves
/// out differ from those in numbers and in single features.
pub fn run_sample(model: &Model) -> Result<(), String> {
    let has = if model.features.has(Feat::Vhe) { Needs::V82 } else { Needs::V80 };
    let mut areas = HashSet::new();
    let mut failures = String::new();
    for case in CASES.iter().filter(|case| case.needs <= has) {
        let area = case.name.split("::").next().unwrap_or(case.name);
        if areas.insert(area)
            && let Err(text) = run(case, model.clone(), Execution::HostCode)
        {
            failures.push_str(&format!("{} ({}) on {}:\n{text}", case.name, case.section, model.name));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// Runs a case on one model. The error says what differs from what the specification says.
pub fn run(case: &Case, model: Model, execution: Execution) -> Result<(), String> {
    let image = case.assemble();
    let outcome = machine::run(
        model,
        &image.bytes,
        Limits { execution, gic: case.gic, smmu: case.smmu, ..Limits::default() },
    );
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
            [Execution::Interpreted, Execution::HostCode, Execution::Lockstep]
                .map(|execution| (name, model.clone(), execution))
        })
        .filter_map(|(name, model, execution)| {
            run(case, model, execution).err().map(|text| format!("on {name}, {execution:?}:\n{text}"))
        })
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(format!("{} ({})\n{}", case.name, case.section, failures.join("\n")))
    }
}

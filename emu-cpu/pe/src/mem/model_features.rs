//! What a CPU model means for translation.

use emu_a64::features::Feat;
use emu_mmu::Features;

use crate::model::Model;

/// The features of `emu-mmu` that a model has.
#[must_use]
pub fn mmu_features(model: &Model) -> Features {
    let has = |f| model.features.has(f);
    Features {
        pa_bits: model.pa_bits,
        granule16: model.granules.k16,
        granule64: model.granules.k64,
        lpa: has(Feat::Lpa),
        lva: has(Feat::Lva),
        lpa2: has(Feat::Lpa2),
        ttst: has(Feat::Ttst),
        haf: has(Feat::Hafdbs),
        hdbs: has(Feat::Hafdbs),
        hpds: has(Feat::Hpds),
        xnx: has(Feat::Xnx),
        pan: has(Feat::Pan),
        pan3: has(Feat::Pan3),
        e0pd: has(Feat::E0pd),
        tbid: has(Feat::PAuth),
        fwb: has(Feat::S2fwb),
        vmid16: has(Feat::Vmid16),
        asid16: true,
        nv: has(Feat::Nv),
        mte2: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_of_the_mmu_are_those_of_the_cpu() {
        assert_eq!(mmu_features(&Model::cortex_a72()), Features::cortex_a72());
        assert_eq!(mmu_features(&Model::neoverse_n1()), Features::neoverse_n1());
    }
}

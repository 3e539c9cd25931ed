//! What the host can do beyond plain x86-64-v2.

/// Features that the code generator asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::jit) struct HostFeatures {
    /// SHLX, SHRX, SARX, ANDN, PEXT ...
    pub bmi2: bool,
    /// LZCNT.
    pub lzcnt: bool,
    /// AVX: instructions with three operands.
    pub avx: bool,
    /// FMA3.
    pub fma: bool,
    /// AES-NI.
    pub aes: bool,
    /// SHA extensions.
    pub sha: bool,
    /// PCLMULQDQ.
    pub pclmul: bool,
}

impl HostFeatures {
    /// Those of this host.
    pub(in crate::jit) fn detect() -> Self {
        Self {
            bmi2: is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("bmi1"),
            lzcnt: is_x86_feature_detected!("lzcnt"),
            avx: is_x86_feature_detected!("avx"),
            fma: is_x86_feature_detected!("fma"),
            aes: is_x86_feature_detected!("aes"),
            sha: is_x86_feature_detected!("sha"),
            pclmul: is_x86_feature_detected!("pclmulqdq"),
        }
    }

    /// Plain x86-64-v2: what generated code needs at least.
    pub(in crate::jit) fn baseline() -> Self {
        Self::default()
    }

    /// True if the host has what all generated code uses: SSE4.2 and LAHF.
    pub(in crate::jit) fn suffices() -> bool {
        is_x86_feature_detected!("sse4.2") && is_x86_feature_detected!("popcnt")
    }
}

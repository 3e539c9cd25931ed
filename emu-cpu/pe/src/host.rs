//! What the features of a PE depend on in the host.

/// The host loads and stores aligned quantities of 16 bytes at once, and unaligned values inside them: a condition for
/// FEAT_LSE2. On x86-64 the first is promised to every processor with AVX (Intel SDM 3A, 10.1.1; AMD APM 2, 7.3.2),
/// and processors with AVX do the second for all that is inside a cache line.
#[must_use]
pub(crate) fn is_atomic() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

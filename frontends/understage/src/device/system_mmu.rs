//! The system MMU of a board, of whatever generation.

use std::sync::Arc;

use emu_core::dma::Ports;
use emu_smmu::translation::Core;
use emu_smmu::v2::Smmuv2;
use emu_smmu::v3::Smmuv3;

use super::{smmu, smmuv2};
use crate::config::Bus;
use crate::config::{Device, Smmu, SmmuProfile, Smmuv2 as Smmuv2Settings, Smmuv2Profile};
use crate::error::{UserError, user_error};
use crate::keyval::Parts;
use crate::property;

/// What the help says of the sanitizers.
pub(super) const STALE: &str =
    "warn of each transaction whose translation or configuration memory no longer holds (slow)";
pub(super) const ISOLATION: &str =
    "warn of each page that two address spaces reach, one of which may write (slow)";

/// See the module's head.
#[derive(Clone)]
pub enum SystemMmu {
    /// An SMMUv2.
    V2(Arc<Smmuv2>),
    /// An SMMUv3.
    V3(Arc<Smmuv3>),
}

impl SystemMmu {
    /// What translates.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        match self {
            Self::V2(smmu) => smmu.core(),
            Self::V3(smmu) => smmu.core(),
        }
    }

    /// The ways to memory of masters behind it.
    #[must_use]
    pub fn ports(&self) -> Arc<dyn Ports> {
        match self {
            Self::V2(smmu) => smmu.clone(),
            Self::V3(smmu) => smmu.clone(),
        }
    }
}

/// What the option of `understage run` says: `none`, or a generation, its profile behind a colon, and its properties.
pub fn from_text(option: &'static str, text: &str) -> Result<Option<Device>, UserError> {
    let mut parts = Parts::split(option, text);
    let first = parts.take_first("kind")?.unwrap_or_default();
    let (kind, named) = first.split_once(':').map_or((&*first, None), |(kind, p)| (kind, Some(p)));
    match kind {
        "none" if named.is_none() => {
            property::refuse_leftovers(parts, "none")?;
            Ok(None)
        }
        "smmuv2" => {
            let profile = named.map_or(Ok(Smmuv2Profile::Full), smmuv2::profile)?;
            let mut settings = Smmuv2Settings { profile, ..Smmuv2Settings::default() };
            property::read(parts, &[smmuv2::PROPERTIES], kind, &mut settings)?;
            Ok(Some(Device::new(settings, Bus::Platform)))
        }
        "smmuv3" => {
            let mut settings = Smmu::of_board(named.map_or(Ok(SmmuProfile::Full), smmu::profile)?);
            property::read(parts, &[smmu::PROPERTIES], kind, &mut settings)?;
            smmu::check(&settings, kind)?;
            Ok(Some(Device::new(settings, Bus::Platform)))
        }
        _ => {
            Err(user_error!("there is no system MMU '{first}' for {option} (there are none, smmuv2, smmuv3)"))
        }
    }
}

//! The cases, by area. The list is one table, [`crate::bare_cases`], from which tests are made, too.

mod address;
mod alignment;
mod exceptions;
mod gic;
mod memory;
mod multi;
mod stage1;
mod stage2;
mod timers;
mod traps;
mod virtual_gic;
mod waits;

use super::program::{Image, Program};

/// What a machine must have for a case to make sense.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Needs {
    /// Armv8.0 with EL2.
    V80,
    /// Armv8.2 with VHE, PAN, LSE and hardware update of the access flag and dirty state.
    V82,
    /// What the model `max` has.
    Max,
}

/// A test program with its name and origin.
#[derive(Clone, Copy)]
pub struct Case {
    /// `area::name`.
    pub name: &'static str,
    /// The section of the Arm ARM (DDI 0487), or of the document that is named.
    pub section: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// Emits the code.
    emit: fn(&mut Program),
}

impl Case {
    /// The case with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|c| c.name == name)
    }
    /// Assembles it.
    #[must_use]
    pub fn assemble(&self) -> Image {
        Program::assemble(self.emit)
    }
}

macro_rules! case_table {
    ($($area:ident { $($name:ident $needs:ident $section:literal;)* })*) => {
        /// All cases.
        pub const CASES: &[Case] = &[$($(Case {
            name: concat!(stringify!($area), "::", stringify!($name)),
            section: $section,
            needs: Needs::$needs,
            emit: $area::$name,
        },)*)*];
    };
}

crate::bare_cases!(case_table);

/// All cases, for a macro that makes something of them: it gets `area { name needs "section"; ... } ...`.
#[macro_export]
macro_rules! bare_cases {
    ($with:ident) => {
        $with! {
            exceptions {
                svc V80 "D1.3, C6.2 SVC";
                hvc V80 "D1.3, C6.2 HVC";
                smc_trapped V80 "D1.3, HCR_EL2.TSC";
                brk V80 "D2.8";
                undefined V80 "D1.3.4";
                vectors_with_sp_el0 V80 "D1.3.1";
                stack_pointers V80 "D1.2.2";
                eret_restores_pstate V80 "D1.4.1";
                illegal_return V80 "D1.4.4";
                illegal_return_to_el1_with_tge V80 "D1.4.4";
                entry_masks V80 "D1.3.2";
                pan_on_entry V82 "D1.3.2, SCTLR_EL1.SPAN";
                pan_on_entry_to_host V82 "D1.3.2, SCTLR_EL2.SPAN";
                tge_routes_el0 V80 "D1.3, HCR_EL2.TGE";
                vhe_redirection V82 "D5.2.2, FEAT_VHE";
                el12_names_without_e2h V82 "D5.2.2, FEAT_VHE";
                pc_alignment V80 "D1.3.5";
                system_registers_at_el0 V80 "D1.3, SCTLR_EL1";
            }
            traps {
                tvm V80 "HCR_EL2.TVM";
                trvm V80 "HCR_EL2.TRVM";
                tid3 V80 "HCR_EL2.TID3";
                tsw V80 "HCR_EL2.TSW";
                ttlb V80 "HCR_EL2.TTLB";
                tpu_and_tpcp V80 "HCR_EL2.TPU, TPCP";
                tacr V80 "HCR_EL2.TACR";
                twi V80 "HCR_EL2.TWI, D1.6.2";
                twe_looks_at_the_event_register V80 "HCR_EL2.TWE, D1.6.1";
                ntwi V80 "SCTLR_EL1.nTWI";
                undefined_before_trapped V80 "D1.3.5 (priority)";
                cptr_tfp V80 "CPTR_EL2.TFP";
                cpacr_fpen V80 "CPACR_EL1.FPEN";
                cptr_with_e2h V82 "CPTR_EL2.FPEN";
                mdcr V80 "MDCR_EL2.TDA, TDOSA";
                virtual_identity V80 "VPIDR_EL2, VMPIDR_EL2";
            }
            stage1 {
                translation_faults V80 "D8.15";
                translation_faults_16k V82 "D8.15";
                access_flag_faults V80 "D8.5, D8.15";
                access_flag_faults_16k V82 "D8.5, D8.15";
                permission_faults V80 "D8.4, D8.15";
                permission_faults_16k V82 "D8.4, D8.15";
                address_size_faults V80 "D8.15";
                address_size_faults_16k V82 "D8.15";
                blocks_and_pages V80 "D8.3";
                blocks_and_pages_16k V82 "D8.3";
                contiguous_hint V80 "D8.7.1";
                contiguous_hint_16k V82 "D8.7.1";
                access_permissions V80 "D8.4.1";
                execute_never V80 "D8.4.3";
                wxn V80 "D8.4.3, SCTLR_EL1.WXN";
                pan V82 "D8.4.2";
                unprivileged_loads V80 "D8.4.2, C6.2 LDTR";
                top_byte_ignore V80 "D8.8.1";
                two_ranges V80 "D8.2";
                hardware_access_flag V82 "D8.5.1";
                hardware_dirty_state V82 "D8.5.2";
                asids V80 "D8.16.2";
                invalidation V80 "D8.17";
                el2_regime V80 "D8.1";
                el2_host_regime V82 "D8.1, FEAT_VHE";
            }
            stage2 {
                translation_faults V80 "D8.15, HPFAR_EL2";
                translation_faults_16k V82 "D8.15, HPFAR_EL2";
                access_flag_faults V80 "D8.5, D8.15";
                access_flag_faults_16k V82 "D8.5, D8.15";
                permissions V80 "D8.4.2";
                permissions_16k V82 "D8.4.2";
                instruction_aborts V80 "D8.4.3";
                valid_syndromes V80 "ESR_EL2, ISS of a data abort";
                no_syndromes V80 "ESR_EL2, ISS of a data abort";
                both_addresses V80 "FAR_EL2, HPFAR_EL2";
                both_addresses_16k V82 "FAR_EL2, HPFAR_EL2";
                faults_on_walks V80 "ESR_EL2.S1PTW, HPFAR_EL2";
                cache_maintenance V80 "D8.15.4, ESR_EL2.CM";
                vmids V80 "D8.16.3";
                invalidation V80 "D8.17";
                stage1_comes_first V80 "D8.15.5";
                hardware_update V82 "D8.5";
            }
            address {
                stage1 V80 "D8.18, PAR_EL1";
                both_stages V80 "D8.18, PAR_EL1";
                off V80 "D8.18, PAR_EL1";
            }
            alignment {
                sctlr_a V80 "B2.8.2, SCTLR_EL1.A";
                unaligned_normal V80 "B2.8.2";
                device V80 "B2.10.2";
                exclusives_and_ordered V80 "B2.8.2";
                stack_pointer V80 "D1.3.5, SCTLR_EL2.SA";
            }
            timers {
                status V80 "D12.2.4";
                values V80 "D12.2.4";
                interrupts_to_el2 V80 "D12.2.4";
                hyp_virtual V82 "D12.2.4, FEAT_VHE";
                imask V80 "D12.2.4";
                virtual_offset V80 "D12.2.2";
                no_offset_in_host V82 "D12.2.2, CNTVCT_EL0";
                vhe_redirection V82 "D5.2.2, FEAT_VHE";
                el0_access V80 "CNTKCTL_EL1";
                el1_access V80 "CNTHCTL_EL2";
                el1_access_with_e2h V82 "CNTHCTL_EL2";
            }
            gic {
                sgi_to_self V80 "IHI 0069, 4.4";
                order_of_priorities V80 "IHI 0069, 4.8";
                priority_mask V80 "IHI 0069, 4.8.4";
                preemption V80 "IHI 0069, 4.8.3";
                binary_point V80 "IHI 0069, 4.8.5";
                eoi_modes V80 "IHI 0069, 4.1, ICC_CTLR_EL1.EOImode";
                group_enables V80 "IHI 0069, 4.6";
                group_0_is_fiq V80 "IHI 0069, 4.6.2";
                enable_bits V80 "IHI 0069, 12.11 GICR_ISENABLER0";
                spi_by_software V80 "IHI 0069, 12.9 GICD_ISPENDR";
                active_by_software V80 "IHI 0069, 12.9 GICD_ISACTIVER";
                routing V80 "D1.3.6, HCR_EL2.IMO";
                sgi_generation_traps V80 "IHI 0069, 12.2 ICC_SGI1R_EL1";
            }
            virtual_gic {
                by_hcr V80 "D1.3.6, HCR_EL2.VI, VF, VSE";
                injection V80 "IHI 0069, 6.2";
                virtual_priorities V80 "IHI 0069, 6.2";
                maintenance_underflow V80 "IHI 0069, 6.3";
                maintenance_none_pending V80 "IHI 0069, 6.3";
                maintenance_eoi V80 "IHI 0069, 6.3";
                maintenance_not_present V80 "IHI 0069, 6.3";
                hardware_interrupt V80 "IHI 0069, 6.2";
                virtual_eoi_mode V80 "IHI 0069, 6.2";
                traps V80 "IHI 0069, 12.4 ICH_HCR_EL2";
                physical_before_virtual V80 "D1.3.6";
            }
            waits {
                wfi_with_masked_interrupt V80 "D1.6.2";
                wfi_until_timer V80 "D1.6.2";
                events V80 "D1.6.1";
            }
            memory {
                exclusives V80 "B2.12";
                exclusives_end_with_eret V80 "D1.4, B2.12";
                lse V82 "C3.2.13";
                atomic_faults V82 "ESR_EL1.WnR";
                changing_code V80 "B2.4.4";
                changing_code_by_an_alias V80 "B2.4.4";
                zero_by_address V80 "C5.3 DC ZVA";
            }
            multi {
                cpu_on V80 "DEN 0022, 5.6";
                message_by_sgi V80 "IHI 0069, 4.4";
                lock_with_wfe V80 "B2.12, D1.6";
                atomics V82 "B2.12, C3.2.13";
                broadcast_invalidation V80 "D8.17";
            }
        }
    };
}

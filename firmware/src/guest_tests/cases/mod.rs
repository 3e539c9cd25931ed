//! The cases, by area. The list is one table, [`crate::bare_cases`], from which tests are made, too.

mod address;
mod alignment;
mod el2_traps;
mod exceptions;
mod gic;
mod gicv2;
mod its;
mod levels;
mod memory;
mod multi;
mod ordering;
mod performance_monitors;
mod priorities;
mod stage1;
mod stage2;
mod timers;
mod traps;
mod virtual_gic;
mod virtual_gicv2;
mod virtual_interface;
mod waits;
mod write_protection;

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

/// The interrupt controller of the machine that a case is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Gic {
    /// GICv2.
    V2,
    /// GICv3, with an ITS.
    #[default]
    V3,
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
    /// The interrupt controller.
    pub gic: Gic,
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
        Program::assemble_for(self.gic, self.emit)
    }
}

macro_rules! case_table {
    ($($area:ident $gic:ident { $($name:ident $needs:ident $section:literal;)* })*) => {
        /// All cases.
        pub const CASES: &[Case] = &[$($(Case {
            name: concat!(stringify!($area), "::", stringify!($name)),
            section: $section,
            needs: Needs::$needs,
            gic: Gic::$gic,
            emit: $area::$name,
        },)*)*];
    };
}

crate::bare_cases!(case_table);

/// All cases, for a macro that makes something of them: it gets `area gic { name needs "section"; ... } ...`.
#[macro_export]
macro_rules! bare_cases {
    ($with:ident) => {
        $with! {
            exceptions V3 {
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
                undefined_for_debug_and_eret V80 "C6.2 HLT, DCPS1, ERET";
                undefined_registers V80 "D24.1, C5.1";
                pc_alignment_of_el0 V80 "D1.3.5";
                nested V80 "D1.3.2";
                thread_registers V80 "TPIDR_EL0, TPIDRRO_EL0";
                psci V80 "DEN 0022, 5.1";
            }
            traps V3 {
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
            el2_traps V3 {
                tid1 V80 "HCR_EL2.TID1";
                tid2 V80 "HCR_EL2.TID2";
                tid2_at_el0 V80 "HCR_EL2.TID2, SCTLR_EL1.UCT";
                tid3_group V80 "HCR_EL2.TID3";
                tidcp V80 "HCR_EL2.TIDCP";
                tdz V80 "HCR_EL2.TDZ, DCZID_EL0.DZP";
                dze_before_tdz V80 "HCR_EL2.TDZ, SCTLR_EL1.DZE";
                hcd V80 "HCR_EL2.HCD";
                tvm_group V80 "HCR_EL2.TVM";
                waits_of_el0 V80 "HCR_EL2.TWI";
                ntwi_with_tge V80 "SCTLR_EL1.nTWI, HCR_EL2.TGE";
                ntwe V80 "SCTLR_EL1.nTWE";
                allowed_by_sctlr V80 "SCTLR_EL1.UMA, UCT, UCI, DZE";
                cptr_tcpac V80 "CPTR_EL2.TCPAC";
                cptr_tcpac_with_e2h V82 "CPTR_EL2.TCPAC";
                cpacr_with_tge V80 "CPACR_EL1.FPEN, HCR_EL2.TGE";
                cptr_covers V80 "CPTR_EL2.TFP";
                mdcr_tde V80 "MDCR_EL2.TDE";
                mdcr_tda V80 "MDCR_EL2.TDA";
                mdcr_tdosa V80 "MDCR_EL2.TDOSA";
                mdcr_tdra V80 "MDCR_EL2.TDRA";
                counters_with_tge V80 "CNTKCTL_EL1, HCR_EL2.TGE";
                counters_in_host V82 "CNTHCTL_EL2.EL0PCTEN, EL0VCTEN, EL0VTEN, EL0PTEN";
                ich_tc V80 "IHI 0069, 12.4 ICH_HCR_EL2.TC";
                ich_tall0 V80 "IHI 0069, 12.4 ICH_HCR_EL2.TALL0";
                ich_tall1 V80 "IHI 0069, 12.4 ICH_HCR_EL2.TALL1";
                sgi_kinds V80 "IHI 0069, 12.2 ICC_SGI0R_EL1, ICC_ASGI1R_EL1";
            }
            levels V3 {
                el2_levels V80 "D8.15";
                el2_levels_16k V82 "D8.15";
                fetch_levels V80 "D8.15, ESR_EL1 (instruction abort)";
                fetch_levels_16k V82 "D8.15, ESR_EL1 (instruction abort)";
                stage2_fetch_levels V80 "D8.15, HPFAR_EL2";
                stage2_fetch_levels_16k V82 "D8.15, HPFAR_EL2";
                level_0 V80 "D8.2.5, D8.15";
                small_range V80 "D8.2.5, D8.15";
                hierarchical V80 "D8.4.1, D8.4.3 (APTable, PXNTable)";
                hierarchical_disabled V82 "TCR_EL1.HPD0, FEAT_HPDS";
                external V80 "ESR_ELx.DFSC 0b010000";
                external_on_walk V80 "ESR_ELx.DFSC 0b0101xx";
                stage2_range V80 "VTCR_EL2.T0SZ, D8.15";
                stage2_address_size V80 "VTCR_EL2.PS, D8.15";
                concatenated V80 "D8.2.7 (concatenated tables)";
                walks_by_level V80 "ESR_EL2.S1PTW, HPFAR_EL2";
                execute_never_by_level V82 "D8.4.3, FEAT_XNX";
                protected_walk V80 "HCR_EL2.PTW";
            }
            stage1 V3 {
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
            stage2 V3 {
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
            address V3 {
                stage1 V80 "D8.18, PAR_EL1";
                both_stages V80 "D8.18, PAR_EL1";
                off V80 "D8.18, PAR_EL1";
                levels V80 "D8.18, PAR_EL1.FST";
                levels_16k V82 "D8.18, PAR_EL1.FST";
                stage2_levels V80 "D8.18, PAR_EL1.FST, S";
                attributes V80 "D8.18, PAR_EL1.ATTR";
                el2 V80 "C5.4 AT S1E2R, S1E2W";
                pan V82 "C5.4 AT S1E1RP, S1E1WP";
                host V82 "C5.4 AT S1E1R, FEAT_VHE";
                default_cacheable V80 "HCR_EL2.DC";
                walk_denied_at_el1 V80 "D8.18, ESR_EL2.S1PTW";
            }
            alignment V3 {
                sctlr_a V80 "B2.8.2, SCTLR_EL1.A";
                sctlr_a_of_integers V80 "B2.8.2, SCTLR_EL1.A";
                sctlr_a_of_vectors V80 "B2.8.2, SCTLR_EL1.A";
                sctlr_a_of_ordered V80 "B2.8.2, SCTLR_EL1.A, SCTLR_EL2.A";
                sctlr_a_at_el2 V80 "B2.8.2, SCTLR_EL2.A";
                sctlr_a_at_el2_of_vectors V80 "B2.8.2, SCTLR_EL2.A";
                sctlr_a_and_atomics Max "B2.8.2, SCTLR_EL1.A, SCTLR_EL2.A";
                unaligned_normal V80 "B2.8.2";
                device V80 "B2.10.2";
                exclusives_and_ordered V80 "B2.8.2";
                read_modify_write V82 "B2.8.2, ESR_ELx.WnR";
                stack_pointer V80 "D1.3.5, SCTLR_EL2.SA";
            }
            performance_monitors V3 {
                overflow_before_e V80 "D13.3, PMCR_EL0.E";
                overflow_before_others V80 "D13.3, PMOVSCLR_EL0, PMINTENCLR_EL1";
            }
            timers V3 {
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
                level V80 "D12.2.4";
                interrupts_to_el1 V80 "D12.2.4";
                virtual_timer_with_offset V80 "D12.2.2, CNTVOFF_EL2";
                no_offset V80 "D12.2.2, CNTVOFF_EL2";
                host_el0 V82 "D5.2.2, FEAT_VHE";
                undefined_at_el1 V80 "CNTHP_CTL_EL2, CNTFRQ_EL0";
            }
            gic V3 {
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
            gicv2 V2 {
                sgi_to_self V80 "IHI 0048B, 3.2, 4.4";
                sgi_to_another V80 "IHI 0048B, 4.3.15 GICD_SGIR";
                timer V80 "IHI 0048B, 3.2.4";
                spi V80 "IHI 0048B, 4.3.12 GICD_ITARGETSR";
                order_of_priorities V80 "IHI 0048B, 3.3";
                priority_mask V80 "IHI 0048B, 4.4.2 GICC_PMR";
                preemption V80 "IHI 0048B, 3.3.1";
                eoi_modes V80 "IHI 0048B, 3.2.1, GICC_CTLR.EOImode";
                groups V80 "IHI 0048B, 3.7, GICC_CTLR.FIQEn, GICC_AIAR";
                no_system_registers V80 "ID_AA64PFR0_EL1.GIC";
            }
            priorities V3 {
                nesting V80 "IHI 0069, 4.8.3, ICC_AP1R0_EL1";
                each_group_its_register V80 "IHI 0069, 12.2 ICC_IAR1_EL1, ICC_HPPIR1_EL1";
                group_0_preempts_group_1 V80 "IHI 0069, 4.8.3";
                group_1_first V80 "IHI 0069, 4.8";
                group_change V80 "IHI 0069, 4.6, GICR_IGROUPR0";
                common_binary_point V80 "IHI 0069, 12.2 ICC_CTLR_EL1.CBPR";
                smallest_binary_points V80 "IHI 0069, 4.8.5, ICC_BPR1_EL1";
                priority_bits V80 "IHI 0069, 4.8.4, ICC_CTLR_EL1.PRIbits";
                active_and_pending V80 "IHI 0069, 4.1";
                end_of_nothing V80 "IHI 0069, 12.2 ICC_EOIR1_EL1";
                disabled_spi V80 "IHI 0069, 12.9 GICD_ICENABLER";
                register_contents V80 "IHI 0069, 12.9 GICD_IROUTER, GICD_ITARGETSR, 12.11 GICR_ICFGR0";
                identification V80 "IHI 0069, 12.11 GICR_TYPER, 12.1.5";
                routed_spi V80 "IHI 0069, 12.9 GICD_IROUTER";
                sgi_to_all_others V80 "IHI 0069, 12.2 ICC_SGI1R_EL1.IRM";
                sgi_to_several V80 "IHI 0069, 12.2 ICC_SGI1R_EL1.TargetList";
            }
            its V3 {
                int V80 "IHI 0069, 5.3.8 INT, 5.3 MAPD, MAPC, MAPTI";
                mapi V80 "IHI 0069, 5.3 MAPI";
                clear V80 "IHI 0069, 5.3 CLEAR";
                discard V80 "IHI 0069, 5.3 DISCARD";
                unmap_device V80 "IHI 0069, 5.3 MAPD";
                inv V80 "IHI 0069, 5.3 INV";
                inv_all V80 "IHI 0069, 5.3 INVALL";
                no_active_state V80 "IHI 0069, 5.1";
                movi V80 "IHI 0069, 5.3 MOVI";
                move_all V80 "IHI 0069, 5.3 MOVALL";
                errors V80 "IHI 0069, 5.3.1";
                queue_wraps V80 "IHI 0069, 5.3.1, GITS_CREADR";
                disabled V80 "IHI 0069, 12.19 GITS_CTLR.Enabled";
            }
            virtual_interface V3 {
                group_0 V80 "IHI 0069, 6.2";
                preemption V80 "IHI 0069, 6.2, 4.8.3";
                switch V80 "IHI 0069, 6.4, ICH_AP1R0_EL2";
                pending_and_active V80 "IHI 0069, 12.4 ICH_LR.State";
                disabled V80 "IHI 0069, 12.4 ICH_HCR_EL2.En";
                vmcr V80 "IHI 0069, 12.4 ICH_VMCR_EL2";
                highest_pending V80 "IHI 0069, 12.3 ICV_HPPIR1_EL1";
                maintenance_of_groups V80 "IHI 0069, 6.3, ICH_MISR_EL2";
                maintenance_conditions V80 "IHI 0069, 6.3, ICH_MISR_EL2, ICH_EISR_EL2, ICH_ELRSR_EL2";
                deactivate_absent V80 "IHI 0069, 12.4 ICH_HCR_EL2.EOIcount";
                equal_priorities V80 "IHI 0069, 6.2";
            }
            virtual_gic V3 {
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
            virtual_gicv2 V2 {
                injection V80 "IHI 0048B, 5.2";
                priorities V80 "IHI 0048B, 5.2, 5.3.3 GICH_VMCR";
                groups V80 "IHI 0048B, 5.5 GICV_CTLR, GICV_AIAR";
                hardware_interrupt V80 "IHI 0048B, 5.2.2, GICH_LR.HW";
                eoi_mode V80 "IHI 0048B, 5.5 GICV_DIR";
                maintenance_eoi V80 "IHI 0048B, 5.2.3, GICH_EISR0";
                maintenance_underflow V80 "IHI 0048B, 5.2.3, GICH_MISR";
                maintenance_not_present V80 "IHI 0048B, 5.2.3, GICH_HCR.EOICount";
            }
            waits V3 {
                wfi_with_masked_interrupt V80 "D1.6.2";
                wfi_until_timer V80 "D1.6.2";
                events V80 "D1.6.1";
                exception_returns V80 "D1.6.1";
                wfe_until_timer V80 "D1.6.1";
                event_stream V80 "D12.2.3";
                wfe_with_monitor V80 "D1.6.1, B2.12";
            }
            memory V3 {
                exclusives V80 "B2.12";
                exclusives_end_with_eret V80 "D1.4, B2.12";
                lse V82 "C3.2.13";
                atomic_faults V82 "ESR_EL1.WnR";
                changing_code V80 "B2.4.4";
                code_in_flash V80 "B2.4.4";
                changing_code_by_an_alias V80 "B2.4.4";
                zero_by_address V80 "C5.3 DC ZVA";
            }
            multi V3 {
                cpu_on V80 "DEN 0022, 5.6";
                message_by_sgi V80 "IHI 0069, 4.4";
                lock_with_wfe V80 "B2.12, D1.6";
                atomics V82 "B2.12, C3.2.13";
                broadcast_invalidation V80 "D8.17";
            }
            ordering V3 {
                release_acquire V80 "B2.3.11";
                store_and_load_barriers V80 "B2.3.12";
                address_dependency V80 "B2.3.7";
                full_barrier V80 "B2.3.12";
                release_then_acquire V80 "B2.3.11";
                swap_then_acquire V82 "B2.3.11, C3.2.13";
                store_ends_exclusivity V80 "B2.12";
                ticket_lock V80 "B2.12, D1.6.1";
                sev_wakes V80 "D1.6.1";
                broadcast_by_asid V80 "D8.17, C5.5 TLBI ASIDE1IS";
                broadcast_by_address V80 "D8.17, C5.5 TLBI VAAE1IS";
                broadcast_by_vmid V80 "D8.17, C5.5 TLBI VMALLE1IS";
                broadcast_of_all V80 "D8.17, C5.5 TLBI ALLE1IS";
                forced_broadcast V80 "HCR_EL2.FB";
                changed_code V80 "B2.4.4";
            }
            write_protection V3 {
                stores V80 "D8.17, C5.5 TLBI IPAS2E1IS";
                stores_through_both_stages V80 "D8.17, C5.5 TLBI IPAS2E1IS";
                pairs V80 "D8.17, C5.5 TLBI IPAS2E1IS";
                exclusives V80 "D8.17, B2.12";
                atomics V82 "D8.17, C3.2.13";
            }
        }
    };
}

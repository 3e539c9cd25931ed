//! The list of all cases. Those about the SMMU, whose machine is the same whatever its CPU, run on one model.

/// All cases, for a macro that makes something of them: it gets `area machine { name needs "section"; ... } ...`. The machine is a
/// GIC, or a GIC and a System MMU if that is not the one with all that there is.
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
            smmu_streams V3 {
                bypass Max "IHI 0070, 5.2 STE.Config";
                bypass_beyond_oas Max "IHI 0070, 3.4";
                abort Max "IHI 0070, 5.2 STE.Config";
                beyond_the_table Max "IHI 0070, 6.3.25 STRTAB_BASE_CFG.LOG2SIZE, 7.3.3";
                recinvsid Max "IHI 0070, 6.3.12 CR2.RECINVSID";
                beyond_sidsize Max "IHI 0070, 6.3.25, IDR1.SIDSIZE";
                not_valid Max "IHI 0070, 5.2 STE.V, 7.3.5";
                illegal_stage1 Max "IHI 0070, 5.2.2";
                illegal_stage2 Max "IHI 0070, 5.2.2";
                fetch_aborts Max "IHI 0070, 7.3.4 F_STE_FETCH";
                two_levels Max "IHI 0070, 3.3.1, 5.1";
                span Max "IHI 0070, 5.1 L1STD.Span, 7.3.3";
                first_level_aborts Max "IHI 0070, 3.3.1, 7.3.4";
                back_to_linear Max "IHI 0070, 6.3.25 STRTAB_BASE_CFG.FMT";
                guarded Max "IHI 0070, 6.3.24, 6.3.25";
                hitless_update Max "IHI 0070, 3.21.3";
                privcfg Max "IHI 0070, 5.2 STE.PRIVCFG";
                instcfg Max "IHI 0070, 5.2 STE.INSTCFG";
                disabled Max "IHI 0070, 3.11, 6.3.14 GBPA";
                stage2 Max "IHI 0070, 3.3.2";
                end_of_the_table Max "IHI 0070, 6.3.25 STRTAB_BASE_CFG.LOG2SIZE";
                splits Max "IHI 0070, 6.3.25 STRTAB_BASE_CFG.SPLIT";
                garbage Max "IHI 0070, 5.2.2, 5.4.2, 7.3.14";
                hitless_update_under_load Max "IHI 0070, 3.21.3";
            }
            smmu_contexts V3 {
                stage1 Max "IHI 0070, 3.3.2";
                not_valid Max "IHI 0070, 5.4 CD.V, 7.3.11";
                fetch_aborts Max "IHI 0070, 7.3.10 F_CD_FETCH";
                illegal Max "IHI 0070, 5.4.2";
                s1stalld Max "IHI 0070, 5.2 STE.S1STALLD, 5.5";
                half_not_used Max "IHI 0070, 5.4 CD.EPD1";
                upper_half Max "IHI 0070, 5.4 CD.TTB1";
                epd0 Max "IHI 0070, 5.4 CD.EPD0";
                top_byte Max "IHI 0070, 5.4 CD.TBI0, 7.3";
                granules Max "IHI 0070, 5.4 CD.TG0, 5.2 STE.S2TG";
                blocks Max "IHI 0070, 3.4";
                linear Max "IHI 0070, 3.3.2, 5.2 STE.S1CDMax";
                out_of_range Max "IHI 0070, 7.3.9 C_BAD_SUBSTREAMID";
                none_expected Max "IHI 0070, 7.3.9 C_BAD_SUBSTREAMID";
                s1dss_terminates Max "IHI 0070, 5.2 STE.S1DSS, 7.3.7";
                s1dss_bypasses Max "IHI 0070, 5.2 STE.S1DSS";
                s1dss_bypasses_to_stage2 Max "IHI 0070, 5.2 STE.S1DSS";
                s1dss_substream_0 Max "IHI 0070, 5.2 STE.S1DSS, 7.3.7";
                two_levels_4k Max "IHI 0070, 5.2 STE.S1Fmt, 5.3";
                two_levels_64k Max "IHI 0070, 5.2 STE.S1Fmt, 5.3";
                two_levels_abort Max "IHI 0070, 5.3, 7.3.10";
            }
            smmu_faults V3 {
                translation Max "IHI 0070, 7.3.13 F_TRANSLATION";
                input_address Max "IHI 0070, 7.3 InputAddr";
                access_flag Max "IHI 0070, 7.3.15 F_ACCESS, 5.4 CD.AFFD";
                unprivileged Max "IHI 0070, 7.3.16 F_PERMISSION";
                read_only Max "IHI 0070, 7.3.16 F_PERMISSION";
                execute_never Max "IHI 0070, 7.3.16 F_PERMISSION";
                wxn Max "IHI 0070, 5.4 CD.WXN";
                pan Max "IHI 0070, 5.4 CD.PAN";
                address_size Max "IHI 0070, 7.3.14 F_ADDR_SIZE";
                walk_abort Max "IHI 0070, 7.3.12 F_WALK_EABT";
                external_abort Max "IHI 0070, 3.12";
                policies_of_stage1 Max "IHI 0070, 5.5, 3.12";
                writes_are_ignored Max "IHI 0070, 3.12.1";
                policies_of_stage2 Max "IHI 0070, 5.5, 5.2 STE.S2R, S2S";
                master_that_cannot_wait Max "IHI 0070, 3.12.2, 5.5";
                configuration_errors_never_stall Max "IHI 0070, 3.12, 7.3.11";
                half_way Max "IHI 0070, 3.12";
                substream Max "IHI 0070, 7.3 SSV, SubstreamID";
                faults_of_stage2 Max "IHI 0070, 7.3.13 to 7.3.16";
                walk_abort_of_stage2 Max "IHI 0070, 7.3.12 F_WALK_EABT";
            }
            smmu_stalls V3 {
                retry Max "IHI 0070, 3.12.2, 4.7.1";
                retry_in_vain Max "IHI 0070, 3.12.2.1";
                abort Max "IHI 0070, 4.7.1 CMD_RESUME";
                zero Max "IHI 0070, 4.7.1 CMD_RESUME";
                stall_term Max "IHI 0070, 4.7.2 CMD_STALL_TERM";
                disabled Max "IHI 0070, 6.3.9.6 CR0.SMMUEN";
                resume_of_nothing Max "IHI 0070, 4.7.1";
                from_where_it_stalled Max "IHI 0070, 3.12.2";
                given_up Max "IHI 0070, 3.12.2";
                stage2 Max "IHI 0070, 5.2 STE.S2S";
                stage2_of_both Max "IHI 0070, 5.5";
                permission Max "IHI 0070, 3.12.2, 7.3.16";
                other_faults Max "IHI 0070, 3.12.2";
                walk_aborts_do_not Max "IHI 0070, 3.12";
                list Max "IHI 0070, 3.12.2";
                invalidation Max "IHI 0070, 3.12.2, 4.3, 4.4";
            }
            smmu_nested V3 {
                both Max "IHI 0070, 3.3.2";
                stage1_faults Max "IHI 0070, 7.3.13";
                class_in Max "IHI 0070, 7.3 CLASS, S2";
                class_tt Max "IHI 0070, 7.3 CLASS, 7.3.16 TTRnW";
                class_cd Max "IHI 0070, 7.3 CLASS";
                stage2_permissions Max "IHI 0070, 7.3.16";
                block_over_pages Max "IHI 0070, 3.3.2, 3.17";
                protected_walks Max "IHI 0070, 5.2 STE.S2PTW";
                bad_cd Max "IHI 0070, 7.3.11";
                beyond_stage2 Max "IHI 0070, 3.4.1";
                kinds_at_a_context Max "IHI 0070, 7.3 CLASS";
                kinds_at_a_table Max "IHI 0070, 7.3 CLASS";
                walk_aborts Max "IHI 0070, 7.3.12 F_WALK_EABT";
                walk_aborts_of_stage2 Max "IHI 0070, 7.3.12 F_WALK_EABT";
                cd_fetch_aborts Max "IHI 0070, 7.3.10 F_CD_FETCH";
            }
            smmu_isolation V3 {
                asids Max "IHI 0070, 3.17, 4.4.2.2";
                vmids Max "IHI 0070, 3.17, 4.4.3.2";
                asid_in_two_vms Max "IHI 0070, 3.17, 5.2 STE.S2VMID";
                stream_worlds Max "IHI 0070, 5.2 STE.STRW";
                el2_has_no_user Max "IHI 0070, 5.2 STE.STRW";
                scattered_pages Max "IHI 0070, 3.4";
                second_page_is_absent Max "IHI 0070, 3.4, 7.3.13";
                narrow_master Max "IHI 0070, 3.4.1";
                concatenated Max "IHI 0070, 5.2 STE.S2SL0, S2T0SZ";
            }
            smmu_invalidation V3 {
                nh_all Max "IHI 0070, 4.4.2.1";
                nh_asid Max "IHI 0070, 4.4.2.2";
                nh_va Max "IHI 0070, 4.4.2.4";
                nh_va_leaf Max "IHI 0070, 4.4.2.4";
                nh_vaa Max "IHI 0070, 4.4.2.3";
                nsnh_all Max "IHI 0070, 4.4.4.1";
                nh_all_of_vm Max "IHI 0070, 4.4.2.1";
                nh_asid_of_vm Max "IHI 0070, 4.4.2.2";
                nh_va_of_vm Max "IHI 0070, 4.4.2.4";
                nh_vaa_of_vm Max "IHI 0070, 4.4.2.3";
                s12_vmall_of_stage1 Max "IHI 0070, 4.4.3.2";
                s12_vmall Max "IHI 0070, 4.4.3.2";
                s2_ipa Max "IHI 0070, 4.4.3.1";
                nsnh_all_of_stage2 Max "IHI 0070, 4.4.4.1";
                nh_va_range Max "IHI 0070, 4.4.1.1";
                nh_vaa_range Max "IHI 0070, 4.4.1.1";
                s2_ipa_range Max "IHI 0070, 4.4.1.1";
                nh_va_level Max "IHI 0070, 4.4.1.1";
                s2_ipa_of_both Max "IHI 0070, 4.4.3.1";
                el2_all Max "IHI 0070, 4.4.2.7";
                el2_va Max "IHI 0070, 4.4.2.8";
                el2_vaa Max "IHI 0070, 4.4.2.9";
                e2h_all Max "IHI 0070, 4.4.2.7, CR2.E2H";
                e2h_asid Max "IHI 0070, 4.4.2.10, CR2.E2H";
                e2h_va Max "IHI 0070, 4.4.2.8, CR2.E2H";
                e2h_vaa Max "IHI 0070, 4.4.2.9, CR2.E2H";
                broadcast_all Max "IHI 0070, 3.17, IDR0.BTM";
                broadcast_context Max "IHI 0070, 3.17, IDR0.BTM";
                broadcast_asid Max "IHI 0070, 3.17, IDR0.BTM";
                broadcast_address Max "IHI 0070, 3.17, IDR0.BTM";
                broadcast_address_of_all Max "IHI 0070, 3.17, IDR0.BTM";
                private_tlb Max "IHI 0070, 6.3.12 CR2.PTM";
                vmid_wildcard Max "IHI 0070, 3.17.6, 6.3.9 CR0.VMW";
                broadcast_vmid_wildcard Max "IHI 0070, 3.17.6";
                cfgi_ste Max "IHI 0070, 4.3.1";
                cfgi_ste_range Max "IHI 0070, 4.3.2";
                cfgi_all Max "IHI 0070, 4.3.6";
                cfgi_cd Max "IHI 0070, 4.3.3";
                cfgi_cd_all Max "IHI 0070, 4.3.4";
                cfgi_ste_of_cd Max "IHI 0070, 4.3.1";
                el2_va_range Max "IHI 0070, 4.4.1.1, 4.4.2.8";
                nh_va_range_64k Max "IHI 0070, 4.4.1.1";
                broadcast_by_another Max "IHI 0070, 3.17, IDR0.BTM";
                broadcast_ipa Max "IHI 0070, 3.17, IDR0.BTM";
                broadcast_vm Max "IHI 0070, 3.17, IDR0.BTM";
                broadcast_el2 Max "IHI 0070, 3.17, IDR0.BTM";
                broadcast_el2_address Max "IHI 0070, 3.17, IDR0.BTM";
                cfgi_ste_of_the_first_level Max "IHI 0070, 4.3.1, 3.3.1";
                cfgi_cd_of_the_first_level Max "IHI 0070, 4.3.3, 5.3";
                cfgi_cd_of_a_substream Max "IHI 0070, 4.3.3";
            }
            smmu_atomic V3 {
                operations Max "IHI 0070, 16.7.6";
                not_writable Max "IHI 0070, 13.1.1, 16.7.6";
                not_readable Max "IHI 0070, 13.1.1";
                not_readable_and_clean Max "IHI 0070, 13.1.1";
                no_access Max "IHI 0070, 13.1.1";
                dirty_state Max "IHI 0070, 3.13.3, 16.7.6";
                stalled Max "IHI 0070, 16.7.6";
                beside_a_cpu Max "IHI 0070, 16.7.6";
            }
            smmu_atos V3 {
                stage1 Max "IHI 0070, 9.1.4, 6.3.40";
                nested Max "IHI 0070, 9.1.3";
                invalid Max "IHI 0070, 9.1.3, 9.1.5";
                faults_of_stage1 Max "IHI 0070, 9.1.4, 9.1.5";
                faults_of_stage2 Max "IHI 0070, 9.1.4";
                updates Max "IHI 0070, 6.3.39 HTTUI";
                off Max "IHI 0070, 6.3.37";
            }
            smmu_commands V3 {
                unknown Max "IHI 0070, 4.1.3, 7.1";
                not_implemented Max "IHI 0070, 4.1.3, 4.1.6";
                reserved_signal Max "IHI 0070, 4.7.3 CMD_SYNC.CS";
                reserved_range Max "IHI 0070, 4.4.1.1";
                stands_at_an_error Max "IHI 0070, 7.1";
                abort Max "IHI 0070, 7.1 CERROR_ABT";
                wraps Max "IHI 0070, 3.5.1, 6.3.27";
                off Max "IHI 0070, 6.3.9 CR0.CMDQEN";
                prefetch Max "IHI 0070, 4.2";
                sync_message Max "IHI 0070, 4.7.3";
                sync_message_into_the_queue Max "IHI 0070, 4.7.3";
                sync_message_aborts Max "IHI 0070, 6.3.19 GERROR.MSI_CMDQ_ABT_ERR";
                sync_event Max "IHI 0070, 4.7.3";
                identification Max "IHI 0070, 6.3.1, 6.3.2, 6.3.8";
                secure_streams Max "IHI 0070, 4.1.6";
                out_of_range Max "IHI 0070, 4.1.7";
                full Max "IHI 0070, 3.5.1";
                before_an_error Max "IHI 0070, 7.1";
            }
            smmu_queues V3 {
                overflow Max "IHI 0070, 7.4";
                overflow_twice Max "IHI 0070, 7.4";
                room_before_acknowledgement Max "IHI 0070, 7.4";
                wraps Max "IHI 0070, 3.5.1, 7.2";
                off Max "IHI 0070, 7.2";
                not_merged Max "IHI 0070, 7.3.1, 5.2 STE.MEV";
                stall_without_room Max "IHI 0070, 7.2.1";
                abort Max "IHI 0070, 7.2.2, 6.3.19 GERROR.EVENTQ_ABT_ERR";
                event_interrupt Max "IHI 0070, 3.18, 7.2";
                event_interrupt_off Max "IHI 0070, 6.3.16 IRQ_CTRL";
                error_interrupt Max "IHI 0070, 3.18, 7.5";
                sync_interrupt Max "IHI 0070, 3.18, 4.7.3";
                event_messages Max "IHI 0070, 3.18";
                event_message_aborts Max "IHI 0070, 6.3.19 GERROR.MSI_EVENTQ_ABT_ERR";
                guarded_message Max "IHI 0070, 6.3.30";
                merged Max "IHI 0070, 7.3.1, 5.2 STE.MEV";
                merged_if_alike Max "IHI 0070, 7.3.1, 7.3.13";
                stalls_are_not_merged Max "IHI 0070, 7.3.1";
                event_lpi Max "IHI 0070, 3.18, 6.3.30";
                error_lpi Max "IHI 0070, 3.18";
                sync_lpi Max "IHI 0070, 3.18, 4.7.3";
                error_message_aborts Max "IHI 0070, 6.3.19 GERROR.MSI_GERROR_ABT_ERR";
            }
            smmu_updates V3 {
                access_flag Max "IHI 0070, 3.13.2, 5.4 CD.HA";
                access_flag_of_a_fault Max "IHI 0070, 3.13.2";
                dirty_state Max "IHI 0070, 3.13.3, 5.4 CD.HD";
                dirty_state_off Max "IHI 0070, 3.13.3";
                no_dbm Max "IHI 0070, 3.13.3";
                not_dirty_by_a_fault Max "IHI 0070, 3.13.3";
                both Max "IHI 0070, 3.13";
                access_flag_of_stage2 Max "IHI 0070, 5.2 STE.S2HA";
                no_access_flag_faults_of_stage2 Max "IHI 0070, 5.2 STE.S2AFFD";
                dirty_state_of_stage2 Max "IHI 0070, 5.2 STE.S2HD";
                table_that_is_read_only Max "IHI 0070, 7.3.16 TTRnW";
                table_becomes_dirty Max "IHI 0070, 3.13, 5.2 STE.S2HD";
                block Max "IHI 0070, 3.13";
                both_stages Max "IHI 0070, 3.13";
                by_two_streams Max "IHI 0070, 3.13.3";
            }
            smmu_messages V3 {
                translated Max "IHI 0070, 3.18";
                not_mapped Max "IHI 0070, 3.18";
                device_id Max "IHI 0069, 5.1";
                nested Max "IHI 0070, 3.18";
                read_only Max "IHI 0070, 3.18, 7.3.16";
                stalled Max "IHI 0070, 3.18, 3.12.2";
            }
            smmu_registers V3 {
                guarded_by_smmuen Max "IHI 0070, 6.3.11, 6.3.12, 6.3.24, 6.3.25";
                guarded_by_cmdqen Max "IHI 0070, 6.3.26, 6.3.28";
                guarded_by_eventqen Max "IHI 0070, 6.3.29 EVENTQ_BASE";
                guarded_by_either_queue Max "IHI 0070, 6.3.11 CR1";
                guarded_by_gerror_irqen Max "IHI 0070, 6.3.21 to 6.3.23";
                guarded_by_eventq_irqen Max "IHI 0070, 6.3.30 to 6.3.32";
                read_only Max "IHI 0070, 6.2";
                acknowledged Max "IHI 0070, 6.3.10 CR0ACK, 6.3.18 IRQ_CTRLACK";
                halves Max "IHI 0070, 6.2";
                absent Max "IHI 0070, 6.2";
                identification Max "IHI 0070, 6.3.4 IDR3, 6.3.6 IDR5";
            }
            smmu_formats V3 {
                hierarchical Max "IHI 0070, 5.4 CD.HAD0, IDR3.HAD";
                hierarchical_of_the_upper_half Max "IHI 0070, 5.4 CD.HAD1, IDR3.HAD";
                top_byte_of_the_upper_half Max "IHI 0070, 5.4 CD.TBI1";
                four_levels Max "IHI 0070, 5.4 CD.T0SZ";
                smallest_range Max "IHI 0070, 5.4 CD.T0SZ";
                wide_input Max "IHI 0070, 3.4.1, IDR5.VAX";
                wide_output Max "IHI 0070, 3.4, IDR5.OAS";
                wide_table Max "IHI 0070, 3.4.3, 7.3.12";
                large_over_small Max "IHI 0070, 3.3.2, 3.17";
                small_over_large Max "IHI 0070, 3.3.2";
                contiguous Max "IHI 0070, 3.4";
                forced_write_back Max "IHI 0070, 5.2 STE.S2FWB, S2PTW";
                literal_bits Max "IHI 0070, 5.2, 5.4";
            }
            smmu_several V3 {
                of_three_streams Max "IHI 0070, 3.12.2, 4.7.1";
                of_one_stream Max "IHI 0070, 3.12.2";
                with_the_stag_of_another Max "IHI 0070, 3.12.2, 4.7.1";
                others_go_on Max "IHI 0070, 3.12.2";
                terminated_by_stream Max "IHI 0070, 4.7.2";
                disabled Max "IHI 0070, 6.3.9.6, 3.12.2";
                of_a_substream Max "IHI 0070, 3.12.2, 7.3";
                without_a_queue Max "IHI 0070, 3.12.2, 7.2.1";
                repaired_before_it_is_told Max "IHI 0070, 3.12.2, 7.2.1";
                configuration_changes Max "IHI 0070, 3.12.2";
                retry_before_abort Max "IHI 0070, 4.7.1 CMD_RESUME.Ac";
                at_a_context Max "IHI 0070, 3.12, 7.3 CLASS";
                at_a_table Max "IHI 0070, 3.12, 7.3 CLASS";
                interrupts Max "IHI 0070, 3.18, 3.12.2";
            }
            smmu_two_stalls [V3 TwoStalls] {
                identification Max "IHI 0070, 6.3.6 IDR5.STALL_MAX";
                of_three_streams Max "IHI 0070, 6.3.6 IDR5.STALL_MAX, 3.12";
                of_one_stream Max "IHI 0070, 6.3.6 IDR5.STALL_MAX, 3.12";
            }
            smmu_plain [V3 Plain] {
                identification Max "IHI 0070, 6.3.1 to 6.3.8";
                translation Max "IHI 0070, 3.3.2";
                stalling_context Max "IHI 0070, 5.5, IDR0.STALL_MODEL";
                stalling_stream Max "IHI 0070, 5.5, IDR0.STALL_MODEL";
                stalls_disabled Max "IHI 0070, 5.5, IDR0.STALL_MODEL";
                terminating_as_zero Max "IHI 0070, 5.5, IDR0.TERM_MODEL";
                updating_context Max "IHI 0070, 5.4 CD.HA, IDR0.HTTU";
                updating_stream Max "IHI 0070, 5.2 STE.S2HA, IDR0.HTTU";
                wide_addresses Max "IHI 0070, 5.4.2, IDR5.VAX";
                tables_beyond_oas Max "IHI 0070, 3.4.3, IDR5.OAS";
                output_beyond_oas Max "IHI 0070, 3.4, IDR5.OAS";
                bypass_beyond_oas Max "IHI 0070, 3.4, IDR5.OAS";
                substreams Max "IHI 0070, 7.3.9, IDR1.SSIDSIZE";
                stream_world Max "IHI 0070, 5.2 STE.STRW, IDR0.HYP";
                overrides Max "IHI 0070, 5.2 STE.PRIVCFG, IDR1.ATTR_PERMS_OVR";
                commands Max "IHI 0070, 4.1.3";
                messages Max "IHI 0070, 3.18, IDR0.MSI";
                events Max "IHI 0070, 4.7.3, IDR0.SEV";
                broadcast Max "IHI 0070, 3.17, IDR0.BTM";
                faults Max "IHI 0070, 7.3.13";
            }
            smmu_stage1 [V3 Stage1] {
                identification Max "IHI 0070, 6.3.1 IDR0.S2P";
                illegal Max "IHI 0070, 5.2 STE.Config";
                commands Max "IHI 0070, 4.4.3";
                no_vmids Max "IHI 0070, 5.2 STE.S2VMID";
            }
            smmu_stage2 [V3 Stage2] {
                identification Max "IHI 0070, 6.3.1 IDR0.S1P";
                illegal Max "IHI 0070, 5.2 STE.Config";
                commands Max "IHI 0070, 4.3.3, 4.4.2";
                invalidation Max "IHI 0070, 4.4.3.1";
            }
            smmu_ats V3 {
                granted Max "IHI 0070, 3.9.1.2, 13.7";
                read_only Max "IHI 0070, 13.7.1";
                no_access Max "IHI 0070, 3.9.1.2";
                region_of_a_block Max "IHI 0070, 13.6.3";
                nested Max "IHI 0070, 13.6.3, 13.7";
                substream Max "IHI 0070, 3.9.1, 13.7";
                skipped_stage Max "IHI 0070, 13.6.4";
                dirty_state Max "IHI 0070, 3.13.7";
                not_enabled_for_the_stream Max "IHI 0070, 5.2 STE.EATS, 7.3.6 F_BAD_ATS_TREQ";
                smmu_not_enabled Max "IHI 0070, 3.9.1.2, 6.3.9.6";
                aborted_stream Max "IHI 0070, 5.2 STE.Config";
                wrong_configuration Max "IHI 0070, 3.9.1.2";
                translated Max "IHI 0070, 3.9.1.3";
                translated_and_checked Max "IHI 0070, 6.3.9 CR0.ATSCHK";
                forbidden Max "IHI 0070, 7.3.8 F_TRANSL_FORBIDDEN";
                forbidden_while_not_enabled Max "IHI 0070, 3.9.1.3";
                split_stage Max "IHI 0070, 13.6.3";
                illegal_eats Max "IHI 0070, 5.2.2";
                invalidation Max "IHI 0070, 4.5.1 CMD_ATC_INV";
                invalidation_of_substreams Max "IHI 0070, 4.5.1 CMD_ATC_INV";
                sync_waits Max "IHI 0070, 4.5.1, 4.7.3";
                lost_invalidation Max "IHI 0070, 3.9.1.4, 7.1 CERROR_ATC_INV_SYNC";
                invalidation_while_not_enabled Max "IHI 0070, 4.5.1";
                illegal Max "IHI 0070, 4.5";
            }
            smmu_pri V3 {
                answered Max "IHI 0070, 8, 4.5.2 CMD_PRI_RESP";
                answered_otherwise Max "IHI 0070, 8.3";
                substream Max "IHI 0070, 8";
                not_enabled Max "IHI 0070, 8.2, 6.3.9.5";
                overflow Max "IHI 0070, 8.1";
                overflow_of_a_substream Max "IHI 0070, 8.1, 5.2 STE.PPAR";
                stop_marker Max "IHI 0070, 8, 8.1";
                interrupt Max "IHI 0070, 3.18, 6.3.16 IRQ_CTRL.PRIQ_IRQEN";
                interrupt_of_the_last Max "IHI 0070, 6.3.36 PRIQ_IRQ_CFG2.LO";
                message Max "IHI 0070, 6.3.34, 6.3.35";
                message_aborts Max "IHI 0070, 7.5 MSI_PRIQ_ABT_ERR";
                abort Max "IHI 0070, 8.2, 7.5 PRIQ_ABT_ERR";
            }
            smmu_v2_streams [V3 Mmu500] {
                after_reset Max "IHI 0062, SMMU_sCR0.CLIENTPD";
                client_port_disable Max "IHI 0062, SMMU_sCR0.CLIENTPD";
                translation Max "IHI 0062, SMMU_S2CRn.TYPE";
                bypass Max "IHI 0062, SMMU_S2CRn.TYPE";
                fault Max "IHI 0062, SMMU_S2CRn.TYPE, SMMU_sGFSR.ICF";
                unidentified Max "IHI 0062, SMMU_sGFSR.USF, SMMU_sCR0.USFCFG";
                unidentified_passes Max "IHI 0062, SMMU_sCR0.USFCFG";
                mask Max "IHI 0062, SMMU_SMRn.MASK";
                mask_of_all Max "IHI 0062, SMMU_SMRn.MASK";
                not_valid Max "IHI 0062, SMMU_SMRn.VALID";
                conflict Max "IHI 0062, SMMU_sGFSR.SMCF, SMMU_IDR1.SMCD";
                conflict_of_masks Max "IHI 0062, SMMU_sGFSR.SMCF, SMMU_SMRn.MASK";
                conflict_passes Max "IHI 0062, SMMU_sCR0.SMCFCFG";
                unimplemented_bank Max "IHI 0062, SMMU_sGFSR.UCBF, SMMU_S2CRn.CBNDX";
                multiple Max "IHI 0062, SMMU_sGFSR.MULTI";
                not_reported Max "IHI 0062, SMMU_sCR0.GFRE";
                interrupt Max "IHI 0062, SMMU_sCR0.GFIE";
                restore Max "IHI 0062, SMMU_sGFSRRESTORE";
                privcfg Max "IHI 0062, SMMU_S2CRn.PRIVCFG";
                instcfg Max "IHI 0062, SMMU_S2CRn.INSTCFG";
                change Max "IHI 0062, SMMU_SMRn, SMMU_S2CRn";
                fifteen_bits Max "IHI 0062, SMMU_IDR0.NUMSIDB, EXIDS";
            }
            smmu_v2_contexts [V3 Mmu500] {
                stage2 Max "IHI 0062, SMMU_CBARn.TYPE 0";
                stage1 Max "IHI 0062, SMMU_CBARn.TYPE 1";
                stage1_with_fault Max "IHI 0062, SMMU_CBARn.TYPE 2";
                nested Max "IHI 0062, SMMU_CBARn.TYPE 3";
                nested_with_the_wrong_bank Max "IHI 0062, SMMU_CBARn.CBNDX, SMMU_sGFSYNR0.Nested";
                aarch32 Max "IHI 0062, SMMU_CBA2Rn.VA64, SMMU_IDR0.PTFS";
                disabled Max "IHI 0062, SMMU_CBn_SCTLR.M";
                granule_4k Max "IHI 0062, SMMU_CBn_TCR.TG0, SMMU_IDR2.PTFSv8_4KB";
                granule_64k Max "IHI 0062, SMMU_CBn_TCR.TG0, SMMU_IDR2.PTFSv8_64KB";
                blocks Max "IHI 0062, SMMU_CBn_TTBR0";
                upper_half Max "IHI 0062, SMMU_CBn_TTBR1, SMMU_CBn_TCR.T1SZ";
                epd Max "IHI 0062, SMMU_CBn_TCR.EPD0, EPD1";
                top_byte Max "IHI 0062, SMMU_CBn_TCR2.TBI0";
                sign_extension Max "IHI 0062, SMMU_CBn_TCR2.SEP";
                hypervisor Max "IHI 0062, SMMU_CBARn.HYPC";
                access_flag_fault_disable Max "IHI 0062, SMMU_CBn_SCTLR.AFFD";
                wxn Max "IHI 0062, SMMU_CBn_SCTLR.WXN";
                protected_walks Max "IHI 0062, SMMU_CBn_SCTLR.PTW";
                block_over_pages Max "IHI 0062, SMMU_CBARn.TYPE 3";
                asids Max "IHI 0062, SMMU_CBn_TTBR0.ASID";
                vmids Max "IHI 0062, SMMU_CBARn.VMID";
                shared Max "IHI 0062, SMMU_S2CRn.CBNDX, SMMU_CBFRSYNRAn";
                change Max "IHI 0062, SMMU_CBn_SCTLR, SMMU_CBn_TTBR0";
                permissions Max "IHI 0062, SMMU_CBn_FSR.PF";
                execute_never Max "IHI 0062, SMMU_CBn_FSR.PF, SMMU_CBn_FSYNR0.IND";
            }
            smmu_v2_faults [V3 Mmu500] {
                translation_faults Max "IHI 0062, SMMU_CBn_FSR.TF, SMMU_CBn_FSYNR0.PLVL";
                syndrome Max "IHI 0062, SMMU_CBn_FSYNR0";
                access_flag Max "IHI 0062, SMMU_CBn_FSR.AFF";
                permission_fault Max "IHI 0062, SMMU_CBn_FSR.PF";
                address_size Max "IHI 0062, SMMU_CBn_FSR.ASF, SMMU_CBn_TCR2.PASize";
                external_abort Max "IHI 0062, SMMU_CBn_FSR.EF, SMMU_CBn_FSYNR0.PTWF";
                abort_of_the_transaction Max "IHI 0062, SMMU_CBn_FSR.EF";
                stage2 Max "IHI 0062, SMMU_CBn_IPAFAR";
                external_abort_of_stage2 Max "IHI 0062, SMMU_CBn_FSR.EF";
                stage1_of_nested Max "IHI 0062, SMMU_CBARn.TYPE 3";
                stage2_of_nested Max "IHI 0062, SMMU_CBn_FSYNR0.S1CBNDX, SMMU_CBn_IPAFAR";
                walk_of_nested Max "IHI 0062, SMMU_CBn_FSYNR0.PTWF";
                not_reported Max "IHI 0062, SMMU_CBn_SCTLR.CFRE";
                hit_under_fault Max "IHI 0062, SMMU_CBn_SCTLR.HUPCF, SMMU_CBn_FSR.MULTI";
                no_hit_under_fault Max "IHI 0062, SMMU_CBn_SCTLR.HUPCF";
                write_one_to_clear Max "IHI 0062, SMMU_CBn_FSR";
                other_contexts Max "IHI 0062, SMMU_CBn_FSR";
                restore Max "IHI 0062, SMMU_CBn_FSRRESTORE";
                interrupt Max "IHI 0062, SMMU_CBn_SCTLR.CFIE";
                interrupt_of_its_bank Max "IHI 0062, SMMU_CBn_SCTLR.CFIE";
                interrupt_off Max "IHI 0062, SMMU_CBn_SCTLR.CFIE";
            }
            smmu_v2_stalls [V3 Mmu500] {
                retry Max "IHI 0062, SMMU_CBn_RESUME";
                retry_of_a_write Max "IHI 0062, SMMU_CBn_RESUME";
                retry_of_an_atomic_access Max "IHI 0062, SMMU_CBn_RESUME, SMMU_CBn_FSYNR0.WNR";
                retry_in_vain Max "IHI 0062, SMMU_CBn_RESUME";
                terminate Max "IHI 0062, SMMU_CBn_RESUME.TnR";
                terminate_as_zero Max "IHI 0062, SMMU_CBn_RESUME.TnR, SMMU_CBn_SCTLR.CFRE";
                stall_status Max "IHI 0062, SMMU_CBn_FSR.SS";
                others_wait Max "IHI 0062, SMMU_CBn_SCTLR.HUPCF, CFCFG";
                several Max "IHI 0062, SMMU_CBn_SCTLR.HUPCF, SMMU_CBn_FSR.MULTI";
                of_two_contexts Max "IHI 0062, SMMU_CBn_FSR.SS";
                stage2_of_nested Max "IHI 0062, SMMU_CBn_SCTLR.CFCFG";
                master_that_cannot_wait Max "IHI 0062, SMMU_CBn_SCTLR.CFCFG";
                disabled Max "IHI 0062, SMMU_sCR0.STALLD";
                resume_of_nothing Max "IHI 0062, SMMU_CBn_RESUME";
                from_where_it_stalled Max "IHI 0062, SMMU_CBn_RESUME";
                interrupt Max "IHI 0062, SMMU_CBn_FSR.SS, DDI 0517";
                group_goes Max "IHI 0062, SMMU_CBn_RESUME, SMMU_SMRn";
                given_up Max "IHI 0062, SMMU_CBn_RESUME";
            }
            smmu_v2_invalidation [V3 Mmu500] {
                tlbiva Max "IHI 0062, SMMU_CBn_TLBIVA";
                tlbival Max "IHI 0062, SMMU_CBn_TLBIVAL";
                tlbivaa Max "IHI 0062, SMMU_CBn_TLBIVAA";
                tlbivaal Max "IHI 0062, SMMU_CBn_TLBIVAAL";
                tlbiasid Max "IHI 0062, SMMU_CBn_TLBIASID";
                tlbiall Max "IHI 0062, SMMU_CBn_TLBIALL";
                tlbiva_in_halves Max "IHI 0062, SMMU_CBn_TLBIVA";
                tlbiipas2 Max "IHI 0062, SMMU_CBn_TLBIIPAS2";
                tlbiipas2l Max "IHI 0062, SMMU_CBn_TLBIIPAS2L";
                tlbivmid Max "IHI 0062, SMMU_TLBIVMID";
                tlbivmids1 Max "IHI 0062, SMMU_TLBIVMIDS1";
                tlbiallnsnh Max "IHI 0062, SMMU_TLBIALLNSNH";
                tlbiallnsnh_of_stage2 Max "IHI 0062, SMMU_TLBIALLNSNH";
                tlbiallh Max "IHI 0062, SMMU_TLBIALLH";
                tlbivah Max "IHI 0062, SMMU_TLBIVAH";
                tlbivah64 Max "IHI 0062, SMMU_TLBIVAH64";
                tlbivalh64 Max "IHI 0062, SMMU_TLBIVALH64";
                tlbiva_of_a_hypervisor Max "IHI 0062, SMMU_CBn_TLBIVA, SMMU_CBARn.HYPC";
                stage2_of_nested Max "IHI 0062, SMMU_CBn_TLBIIPAS2, SMMU_TLBIVMIDS1";
                stage1_of_nested Max "IHI 0062, SMMU_CBn_TLBIVA, SMMU_CBARn.VMID";
                sync_of_a_bank Max "IHI 0062, SMMU_CBn_TLBSYNC, SMMU_CBn_TLBSTATUS";
                of_others Max "IHI 0062, SMMU_CBn_TLBIASID, SMMU_TLBIVMID";
                broadcast_all Max "IHI 0062, SMMU_IDR0.BTM, SMMU_sCR0.PTM";
                broadcast_asid Max "IHI 0062, SMMU_IDR0.BTM, SMMU_sCR0.PTM";
                broadcast_address Max "IHI 0062, SMMU_IDR0.BTM, SMMU_sCR0.PTM";
                broadcast_ipa Max "IHI 0062, SMMU_IDR0.BTM, SMMU_sCR0.PTM";
                private Max "IHI 0062, SMMU_sCR0.PTM";
            }
            smmu_v2_registers [V3 Mmu500] {
                identification Max "IHI 0062, SMMU_IDR0, IDR1, IDR2, IDR7";
                absent Max "IHI 0062, SMMU_sCR0, SMMU_STLBIALL";
                read_only Max "IHI 0062, SMMU_IDR0, SMMU_sTLBGSTATUS";
                match_bits Max "IHI 0062, SMMU_SMRn";
                halves Max "IHI 0062, SMMU_CBn_TTBR0, SMMU_CBn_FAR";
                auxiliary_lock Max "IHI 0062, SMMU_sACR, DDI 0517 CACHE_LOCK";
                ats1 Max "IHI 0062, SMMU_CBn_ATS1PR, ATS1PW, ATS1UR, ATS1UW, SMMU_CBn_PAR";
                ats1_faults Max "IHI 0062, SMMU_CBn_PAR";
                ats1_of_nested Max "IHI 0062, SMMU_CBn_ATS1UR, SMMU_CBARn.TYPE 3";
                gats Max "IHI 0062, SMMU_GATS1PR, SMMU_GATS12UR, SMMU_GPAR";
            }
            smmu_v2_large [V3 FullV2] {
                identification Max "IHI 0062, SMMU_IDR0, IDR1, IDR2";
                extended_ids Max "IHI 0062, SMMU_sCR0.EXIDENABLE, SMMU_S2CRn.EXIDVALID";
                granule_16k Max "IHI 0062, SMMU_CBn_TCR.TG0, SMMU_IDR2.PTFSv8_16KB";
                vmids_of_16_bits Max "IHI 0062, SMMU_sCR0.VMID16EN, SMMU_CBA2Rn.VMID16";
            }
            smmu_pmcg V3 {
                identification Max "IHI 0070, 10.5.2.13, 10.5.2.16";
                transactions Max "IHI 0070, 10.3 event 1";
                other_transactions Max "IHI 0070, 10.3 event 1";
                spans Max "IHI 0070, 10.4";
                walks Max "IHI 0070, 10.3 events 2, 4";
                configuration Max "IHI 0070, 10.3 events 3, 5";
                enables Max "IHI 0070, 10.5.2.5, 10.5.2.14";
                overflow Max "IHI 0070, 10.2.1, 10.5.2.9";
                overflow_interrupt Max "IHI 0070, 10.5.2.7, 10.5.2.19";
                message Max "IHI 0070, 10.5.2.21";
                capture Max "IHI 0070, 10.2.1, 10.5.2.11";
                clock Max "IHI 0070, 10.3 event 0";
            }
        }
    };
}

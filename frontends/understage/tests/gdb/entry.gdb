# The first of two sessions with a booting Linux kernel ('cargo xtask gdb'): from its first instruction, at EL2 with
# the MMU off, to EL1, where a CPU without VHE goes on. Needs no symbols. By hand:
#
#   understage run --cpu cortex-a72 --smp 2 --kernel .guests/Image --initrd .guests/shell.cpio --gdb :1234 --gdb-wait
#   gdb-multiarch -nx -batch -ex 'target remote :1234' -x frontends/understage/tests/gdb/entry.gdb
set pagination off
set confirm off

printf "entry: EL%d at %#lx, the devicetree at %#lx\n", ($cpsr >> 2) & 3, $pc, $x0
set $at = $pc
# An arm64 Image says its size at offset 16.
set $end = $pc + *(unsigned long *)($pc + 16)
# The header of an arm64 Image is 'ccmp x18, #0, #0xd, pl' and a branch.
hbreak *($pc + 4)
continue
printf "breakpoint: EL%d at %#lx\n", ($cpsr >> 2) & 3, $pc
printf "HCR_EL2 %#lx, SCTLR_EL2 %#lx, ICH_LR0_EL2 %#lx\n", $HCR_EL2, $SCTLR_EL2, $ICH_LR0_EL2
stepi
printf "step: EL%d at %#lx\n", ($cpsr >> 2) & 3, $pc
delete

# A list register can be written, and is read back by the machine's own view of it.
set $ICH_LR0_EL2 = 0x50a0000000000021
monitor interrupts
set $ICH_LR0_EL2 = 0
monitor regs HCR_EL2 VTCR_EL2 VTTBR_EL2

# The kernel leaves EL2 by an exception return to the address in the link register: stop wherever it says
# 'msr elr_el2, x30', then at that address.
set $found = 1
while $found
  find /1w $at, $end, 0xd51c403e
  set $found = $numfound
  if $found
    set $at = $_ + 4
    hbreak *($at - 4)
  end
end
continue
printf "setting up EL2: EL%d, returns to %#lx\n", ($cpsr >> 2) & 3, $x30
delete
hbreak *$x30
continue
printf "left EL2: EL%d at %#lx, HCR_EL2 %#lx, SPSR_EL2 %#lx\n", ($cpsr >> 2) & 3, $pc, $HCR_EL2, $SPSR_EL2
info threads
detach

# The first of two sessions with a booting Linux kernel ('cargo xtask gdb'): from its first instruction, at EL2 with
# the MMU off, to EL1, where a CPU without VHE goes on. Needs no symbols. By hand:
#
#   understage run --cpu cortex-a72 --smp 2 --kernel .guests/Image --initrd .guests/shell.cpio --gdb :1234 --gdb-wait
#   gdb-multiarch -nx -batch -ex 'target remote :1234' -x frontends/understage/tests/gdb/entry.gdb
set pagination off
set confirm off

printf "entry: EL%d at %#lx, the devicetree at %#lx\n", ($cpsr >> 2) & 3, $pc, $x0
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

# The stub of EL2 is left by an exception return, whose address the kernel has put in ELR_EL2 a few instructions
# before. HCR_EL2 is written before that: stop at the first instruction at EL1.
set $steps = 0
while (($cpsr >> 2) & 3) == 2
  stepi
  set $steps = $steps + 1
end
printf "EL1 after %d steps: %#lx, HCR_EL2 %#lx, SPSR_EL2 %#lx\n", $steps, $pc, $HCR_EL2, $SPSR_EL2
info threads
detach

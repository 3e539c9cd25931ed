# The second session ('cargo xtask gdb'; see entry.gdb), with the same kernel some time later, at EL1 with the MMU on.
set pagination off
set confirm off

info threads
thread 1
# The vector of interrupts that EL1 takes from itself.
hbreak *($VBAR_EL1 + 0x280)
continue
printf "interrupt: EL%d, HCR_EL2 %#lx, ICH_LR0_EL2 %#lx, ELR_EL1 %#lx\n", ($cpsr >> 2) & 3, $HCR_EL2, $ICH_LR0_EL2, $ELR_EL1
eval "monitor walk %#lx", $pc
delete

# Linux keeps the current task in SP_EL0, and a task begins with its flags, which the kernel reads and writes all the
# time.
printf "the task's flags: %#lx\n", *(unsigned long *)$SP_EL0
awatch -location *(unsigned long *)$SP_EL0
continue
x/i $pc
delete
stepi
info registers pc cpsr
printf "watched: EL%d\n", ($cpsr >> 2) & 3
kill

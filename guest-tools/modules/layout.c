// SPDX-License-Identifier: GPL-2.0
/*
 * What an observer of the processors needs to know of this kernel, to find the
 * process that runs: parameters of the module that can only be read,
 * /sys/module/ghostcard/parameters/.
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/version.h>

#include "ghostcard.h"

/* An address in the linear map minus the physical address. */
static unsigned long linear_map;
module_param(linear_map, ulong, 0444);

/* The per-processor variable that points to the current task. */
static unsigned long current_task_variable;
module_param(current_task_variable, ulong, 0444);

/* In task_struct: the number of the thread, that of its process, the name. */
static unsigned int task_pid_offset = offsetof(struct task_struct, pid);
static unsigned int task_tgid_offset = offsetof(struct task_struct, tgid);
static unsigned int task_comm_offset = offsetof(struct task_struct, comm);
module_param(task_pid_offset, uint, 0444);
module_param(task_tgid_offset, uint, 0444);
module_param(task_comm_offset, uint, 0444);

/* arm64: how much DC ZVA clears. */
static unsigned int zva_bytes;
module_param(zva_bytes, uint, 0444);

/* The code of this module; that of others is near it. */
static unsigned long own_code;
static unsigned long own_code_end;
module_param(own_code, ulong, 0444);
module_param(own_code_end, ulong, 0444);

/* Where each interrupt of a device passes; 0: this kernel does not tell. */
static int gc_irq_entry_get(char *buffer, const struct kernel_param *param)
{
	unsigned long address = 0;
#ifdef CONFIG_KPROBES
	struct kprobe probe = {.symbol_name = "handle_irq_event", .flags = KPROBE_FLAG_DISABLED};

	if (register_kprobe(&probe) == 0) {
		address = (unsigned long)probe.addr;
		unregister_kprobe(&probe);
	}
#endif
	return scnprintf(buffer, PAGE_SIZE, "%lu\n", address);
}
static const struct kernel_param_ops gc_irq_entry_ops = {
	.get = gc_irq_entry_get,
};
module_param_cb(irq_entry, &gc_irq_entry_ops, NULL, 0444);

void gc_layout_init(void)
{
	/* Tasks are in the linear map, as all slabs are. */
	linear_map = (unsigned long)current - virt_to_phys(current);
#ifdef CONFIG_X86
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
	current_task_variable = (unsigned long)&pcpu_hot.current_task;
#else
	current_task_variable = (unsigned long)&current_task;
#endif
#endif
#ifdef CONFIG_ARM64
	zva_bytes = 4 << (read_sysreg(dczid_el0) & 0xf);
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	own_code = (unsigned long)THIS_MODULE->mem[MOD_TEXT].base;
	own_code_end = own_code + THIS_MODULE->mem[MOD_TEXT].size;
#else
	own_code = (unsigned long)THIS_MODULE->core_layout.base;
	own_code_end = own_code + THIS_MODULE->core_layout.text_size;
#endif
}

// SPDX-License-Identifier: GPL-2.0
/* Prints where its functions are, and one of the kernel's. */
#include <linux/io.h>
#include <linux/module.h>

#ifdef CONFIG_X86
#define ACCESSOR iowrite32
#define ENTRY 0
#else
#define ACCESSOR __memcpy_toio
#define ENTRY 8 /* two instructions for ftrace, which belong to no line */
#endif

static noinline void ring_doorbell(void)
{
    barrier();
}

static int __init begin(void)
{
    ring_doorbell();
    pr_alert("places: text %016lx\n", (unsigned long)ring_doorbell + ENTRY);
    pr_alert("places: init %016lx\n", (unsigned long)begin + ENTRY);
    pr_alert("places: kernel %016lx\n", (unsigned long)ACCESSOR);
    return 0;
}
module_init(begin);

static void __exit end(void)
{
}
module_exit(end);

MODULE_LICENSE("GPL");

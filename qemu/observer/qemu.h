/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is used of QEMU's interface for plugins, and of GLib, whose arrays QEMU takes: their headers are in no
 * package.
 *
 * Source: QEMU include/plugins/qemu-plugin.h (version 7).
 */
#ifndef GHOSTCARD_OBSERVER_QEMU_H
#define GHOSTCARD_OBSERVER_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* GLib. */
typedef struct {
    uint8_t *data;
    unsigned int len;
} GByteArray;
typedef struct {
    char *data;
    unsigned int len;
} GArray;
extern GByteArray *g_byte_array_new(void);
extern GByteArray *g_byte_array_set_size(GByteArray *array, unsigned int length);
extern char *g_array_free(GArray *array, int free_segment);

/* QEMU. */
enum { NO_REGS, READS_REGS };
enum { LOADS = 1, STORES = 2 };
struct qemu_info {
    const char *target_name;
    struct {
        int min, cur;
    } version;
    bool system_emulation;
    struct {
        int smp_vcpus, max_vcpus;
    } system;
};
struct tb;
struct insn;
struct hwaddr;
struct reg;
struct reg_descriptor {
    struct reg *handle;
    const char *name;
    const char *feature;
    bool is_readonly;
};
struct mem_value {
    int type;
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        struct {
            uint64_t low, high;
        } u128;
    } data;
};
typedef void vcpu_callback(unsigned int vcpu, void *userdata);
typedef void mem_callback(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *userdata);
typedef void tb_callback(struct tb *tb, void *userdata);
extern void qemu_plugin_register_vcpu_init_cb(uint64_t id, vcpu_callback *callback, void *userdata);
extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, tb_callback *callback, void *userdata);
extern void qemu_plugin_register_vcpu_insn_exec_cb(
        struct insn *insn, vcpu_callback *callback, int flags, void *userdata);
extern void qemu_plugin_register_vcpu_mem_cb(
        struct insn *insn, mem_callback *callback, int flags, int rw, void *userdata);
extern size_t qemu_plugin_tb_n_insns(const struct tb *tb);
extern struct insn *qemu_plugin_tb_get_insn(const struct tb *tb, size_t index);
extern size_t qemu_plugin_insn_data(const struct insn *insn, void *bytes, size_t length);
extern uint64_t qemu_plugin_insn_vaddr(const struct insn *insn);
extern unsigned int qemu_plugin_mem_size_shift(uint32_t info);
extern bool qemu_plugin_mem_is_store(uint32_t info);
extern struct mem_value qemu_plugin_mem_get_value(uint32_t info);
extern struct hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr);
extern bool qemu_plugin_hwaddr_is_io(const struct hwaddr *address);
extern uint64_t qemu_plugin_hwaddr_phys_addr(const struct hwaddr *address);
extern const char *qemu_plugin_hwaddr_device_name(const struct hwaddr *address);
extern GArray *qemu_plugin_get_registers(void);
extern bool qemu_plugin_read_register(struct reg *handle, GByteArray *bytes);
extern bool qemu_plugin_translate_vaddr(uint64_t address, uint64_t *physical);
extern int qemu_plugin_read_memory_hwaddr(uint64_t address, GByteArray *bytes, size_t length);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations shared by the addon's files. The addon makes system calls and polls; all policy is in
 * TypeScript. The interface, with the meaning of every function, is in interface.ts.
 */
#ifndef GHOSTCARD_ADDON_H
#define GHOSTCARD_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Same values as in interface.ts. */
enum { WOULD_BLOCK = -1, EVENT_READABLE = 1, EVENT_WRITABLE = 2 };

/*
 * The few libuv functions in use, declared by hand: node-api-headers has no uv.h, and the header of one Node
 * release would tie the binary to that release. Every Node since 10 exports them with these types. Handles
 * are opaque: their size is queried at run time, and the one enum value in use is checked by name when the
 * addon loads.
 */
struct uv_loop_s;
typedef struct uv_handle_s uv_handle_t;
enum { UV_HANDLE_POLL = 8, UV_EVENT_READABLE = 1, UV_EVENT_WRITABLE = 2 };
extern size_t uv_handle_size(int type);
extern const char *uv_handle_type_name(int type);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern void *uv_handle_get_data(const uv_handle_t *handle);
extern int uv_poll_init(struct uv_loop_s *loop, uv_handle_t *handle, int fd);
extern int uv_poll_start(
        uv_handle_t *handle, int events, void (*callback)(uv_handle_t *, int status, int events));
extern int uv_poll_stop(uv_handle_t *handle);
extern void uv_close(uv_handle_t *handle, void (*callback)(uv_handle_t *));
extern void uv_ref(uv_handle_t *handle);
extern void uv_unref(uv_handle_t *handle);
extern const char *uv_err_name(int negative_errno);

/*
 * convert.c: conversion of arguments, and errors. The getters throw a TypeError that names the argument, and
 * return false.
 */
bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool get_int(napi_env env, napi_value value, const char *name, int *result);
bool get_size(napi_env env, napi_value value, const char *name, size_t *result);
bool get_bool(napi_env env, napi_value value, const char *name, bool *result);
bool get_string(napi_env env, napi_value value, const char *name, char *buffer, size_t size);
bool get_bytes(napi_env env, napi_value value, const char *name, uint8_t **data, size_t *length);
bool get_words(napi_env env, napi_value value, const char *name, int32_t **data, size_t *length);
bool get_longs(napi_env env, napi_value value, const char *name, int64_t **data, size_t *length);
bool is_undefined(napi_env env, napi_value value);
napi_value from_int(napi_env env, int64_t value);
/*
 * Throws an Error with code, errno and syscall. `detail` (may be NULL) says what was attempted. Returns NULL.
 */
napi_value throw_errno(napi_env env, int error, const char *syscall, const char *detail);
napi_value throw_type(napi_env env, const char *message);

/* sigbus.c: pages whose file was truncated are replaced by zero pages, instead of killing the process. */
struct guarded_range {
    uintptr_t start;
    size_t length;
    bool is_cut;
    struct guarded_range *next, **link;
};
/* The caller owns the range and must not move it until it is released. */
void guard_range(struct guarded_range *range, void *address, size_t length);
void release_range(struct guarded_range *range);

/* One function per entry of the interface, one registration per file. */
struct entry {
    const char *name;
    napi_callback function;
};
extern const struct entry socket_entries[], memory_entries[], descriptor_entries[];
napi_status define_poller(napi_env env, napi_value exports);

#endif

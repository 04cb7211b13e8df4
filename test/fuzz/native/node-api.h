/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of Node-API and libuv as the native part uses, for programs without Node: values, exceptions,
 * wrapped objects, and a loop that polls. What V8 may do at any time, collecting garbage, is done when it is
 * asked for.
 *
 * Source: Node's documentation of Node-API; docs.libuv.org, uv_poll_t.
 */
#ifndef GHOSTCARD_FUZZ_NODE_API_H
#define GHOSTCARD_FUZZ_NODE_API_H

#include "addon.h"

enum kind { UNDEFINED, NUMBER, BOOLEAN, STRING, ARRAY_BUFFER, TYPED_ARRAY, FUNCTION, OBJECT };

struct napi_value__ {
    enum kind kind;
    double number;
    /* Of an array. */
    double elements[2];
    char *text;
    /* Of an array buffer or a typed array. */
    uint8_t *data;
    size_t length;
    napi_typedarray_type type;
    bool external, detached;
    /* Of a native function. */
    napi_callback function;
    /* Of an external array buffer, or of what an object wraps. */
    napi_finalize finalize;
    void *native, *hint;
    struct napi_value__ *next;
};

/* Freed with all other values by `free_values`. */
napi_value new_value(enum kind kind);
napi_value new_number(double number);
napi_value new_string(const char *text);
/* Memory of exactly this length, so that a sanitizer sees what goes beyond. */
napi_value new_typed_array(napi_typedarray_type type, size_t count);

/* Calls a native function; *thrown: whether it left an exception, which is cleared. */
napi_value call_native(
        napi_callback function, napi_value self, size_t count, napi_value *arguments, bool *thrown);
/* The function of the interface, or the method of class Poller, by its name; "Poller" is the constructor. */
napi_callback native_function(const char *name);
void define_natives(void);

/* What V8 does with an object that nothing refers to any more; once. */
void collect_value(napi_value value);
void free_values(void);

/* Whether the next external array buffer is refused, and how; whether detaching finalises at once. */
enum refusal { ACCEPT, NOT_ALLOWED, FAIL };
extern enum refusal next_external;
extern bool detaching_finalises;

/* What JavaScript does when a poller calls it back; true: it throws. */
extern bool (*on_callback)(napi_value self, int events);

/* One turn: what is ready is called back, and what is closing is freed. */
void turn_loop(void);
/* What Node does at the end of a worker. */
void end_environment(void);

#endif

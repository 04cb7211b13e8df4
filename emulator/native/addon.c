/* SPDX-License-Identifier: Apache-2.0 */
/* The addon's entry point: exports every function of the interface (index.ts). */
#include "addon.h"
#include <string.h>

static bool define(napi_env env, napi_value exports, const struct entry *entries)
{
    for (; entries->name; entries++) {
        napi_value function;
        if (napi_create_function(env, entries->name, NAPI_AUTO_LENGTH, entries->function, NULL, &function) !=
                        napi_ok ||
                napi_set_named_property(env, exports, entries->name, function) != napi_ok) {
            return false;
        }
    }
    return true;
}

NAPI_MODULE_INIT()
{
    const char *name = uv_handle_type_name(UV_HANDLE_POLL);
    if (!name || strcmp(name, "poll") != 0) {
        napi_throw_error(env, "ERR_LIBUV",
                "cannot load the addon: the handle types of this Node's libuv differ from those in addon.h");
        return NULL;
    }
    if (!define(env, exports, socket_entries) || !define(env, exports, memory_entries) ||
            !define(env, exports, descriptor_entries) || define_poller(env, exports) != napi_ok) {
        napi_throw_error(env, NULL, "the addon could not register its functions");
    }
    return exports;
}

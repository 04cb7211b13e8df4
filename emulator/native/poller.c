/* SPDX-License-Identifier: Apache-2.0 */
/*
 * class Poller: readiness of a descriptor, from Node's own event loop (uv_poll). It is level-triggered: the
 * callback runs in every turn of the loop while the descriptor is ready.
 *
 * A poller lives until close() and keeps its JavaScript object alive until then. The libuv handle outlives
 * close() by one turn of the loop, so the structure is freed in libuv's close callback. If a worker or the
 * process ends before that, a cleanup hook delays the end until the structure is freed.
 */
#include "addon.h"
#include <errno.h>
#include <stdlib.h>

struct poller {
    napi_env env;
    uv_handle_t *handle;
    napi_ref self, callback;
    napi_async_context context;
    napi_async_cleanup_hook_handle hook;
    /* The events of the last start(), as libuv's bits. */
    int events;
    bool closing, wrapped;
};

static void freed(uv_handle_t *handle)
{
    struct poller *poller = uv_handle_get_data(handle);
    if (poller->hook) {
        napi_remove_async_cleanup_hook(poller->hook);
        poller->hook = NULL;
    }
    free(handle);
    poller->handle = NULL;
    if (!poller->wrapped) {
        free(poller);
    }
}

static void begin_close(struct poller *poller)
{
    if (poller->closing) {
        return;
    }
    poller->closing = true;
    napi_delete_reference(poller->env, poller->callback);
    napi_async_destroy(poller->env, poller->context);
    uv_close(poller->handle, freed);
}

static void environment_ends(napi_async_cleanup_hook_handle hook, void *data)
{
    (void)hook;
    begin_close(data);
}

/* The JavaScript object was collected: after close(), or because the environment ends. */
static void collected(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    struct poller *poller = data;
    poller->wrapped = false;
    if (poller->handle == NULL) {
        free(poller);
    } else {
        begin_close(poller);
    }
}

static void ready(uv_handle_t *handle, int status, int events)
{
    struct poller *poller = uv_handle_get_data(handle);
    napi_env env = poller->env;
    napi_handle_scope scope;
    napi_value self, callback, argument;
    if (poller->closing || napi_open_handle_scope(env, &scope) != napi_ok) {
        return;
    }
    /*
     * libuv stops a handle whose descriptor has an error, even if there are bytes left to read (for example
     * after a peer has closed without reading ours). Start it again, or the poller would never report
     * anything again.
     */
    if (status < 0) {
        uv_poll_start(handle, poller->events, ready);
    }
    /* The next receive or send will report the error, so report the descriptor as ready for both. */
    int mask = status < 0 ? EVENT_READABLE | EVENT_WRITABLE : 0;
    mask |= (events & UV_EVENT_READABLE) ? EVENT_READABLE : 0;
    mask |= (events & UV_EVENT_WRITABLE) ? EVENT_WRITABLE : 0;
    if (napi_get_reference_value(env, poller->callback, &callback) == napi_ok &&
            napi_get_reference_value(env, poller->self, &self) == napi_ok &&
            napi_create_int32(env, mask, &argument) == napi_ok &&
            napi_make_callback(env, poller->context, self, callback, 1, &argument, NULL) ==
                    napi_pending_exception) {
        napi_value exception;
        napi_get_and_clear_last_exception(env, &exception);
        napi_fatal_exception(env, exception);
    }
    napi_close_handle_scope(env, scope);
}

static struct poller *unwrap(napi_env env, napi_callback_info info, size_t count, napi_value *values)
{
    napi_value self;
    void *poller = NULL;
    if (napi_get_cb_info(env, info, &count, values, &self, NULL) != napi_ok ||
            napi_unwrap(env, self, &poller) != napi_ok) {
        throw_type(env, "this is not a Poller");
        return NULL;
    }
    return poller;
}

static napi_value construct(napi_env env, napi_callback_info info)
{
    napi_value values[2], self, name;
    napi_valuetype type;
    size_t count = 2;
    int fd;
    struct uv_loop_s *loop;
    if (napi_get_cb_info(env, info, &count, values, &self, NULL) != napi_ok ||
            !get_int(env, values[0], "descriptor", &fd)) {
        return NULL;
    }
    if (napi_typeof(env, values[1], &type) != napi_ok || type != napi_function) {
        return throw_type(env, "callback must be a function");
    }
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
        return throw_type(env, "this environment has no event loop");
    }
    struct poller *poller = calloc(1, sizeof *poller);
    uv_handle_t *handle = calloc(1, uv_handle_size(UV_HANDLE_POLL));
    int status = poller && handle ? uv_poll_init(loop, handle, fd) : -ENOMEM;
    if (status < 0) {
        free(poller);
        free(handle);
        return throw_errno(env, -status, "uv_poll_init", NULL);
    }
    *poller = (struct poller){.env = env, .handle = handle, .wrapped = true};
    uv_handle_set_data(handle, poller);
    napi_create_string_utf8(env, "ghostcard.Poller", NAPI_AUTO_LENGTH, &name);
    napi_async_init(env, self, name, &poller->context);
    napi_create_reference(env, values[1], 1, &poller->callback);
    napi_wrap(env, self, poller, collected, NULL, NULL);
    napi_create_reference(env, self, 1, &poller->self);
    napi_add_async_cleanup_hook(env, environment_ends, poller, &poller->hook);
    return self;
}

static napi_value start(napi_env env, napi_callback_info info)
{
    napi_value value;
    int mask;
    struct poller *poller = unwrap(env, info, 1, &value);
    if (!poller || !get_int(env, value, "events", &mask)) {
        return NULL;
    }
    if (poller->closing) {
        return throw_errno(env, EBADF, "uv_poll_start", "on a closed Poller");
    }
    poller->events = ((mask & EVENT_READABLE) ? UV_EVENT_READABLE : 0) |
                     ((mask & EVENT_WRITABLE) ? UV_EVENT_WRITABLE : 0);
    int status = uv_poll_start(poller->handle, poller->events, ready);
    return status < 0 ? throw_errno(env, -status, "uv_poll_start", NULL) : NULL;
}

static napi_value stop(napi_env env, napi_callback_info info)
{
    struct poller *poller = unwrap(env, info, 0, NULL);
    if (poller && !poller->closing) {
        uv_poll_stop(poller->handle);
    }
    return NULL;
}

static napi_value ref(napi_env env, napi_callback_info info)
{
    struct poller *poller = unwrap(env, info, 0, NULL);
    if (poller && !poller->closing) {
        uv_ref(poller->handle);
    }
    return NULL;
}

static napi_value unref(napi_env env, napi_callback_info info)
{
    struct poller *poller = unwrap(env, info, 0, NULL);
    if (poller && !poller->closing) {
        uv_unref(poller->handle);
    }
    return NULL;
}

static napi_value close_poller(napi_env env, napi_callback_info info)
{
    struct poller *poller = unwrap(env, info, 0, NULL);
    if (poller && !poller->closing) {
        begin_close(poller);
        napi_delete_reference(env, poller->self);
    }
    return NULL;
}

napi_status define_poller(napi_env env, napi_value exports)
{
    const napi_property_descriptor methods[] = {
            {.utf8name = "start", .method = start, .attributes = napi_default_method},
            {.utf8name = "stop", .method = stop, .attributes = napi_default_method},
            {.utf8name = "close", .method = close_poller, .attributes = napi_default_method},
            {.utf8name = "ref", .method = ref, .attributes = napi_default_method},
            {.utf8name = "unref", .method = unref, .attributes = napi_default_method},
    };
    napi_value constructor;
    napi_status status = napi_define_class(env, "Poller", NAPI_AUTO_LENGTH, construct, NULL,
            sizeof methods / sizeof methods[0], methods, &constructor);
    return status == napi_ok ? napi_set_named_property(env, exports, "Poller", constructor) : status;
}

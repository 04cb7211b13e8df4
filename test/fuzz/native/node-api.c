/* SPDX-License-Identifier: Apache-2.0 */
#include "node-api.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct napi_callback_info__ {
    napi_value self;
    size_t count;
    napi_value *arguments;
};
/* Those that are not deleted are freed with the environment, as Node does. */
struct napi_ref__ {
    napi_value value;
    struct napi_ref__ *next, **link;
};
struct napi_async_cleanup_hook_handle__ {
    napi_async_cleanup_hook hook;
    void *argument;
    struct napi_async_cleanup_hook_handle__ *next;
};

enum refusal next_external;
bool detaching_finalises;
bool (*on_callback)(napi_value self, int events);

static bool has_exception;
static napi_value values;
static napi_ref references;
static struct napi_async_cleanup_hook_handle__ *hooks;

static void demand(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "node-api: %s\n", what);
        abort();
    }
}

/* Values. */

napi_value new_value(enum kind kind)
{
    napi_value value = calloc(1, sizeof *value);
    value->kind = kind;
    value->next = values;
    values = value;
    return value;
}

napi_value new_number(double number)
{
    napi_value value = new_value(NUMBER);
    value->number = number;
    return value;
}

napi_value new_string(const char *text)
{
    napi_value value = new_value(STRING);
    value->text = strdup(text);
    return value;
}

static size_t element_size(napi_typedarray_type type)
{
    return type == napi_uint8_array ? 1 : type == napi_int32_array ? 4 : 8;
}

napi_value new_typed_array(napi_typedarray_type type, size_t count)
{
    napi_value value = new_value(TYPED_ARRAY);
    value->type = type;
    value->length = count;
    value->data = calloc(count > 0 ? count : 1, element_size(type));
    return value;
}

void collect_value(napi_value value)
{
    napi_finalize finalize = value->finalize;
    value->finalize = NULL;
    value->detached = value->detached || value->external;
    if (finalize) {
        finalize(NULL, value->external ? value->data : value->native, value->hint);
    }
}

void free_values(void)
{
    while (references) {
        napi_delete_reference(NULL, references);
    }
    while (values) {
        napi_value value = values;
        values = value->next;
        if (!value->external) {
            free(value->data);
        }
        free(value->text);
        free(value);
    }
}

static napi_status made(napi_value value, napi_value *result)
{
    *result = value;
    return napi_ok;
}

napi_status napi_get_undefined(napi_env env, napi_value *result)
{
    (void)env;
    return made(new_value(UNDEFINED), result);
}

napi_status napi_create_double(napi_env env, double number, napi_value *result)
{
    (void)env;
    return made(new_number(number), result);
}

napi_status napi_create_int32(napi_env env, int32_t number, napi_value *result)
{
    (void)env;
    return made(new_number(number), result);
}

napi_status napi_create_int64(napi_env env, int64_t number, napi_value *result)
{
    (void)env;
    return made(new_number((double)number), result);
}

napi_status napi_get_boolean(napi_env env, bool truth, napi_value *result)
{
    (void)env;
    napi_value value = new_value(BOOLEAN);
    value->number = truth;
    return made(value, result);
}

napi_status napi_create_string_utf8(napi_env env, const char *text, size_t length, napi_value *result)
{
    (void)env;
    demand(length == NAPI_AUTO_LENGTH && text[0] != '\0', "a string that is empty or not NUL-terminated");
    return made(new_string(text), result);
}

napi_status napi_create_array_with_length(napi_env env, size_t length, napi_value *result)
{
    (void)env;
    napi_value value = new_value(OBJECT);
    demand(length <= 2, "an array of more than a pair");
    value->length = length;
    return made(value, result);
}

napi_status napi_set_element(napi_env env, napi_value object, uint32_t index, napi_value value)
{
    (void)env;
    demand(index < object->length && value, "an element outside of its array");
    object->elements[index] = value->number;
    return napi_ok;
}

napi_status napi_typeof(napi_env env, napi_value value, napi_valuetype *result)
{
    (void)env;
    static const napi_valuetype types[] = {napi_undefined, napi_number, napi_boolean, napi_string,
            napi_object, napi_object, napi_function, napi_object};
    *result = types[value->kind];
    return napi_ok;
}

napi_status napi_get_value_double(napi_env env, napi_value value, double *result)
{
    (void)env;
    *result = value->number;
    return value->kind == NUMBER ? napi_ok : napi_number_expected;
}

/* Modulo 2^32, as JavaScript converts; what is not finite becomes 0. */
napi_status napi_get_value_int32(napi_env env, napi_value value, int32_t *result)
{
    (void)env;
    *result = isfinite(value->number) ? (int32_t)(uint32_t)(int64_t)fmod(value->number, 4294967296.0) : 0;
    return value->kind == NUMBER ? napi_ok : napi_number_expected;
}

napi_status napi_get_value_bool(napi_env env, napi_value value, bool *result)
{
    (void)env;
    *result = value->number != 0;
    return value->kind == BOOLEAN ? napi_ok : napi_boolean_expected;
}

napi_status napi_get_value_string_utf8(
        napi_env env, napi_value value, char *buffer, size_t size, size_t *result)
{
    (void)env;
    if (value->kind != STRING) {
        return napi_string_expected;
    }
    /* `length`: of a text with a NUL in it. */
    size_t length = value->length > 0 ? value->length : strlen(value->text);
    if (buffer) {
        length = length < size ? length : size - 1;
        memcpy(buffer, value->text, length);
        buffer[length] = '\0';
    }
    *result = length;
    return napi_ok;
}

napi_status napi_is_typedarray(napi_env env, napi_value value, bool *result)
{
    (void)env;
    *result = value->kind == TYPED_ARRAY;
    return napi_ok;
}

napi_status napi_get_typedarray_info(napi_env env, napi_value value, napi_typedarray_type *type,
        size_t *length, void **data, napi_value *buffer, size_t *offset)
{
    (void)env;
    demand(!buffer && !offset, "the buffer of a typed array");
    *type = value->type;
    *length = value->length;
    *data = value->data;
    return napi_ok;
}

/* External memory. */

napi_status napi_create_external_arraybuffer(
        napi_env env, void *data, size_t length, napi_finalize finalize, void *hint, napi_value *result)
{
    enum refusal refusal = next_external;
    next_external = ACCEPT;
    if (refusal == NOT_ALLOWED) {
        return napi_no_external_buffers_allowed;
    }
    if (refusal == FAIL) {
        finalize(env, data, hint);
        has_exception = true;
        return napi_pending_exception;
    }
    napi_value value = new_value(ARRAY_BUFFER);
    value->external = true;
    value->data = data;
    value->length = length;
    value->finalize = finalize;
    value->hint = hint;
    return made(value, result);
}

napi_status napi_is_arraybuffer(napi_env env, napi_value value, bool *result)
{
    (void)env;
    *result = value->kind == ARRAY_BUFFER;
    return napi_ok;
}

napi_status napi_get_arraybuffer_info(napi_env env, napi_value value, void **data, size_t *length)
{
    (void)env;
    *data = value->detached ? NULL : value->data;
    *length = value->detached ? 0 : value->length;
    return napi_ok;
}

napi_status napi_detach_arraybuffer(napi_env env, napi_value value)
{
    (void)env;
    demand(value->kind == ARRAY_BUFFER && value->external && !value->detached, "detached what is not mapped");
    value->detached = true;
    if (detaching_finalises) {
        collect_value(value);
    }
    return napi_ok;
}

/* Errors. */

napi_status napi_throw(napi_env env, napi_value error)
{
    (void)env;
    demand(!has_exception && error, "thrown while an exception is pending");
    has_exception = true;
    return napi_ok;
}

napi_status napi_throw_error(napi_env env, const char *code, const char *message)
{
    (void)code;
    return napi_throw(env, new_string(message));
}

napi_status napi_throw_type_error(napi_env env, const char *code, const char *message)
{
    return napi_throw_error(env, code, message);
}

napi_status napi_create_error(napi_env env, napi_value code, napi_value message, napi_value *result)
{
    (void)env;
    demand(code->kind == STRING && message->kind == STRING, "an error without a text");
    return made(new_value(OBJECT), result);
}

napi_status napi_get_and_clear_last_exception(napi_env env, napi_value *result)
{
    has_exception = false;
    return napi_get_undefined(env, result);
}

napi_status napi_fatal_exception(napi_env env, napi_value error)
{
    (void)env;
    (void)error;
    return napi_ok;
}

/* Functions and objects. */

static struct {
    const char *name;
    napi_callback function;
} natives[40];
static size_t native_count;

static void define(const char *name, napi_callback function)
{
    demand(native_count < sizeof natives / sizeof natives[0], "more functions than there is room for");
    natives[native_count].name = name;
    natives[native_count++].function = function;
}

napi_callback native_function(const char *name)
{
    for (size_t i = 0; i < native_count; i++) {
        if (strcmp(natives[i].name, name) == 0) {
            return natives[i].function;
        }
    }
    fprintf(stderr, "node-api: there is no function %s\n", name);
    abort();
}

void define_natives(void)
{
    const struct entry *const files[] = {socket_entries, memory_entries, descriptor_entries};
    for (size_t file = 0; file < 3; file++) {
        for (const struct entry *entry = files[file]; entry->name; entry++) {
            define(entry->name, entry->function);
        }
    }
    define_poller(NULL, new_value(OBJECT));
}

napi_status napi_define_class(napi_env env, const char *name, size_t length, napi_callback constructor,
        void *data, size_t count, const napi_property_descriptor *properties, napi_value *result)
{
    (void)length;
    (void)data;
    /* Not to be confused with the functions of the interface. */
    static char names[8][24];
    define(name, constructor);
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%s.%s", name, properties[i].utf8name);
        define(names[i], properties[i].method);
    }
    return napi_get_undefined(env, result);
}

napi_status napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value)
{
    (void)env;
    (void)name;
    demand(object && value, "a property without a value");
    return napi_ok;
}

napi_value call_native(
        napi_callback function, napi_value self, size_t count, napi_value *arguments, bool *thrown)
{
    struct napi_callback_info__ info = {self, count, arguments};
    demand(!has_exception, "called while an exception is pending");
    napi_value result = function(NULL, &info);
    demand(!result || !has_exception, "both a result and an exception");
    *thrown = has_exception;
    has_exception = false;
    return result;
}

napi_status napi_get_cb_info(napi_env env, napi_callback_info info, size_t *count, napi_value *arguments,
        napi_value *self, void **data)
{
    (void)env;
    (void)data;
    for (size_t i = 0; i < *count; i++) {
        arguments[i] = i < info->count ? info->arguments[i] : new_value(UNDEFINED);
    }
    *count = info->count;
    if (self) {
        *self = info->self;
    }
    return napi_ok;
}

napi_status napi_wrap(
        napi_env env, napi_value object, void *native, napi_finalize finalize, void *hint, napi_ref *result)
{
    (void)env;
    demand(!result && !object->native, "wrapped twice");
    object->native = native;
    object->finalize = finalize;
    object->hint = hint;
    return napi_ok;
}

napi_status napi_unwrap(napi_env env, napi_value object, void **result)
{
    (void)env;
    *result = object->native;
    return object->kind == OBJECT && object->native ? napi_ok : napi_invalid_arg;
}

napi_status napi_create_reference(napi_env env, napi_value value, uint32_t count, napi_ref *result)
{
    (void)env;
    demand(count == 1, "a weak reference");
    napi_ref reference = calloc(1, sizeof *reference);
    *reference = (struct napi_ref__){.value = value, .next = references, .link = &references};
    if (references) {
        references->link = &reference->next;
    }
    references = reference;
    *result = reference;
    return napi_ok;
}

napi_status napi_delete_reference(napi_env env, napi_ref reference)
{
    (void)env;
    *reference->link = reference->next;
    if (reference->next) {
        reference->next->link = reference->link;
    }
    free(reference);
    return napi_ok;
}

napi_status napi_get_reference_value(napi_env env, napi_ref reference, napi_value *result)
{
    (void)env;
    *result = reference->value;
    return napi_ok;
}

napi_status napi_open_handle_scope(napi_env env, napi_handle_scope *result)
{
    (void)env;
    *result = NULL;
    return napi_ok;
}

napi_status napi_close_handle_scope(napi_env env, napi_handle_scope scope)
{
    (void)env;
    (void)scope;
    return napi_ok;
}

napi_status napi_async_init(napi_env env, napi_value resource, napi_value name, napi_async_context *result)
{
    (void)env;
    (void)resource;
    (void)name;
    *result = malloc(1);
    return napi_ok;
}

napi_status napi_async_destroy(napi_env env, napi_async_context context)
{
    (void)env;
    free(context);
    return napi_ok;
}

napi_status napi_make_callback(napi_env env, napi_async_context context, napi_value self, napi_value function,
        size_t count, const napi_value *arguments, napi_value *result)
{
    (void)env;
    (void)context;
    (void)result;
    demand(function->kind == FUNCTION && count == 1, "a callback that is none");
    has_exception = on_callback && on_callback(self, (int)arguments[0]->number);
    return has_exception ? napi_pending_exception : napi_ok;
}

napi_status napi_add_async_cleanup_hook(
        napi_env env, napi_async_cleanup_hook hook, void *argument, napi_async_cleanup_hook_handle *result)
{
    (void)env;
    *result = calloc(1, sizeof **result);
    (*result)->hook = hook;
    (*result)->argument = argument;
    (*result)->next = hooks;
    hooks = *result;
    return napi_ok;
}

napi_status napi_remove_async_cleanup_hook(napi_async_cleanup_hook_handle handle)
{
    struct napi_async_cleanup_hook_handle__ **link = &hooks;
    while (*link && *link != handle) {
        link = &(*link)->next;
    }
    demand(*link != NULL, "a hook that is not there");
    *link = handle->next;
    free(handle);
    return napi_ok;
}

void end_environment(void)
{
    for (struct napi_async_cleanup_hook_handle__ *each = hooks; each; each = each->next) {
        each->hook(each, each->argument);
    }
    turn_loop();
    demand(hooks == NULL, "a hook is left at the end of the environment");
}

/* libuv. */

struct uv_handle_s {
    void *data;
    int fd, events;
    bool closing;
    void (*ready)(uv_handle_t *, int, int);
    void (*closed)(uv_handle_t *);
    uv_handle_t *next;
};
static uv_handle_t *handles;

size_t uv_handle_size(int type)
{
    (void)type;
    return sizeof(struct uv_handle_s);
}

void uv_handle_set_data(uv_handle_t *handle, void *data)
{
    handle->data = data;
}

void *uv_handle_get_data(const uv_handle_t *handle)
{
    return handle->data;
}

napi_status napi_get_uv_event_loop(napi_env env, struct uv_loop_s **result)
{
    (void)env;
    *result = NULL;
    return napi_ok;
}

int uv_poll_init(struct uv_loop_s *loop, uv_handle_t *handle, int fd)
{
    (void)loop;
    if (fcntl(fd, F_GETFD) < 0) {
        return -EBADF;
    }
    handle->fd = fd;
    handle->next = handles;
    handles = handle;
    return 0;
}

int uv_poll_start(uv_handle_t *handle, int events, void (*ready)(uv_handle_t *, int, int))
{
    demand(!handle->closing, "started while it closes");
    handle->events = events;
    handle->ready = ready;
    return 0;
}

int uv_poll_stop(uv_handle_t *handle)
{
    demand(!handle->closing, "stopped while it closes");
    handle->events = 0;
    return 0;
}

void uv_close(uv_handle_t *handle, void (*closed)(uv_handle_t *))
{
    demand(!handle->closing, "closed twice");
    handle->closing = true;
    handle->events = 0;
    handle->closed = closed;
}

void uv_ref(uv_handle_t *handle)
{
    demand(!handle->closing, "referenced while it closes");
}

void uv_unref(uv_handle_t *handle)
{
    demand(!handle->closing, "unreferenced while it closes");
}

const char *uv_err_name(int negative_errno)
{
    const char *name = strerrorname_np(-negative_errno);
    return name ? name : "unknown";
}

void turn_loop(void)
{
    for (uv_handle_t *handle = handles; handle; handle = handle->next) {
        struct pollfd state = {.fd = handle->fd};
        state.events |= (handle->events & UV_EVENT_READABLE) ? POLLIN : 0;
        state.events |= (handle->events & UV_EVENT_WRITABLE) ? POLLOUT : 0;
        if (handle->events == 0 || poll(&state, 1, 0) != 1) {
            continue;
        }
        if (state.revents & (POLLERR | POLLNVAL)) {
            handle->events = 0;
            handle->ready(handle, -EBADF, 0);
        } else {
            int events = (state.revents & (POLLIN | POLLHUP)) ? UV_EVENT_READABLE : 0;
            events |= (state.revents & POLLOUT) ? UV_EVENT_WRITABLE : 0;
            handle->ready(handle, 0, events & handle->events);
        }
    }
    for (uv_handle_t **link = &handles; *link;) {
        uv_handle_t *handle = *link;
        if (handle->closing) {
            *link = handle->next;
            handle->closed(handle);
        } else {
            link = &handle->next;
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of values between JavaScript and C, with errors that name the argument or the system call. */
#include "addon.h"
#include <stdio.h>
#include <string.h>

napi_value throw_type(napi_env env, const char *message)
{
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
    return NULL;
}

static bool refuse(napi_env env, const char *name, const char *wanted)
{
    char message[160];
    snprintf(message, sizeof message, "%s must be %s", name, wanted);
    throw_type(env, message);
    return false;
}

bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values)
{
    /* Missing arguments arrive as undefined; the getters refuse those by name. */
    return napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok;
}

bool get_int(napi_env env, napi_value value, const char *name, int *result)
{
    int32_t number;
    if (napi_get_value_int32(env, value, &number) != napi_ok) {
        return refuse(env, name, "a 32-bit integer");
    }
    *result = number;
    return true;
}

bool get_size(napi_env env, napi_value value, const char *name, size_t *result)
{
    double number;
    if (napi_get_value_double(env, value, &number) != napi_ok ||
            !(number >= 0 && number <= 9007199254740991.0) || number != (double)(uint64_t)number) {
        return refuse(env, name, "an integer from 0 to 2^53 - 1");
    }
    *result = (size_t)number;
    return true;
}

bool get_bool(napi_env env, napi_value value, const char *name, bool *result)
{
    return napi_get_value_bool(env, value, result) == napi_ok || refuse(env, name, "a boolean");
}

bool get_string(napi_env env, napi_value value, const char *name, char *buffer, size_t size)
{
    size_t length;
    if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
        return refuse(env, name, "a string");
    }
    if (length >= size) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "at most %zu bytes long; it has %zu bytes", size - 1, length);
        return refuse(env, name, wanted);
    }
    napi_get_value_string_utf8(env, value, buffer, size, &length);
    return strlen(buffer) == length || refuse(env, name, "a string without NUL");
}

static bool get_array(
        napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length)
{
    bool is_array = false;
    napi_typedarray_type type;
    return napi_is_typedarray(env, value, &is_array) == napi_ok && is_array &&
           napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) == napi_ok && type == wanted;
}

bool get_bytes(napi_env env, napi_value value, const char *name, uint8_t **data, size_t *length)
{
    return get_array(env, value, napi_uint8_array, (void **)data, length) ||
           refuse(env, name, "a Uint8Array");
}

bool get_words(napi_env env, napi_value value, const char *name, int32_t **data, size_t *length)
{
    return get_array(env, value, napi_int32_array, (void **)data, length) ||
           refuse(env, name, "an Int32Array");
}

bool get_longs(napi_env env, napi_value value, const char *name, int64_t **data, size_t *length)
{
    return get_array(env, value, napi_bigint64_array, (void **)data, length) ||
           refuse(env, name, "a BigInt64Array");
}

bool is_undefined(napi_env env, napi_value value)
{
    napi_valuetype type;
    return napi_typeof(env, value, &type) == napi_ok && type == napi_undefined;
}

napi_value from_int(napi_env env, int64_t value)
{
    napi_value result = NULL;
    napi_create_int64(env, value, &result);
    return result;
}

napi_value throw_errno(napi_env env, int error, const char *syscall, const char *detail)
{
    char text[512];
    const char *code = uv_err_name(-error);
    snprintf(text, sizeof text, "%s%s%s: %s (%s)", syscall, detail ? " " : "", detail ? detail : "",
            strerror(error), code);
    napi_value code_value, message, exception, number, name;
    if (napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &code_value) != napi_ok ||
            napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) != napi_ok ||
            napi_create_error(env, code_value, message, &exception) != napi_ok ||
            napi_create_int32(env, error, &number) != napi_ok ||
            napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &name) != napi_ok ||
            napi_set_named_property(env, exception, "errno", number) != napi_ok ||
            napi_set_named_property(env, exception, "syscall", name) != napi_ok) {
        napi_throw_error(env, code, text);
        return NULL;
    }
    napi_throw(env, exception);
    return NULL;
}

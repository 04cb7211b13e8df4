/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copyPieces(destination, source, pieceBytes): the floor of a DMA engine. memcpy, piece by piece, of the
 * longer of two buffers, wrapping around in the shorter one. Returns nanoseconds. It is an addon so that it
 * uses the same pages as the card: the place of memory matters more than the code that copies it.
 */
#include <node_api.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint8_t *bytes_of(napi_env env, napi_value value, size_t *length)
{
    void *bytes = NULL;
    napi_typedarray_type type;
    if (napi_get_typedarray_info(env, value, &type, length, &bytes, NULL, NULL) != napi_ok ||
            type != napi_uint8_array) {
        return NULL;
    }
    return bytes;
}

static napi_value copy_pieces(napi_env env, napi_callback_info info)
{
    napi_value values[3];
    size_t count = 3, destination_bytes, source_bytes;
    uint32_t piece = 0;
    if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != 3) {
        napi_throw_type_error(env, NULL, "copyPieces takes (destination, source, pieceBytes)");
        return NULL;
    }
    uint8_t *destination = bytes_of(env, values[0], &destination_bytes);
    uint8_t *source = bytes_of(env, values[1], &source_bytes);
    napi_get_value_uint32(env, values[2], &piece);
    if (!destination || !source || piece == 0 || destination_bytes % piece || source_bytes % piece) {
        napi_throw_type_error(
                env, NULL, "copyPieces needs two Uint8Arrays, both a multiple of pieceBytes long");
        return NULL;
    }
    size_t total = destination_bytes > source_bytes ? destination_bytes : source_bytes;
    uint64_t started_ns = now_ns();
    for (size_t at = 0; at < total; at += piece) {
        memcpy(destination + at % destination_bytes, source + at % source_bytes, piece);
    }
    uint64_t duration_ns = now_ns() - started_ns;
    napi_value result;
    napi_create_double(env, (double)duration_ns, &result);
    return result;
}

NAPI_MODULE_INIT()
{
    napi_value function;
    napi_create_function(env, "copyPieces", NAPI_AUTO_LENGTH, copy_pieces, NULL, &function);
    napi_set_named_property(env, exports, "copyPieces", function);
    return exports;
}

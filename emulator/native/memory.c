/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory as ArrayBuffers: mmap(2), memfd_create(2). A mapping is released by unmap(), which first
 * detaches the ArrayBuffer so that no view can reach the pages any more, or by the garbage collector.
 */
#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The limit of Node 20 for one ArrayBuffer. Later versions allow more; this limit applies to all of them. */
static const size_t MAX_MAPPING = (size_t)1 << 32;

/*
 * The kernel allows a process 65530 mappings (vm.max_map_count). V8 needs some of them and aborts the process
 * if it gets none, so the windows of all clients together may use half.
 */
enum { MOST_MAPPINGS = 32768 };

/* Kept until V8 releases the ArrayBuffer, which may be long after unmap(). */
struct mapping {
    void *address;
    size_t length;
    bool mapped;
    struct guarded_range guard;
    struct mapping *next;
};

/* Mappings by address. A client may have tens of thousands, all of which are removed when it disconnects. */
enum { BUCKET_BITS = 12, PAGE_BITS = 12 };

/* Shared by all threads: a worker has its own copy of the exports, but not of this file's variables. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mapping *mappings[1 << BUCKET_BITS];
static int mapping_count;

static struct mapping **bucket_of(void *address)
{
    uint32_t spread = (uint32_t)((uintptr_t)address >> PAGE_BITS) * 2654435761u;
    return &mappings[spread >> (32 - BUCKET_BITS)];
}

/* Call with the lock held. */
static struct mapping *find_mapping(void *address, size_t length)
{
    struct mapping *mapping = *bucket_of(address);
    while (mapping && (mapping->address != address || mapping->length != length)) {
        mapping = mapping->next;
    }
    return mapping;
}

static bool is_full(void)
{
    pthread_mutex_lock(&lock);
    bool full = mapping_count >= MOST_MAPPINGS;
    pthread_mutex_unlock(&lock);
    return full;
}

static bool is_mapped(void *address, size_t length)
{
    pthread_mutex_lock(&lock);
    bool found = find_mapping(address, length) != NULL;
    pthread_mutex_unlock(&lock);
    return found;
}

static void keep_pages(struct mapping *mapping, void *address, size_t length)
{
    struct mapping **bucket = bucket_of(address);
    *mapping = (struct mapping){.address = address, .length = length, .mapped = true};
    guard_range(&mapping->guard, address, length);
    pthread_mutex_lock(&lock);
    mapping->next = *bucket;
    *bucket = mapping;
    mapping_count++;
    pthread_mutex_unlock(&lock);
}

/* Removes the mapping from its bucket and unmaps its pages. Call with the lock held. */
static void drop_pages(struct mapping *mapping)
{
    struct mapping **link = bucket_of(mapping->address);
    while (*link != mapping) {
        link = &(*link)->next;
    }
    *link = mapping->next;
    mapping_count--;
    mapping->mapped = false;
    release_range(&mapping->guard);
    munmap(mapping->address, mapping->length);
}

static void collected(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)data;
    struct mapping *mapping = hint;
    pthread_mutex_lock(&lock);
    if (mapping->mapped) {
        drop_pages(mapping);
    }
    pthread_mutex_unlock(&lock);
    free(mapping);
}

static bool stat_file(napi_env env, int fd, struct stat *status)
{
    if (fstat(fd, status) < 0) {
        throw_errno(env, errno, "fstat", NULL);
        return false;
    }
    if (!S_ISREG(status->st_mode)) {
        throw_errno(env, ENODEV, "mmap", "of a descriptor that is not a file");
        return false;
    }
    return true;
}

/*
 * fileStatus(fd, status): device and inode number, which are unique while the file is open or mapped, and
 * size. On the path of each DMA mapping, so it does not allocate.
 */
static napi_value file_status(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    struct stat status;
    int64_t *words;
    size_t word_count;
    int fd;
    if (!arguments(env, info, 2, values) || !get_int(env, values[0], "descriptor", &fd) ||
            !get_longs(env, values[1], "status", &words, &word_count)) {
        return NULL;
    }
    if (word_count < 3) {
        return throw_type(env, "fileStatus needs 3 words");
    }
    if (stat_file(env, fd, &status)) {
        words[0] = (int64_t)status.st_dev;
        words[1] = (int64_t)status.st_ino;
        words[2] = status.st_size;
    }
    return NULL;
}

/* Touching a page beyond the end of its file raises SIGBUS, so such a range is refused. */
static napi_value check_file(napi_env env, int fd, size_t offset, size_t length)
{
    struct stat status;
    char detail[160];
    if (!stat_file(env, fd, &status)) {
        return NULL;
    }
    if ((uint64_t)status.st_size < offset || (uint64_t)status.st_size - offset < length) {
        snprintf(detail, sizeof detail,
                "of %zu bytes at offset %zu, beyond the end of the file, which has %lld bytes", length,
                offset, (long long)status.st_size);
        return throw_errno(env, EINVAL, "mmap", detail);
    }
    return from_int(env, 0);
}

static napi_value map(napi_env env, napi_callback_info info)
{
    napi_value values[4];
    int fd;
    size_t offset, length;
    bool writable;
    if (!arguments(env, info, 4, values) || !get_int(env, values[0], "descriptor", &fd) ||
            !get_size(env, values[1], "offset", &offset) || !get_size(env, values[2], "length", &length) ||
            !get_bool(env, values[3], "writable", &writable) || !check_file(env, fd, offset, length)) {
        return NULL;
    }
    if (length > MAX_MAPPING) {
        return throw_errno(
                env, E2BIG, "mmap", "of more than 4 GiB, the longest ArrayBuffer; map it in pieces");
    }
    if (is_full()) {
        return throw_errno(
                env, ENOMEM, "mmap", "with 32768 ranges mapped already, which is the limit; unmap some");
    }
    /*
     * Without write access the pages are a private copy-on-write mapping. It follows the file as long as
     * nothing in this process stores into it. A stray store then harms neither the file nor this process; to
     * a read-only page, it would kill the process.
     */
    int kind = writable ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
    void *address = mmap(NULL, length, PROT_READ | PROT_WRITE, kind, fd, (off_t)offset);
    if (address == MAP_FAILED) {
        char detail[96];
        int error = errno;
        snprintf(detail, sizeof detail, "of %zu bytes at offset %zu", length, offset);
        return throw_errno(env, error, "mmap", detail);
    }
    struct mapping *mapping = calloc(1, sizeof *mapping);
    if (!mapping) {
        munmap(address, length);
        return throw_errno(env, ENOMEM, "mmap", NULL);
    }
    keep_pages(mapping, address, length);
    napi_value result;
    napi_status status = napi_create_external_arraybuffer(env, address, length, collected, mapping, &result);
    if (status == napi_no_external_buffers_allowed) {
        collected(env, address, mapping);
        return throw_errno(env, EPERM, "mmap", "into a Node that does not allow external memory");
    }
    /* Any other failure has already called `collected` and thrown. */
    return status == napi_ok ? result : NULL;
}

static napi_value unmap(napi_env env, napi_callback_info info)
{
    napi_value value;
    bool is_buffer = false;
    void *address;
    size_t length;
    if (!arguments(env, info, 1, &value)) {
        return NULL;
    }
    if (napi_is_arraybuffer(env, value, &is_buffer) != napi_ok || !is_buffer ||
            napi_get_arraybuffer_info(env, value, &address, &length) != napi_ok) {
        return throw_type(env, "unmap needs an ArrayBuffer that map() returned");
    }
    /* Detach first, so that no view can reach the pages when they are unmapped. */
    if (!is_mapped(address, length) || napi_detach_arraybuffer(env, value) != napi_ok) {
        return throw_type(env, "unmap needs an ArrayBuffer that map() returned and that is still mapped");
    }
    pthread_mutex_lock(&lock);
    /* Looked up again: V8 may call `collected` as early as on detaching. */
    struct mapping *mapping = find_mapping(address, length);
    if (mapping) {
        drop_pages(mapping);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static napi_value memfd(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    char name[200];
    size_t size;
    if (!arguments(env, info, 2, values) || !get_string(env, values[0], "name", name, sizeof name) ||
            !get_size(env, values[1], "sizeBytes", &size)) {
        return NULL;
    }
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return throw_errno(env, errno, "memfd_create", name);
    }
    /* Sealed, so that no peer it is passed to can truncate it under our mapping. */
    if (ftruncate(fd, (off_t)size) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int error = errno;
        close(fd);
        return throw_errno(env, error, "ftruncate", name);
    }
    return from_int(env, fd);
}

const struct entry memory_entries[] = {
        {"map", map},
        {"unmap", unmap},
        {"fileStatus", file_status},
        {"memfdCreate", memfd},
        {NULL, NULL},
};

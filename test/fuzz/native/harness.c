/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native part under a fuzzer: an input is a program of calls of its functions, with right and wrong
 * arguments, of what a peer may do meanwhile (truncating a file, closing its end), and of what V8 may do.
 * Afterwards all must be given back.
 *
 * Its sockets are in the working directory. Sanitizers find wrong accesses and leaks of memory; what they
 * cannot know is checked here.
 */
#include "node-api.h"
/* For the number of its mappings. */
#include "memory.c"
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

enum { MOST_DESCRIPTORS = 128, MOST_FDS = 48, MOST_BUFFERS = 24, MOST_POLLERS = 8, PAGE = 4096 };

static const uint8_t *input;
static size_t left;
static int fds[MOST_FDS];
static size_t fd_count;
static napi_value buffers[MOST_BUFFERS], pollers[MOST_POLLERS];
static size_t buffer_count, poller_count;
/* Of the last call. */
static bool thrown;

static void demand(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "harness: %s\n", what);
        abort();
    }
}

/* What the input says; 0 when it is over. */

static uint8_t byte(void)
{
    if (left == 0) {
        return 0;
    }
    left--;
    return *input++;
}

static unsigned below(unsigned limit)
{
    return byte() % limit;
}

static uint64_t many_bits(unsigned bytes)
{
    uint64_t bits = 0;
    while (bytes-- > 0) {
        bits = bits << 8 | byte();
    }
    return bits;
}

static double any_number(void)
{
    switch (below(10)) {
    case 0:
        return -1;
    case 1:
        return (double)many_bits(8);
    case 2:
        return -(double)many_bits(5);
    case 3:
        return 0.5;
    case 4:
        return __builtin_nan("");
    case 5:
        return (double)many_bits(4);
    case 6:
        return (double)many_bits(2);
    default:
        return byte();
    }
}

static napi_value any_value(void)
{
    switch (below(8)) {
    case 0:
        return new_value(UNDEFINED);
    case 1:
        return new_string("text");
    case 2:
        return new_typed_array(napi_uint8_array, byte());
    case 3:
        return new_typed_array(napi_int32_array, below(8));
    case 4:
        return new_value(FUNCTION);
    case 5:
        return new_value(OBJECT);
    case 6:
        return new_typed_array(napi_bigint64_array, below(4));
    default:
        return new_number(any_number());
    }
}

/* Right nearly always, so that calls get far. */
static napi_value usually(napi_value right)
{
    return below(48) == 47 ? any_value() : right;
}

static napi_value number(double right)
{
    return usually(new_number(below(24) == 23 ? any_number() : right));
}

static napi_value boolean(void)
{
    napi_value value = new_value(BOOLEAN);
    value->number = below(2);
    return usually(value);
}

/* Never a descriptor that is not of this program of calls. */
static napi_value descriptor(void)
{
    unsigned choice = byte();
    if (choice >= 250 || fd_count == 0) {
        static const double none[] = {-1, MOST_DESCRIPTORS - 1, 1 << 20, 2147483647.0, -2147483648.0, 0.5};
        double chosen = none[choice % 6];
        return chosen == 0.5 ? any_value() : new_number(chosen);
    }
    return new_number(fds[choice % fd_count]);
}

/* Calls. */

static napi_value call_on(napi_value self, const char *name, size_t count, napi_value *arguments)
{
    /* Sometimes with one argument less. */
    size_t given = count > 0 && below(64) == 63 ? count - 1 : count;
    napi_value result = call_native(native_function(name), self, given, arguments, &thrown);
    return thrown ? NULL : result;
}

#define call(name, ...)                                                                                      \
    call_on(NULL, name, sizeof((napi_value[]){__VA_ARGS__}) / sizeof(napi_value), (napi_value[]){__VA_ARGS__})

/* Beyond the room for them they are closed, and so the peer's end is. */
static void keep_fd(int fd)
{
    if (fd < 0) {
        return;
    }
    if (fd_count < MOST_FDS) {
        fds[fd_count++] = fd;
    } else {
        close(fd);
    }
}

static void keep_result(napi_value result)
{
    if (result && result->kind == NUMBER) {
        keep_fd((int)result->number);
    }
}

static void socket_pair(void)
{
    napi_value pair = call_on(NULL, "socketpair", 0, NULL);
    for (size_t i = 0; pair && i < 2; i++) {
        keep_fd((int)pair->elements[i]);
    }
}

static void send_bytes(void)
{
    size_t length = below(4) == 0 ? many_bits(2) : byte();
    napi_value bytes = new_typed_array(napi_uint8_array, length);
    memset(bytes->data, 0x5a, length);
    size_t start = length > 0 && below(2) ? byte() % length : 0;
    napi_value payload = below(2) ? new_typed_array(napi_uint8_array, byte()) : new_value(UNDEFINED);
    napi_value passed = new_value(UNDEFINED);
    if (below(2)) {
        size_t count = below(16) == 15 ? many_bits(1) : below(5);
        passed = new_typed_array(napi_int32_array, count);
        for (size_t i = 0; i < count; i++) {
            ((int32_t *)(void *)passed->data)[i] = fd_count > 0 ? fds[byte() % fd_count] : -1;
        }
    }
    napi_value taken = call("send", descriptor(), usually(bytes), number((double)start),
            number((double)length), usually(payload), usually(passed));
    if (taken) {
        demand(taken->number >= WOULD_BLOCK, "send has taken less than nothing");
    }
}

static void receive_bytes(void)
{
    size_t length = below(4) == 0 ? many_bits(2) : byte();
    size_t start = length > 0 && below(2) ? byte() % length : 0;
    size_t end = below(2) ? length : start + byte() % (length - start + 1);
    napi_value bytes = new_typed_array(napi_uint8_array, length);
    memset(bytes->data, 0xa5, length);
    size_t room = below(8) == 7 ? below(4) : 253;
    napi_value words = usually(new_typed_array(napi_int32_array, below(32) == 31 ? below(2) : 2 + room));
    napi_value spin = new_number(below(16) == 15 ? 20 : 0);
    napi_value from = number((double)start), to = number((double)end);
    napi_value got = call("receive", descriptor(), usually(bytes), from, to, words, spin);
    const int32_t *passed = (const int32_t *)(const void *)words->data;
    if (!got) {
        demand(words->length < 2 || words->type != napi_int32_array || passed[0] == 0,
                "a receive that failed has left descriptors");
        return;
    }
    demand(passed[0] >= 0 && (size_t)passed[0] + 2 <= words->length,
            "more descriptors than there is room for");
    for (int i = 0; i < passed[0]; i++) {
        demand(fcntl(passed[2 + i], F_GETFD) == FD_CLOEXEC,
                "a received descriptor is not open, or survives exec");
        keep_fd(passed[2 + i]);
    }
    int32_t first, limit;
    napi_get_value_int32(NULL, from, &first);
    napi_get_value_int32(NULL, to, &limit);
    const long count = got->number < 0 ? 0 : (long)got->number;
    demand(got->number >= WOULD_BLOCK && count <= limit - first, "more bytes than were wanted");
    for (long i = 0; i < (long)length; i++) {
        bool is_inside = i >= first && i < first + count;
        demand(is_inside || bytes->data[i] == 0xa5, "receive has written outside of its range");
    }
}

static void make_memory(void)
{
    static const double sizes[] = {0, 1, PAGE, 8 * PAGE, 100 * PAGE, 1099511627776.0};
    char name[300];
    size_t length = below(16) == 15 ? many_bits(1) + 40 : 4;
    memset(name, 'n', length);
    name[length] = '\0';
    keep_result(call("memfdCreate", usually(new_string(name)), number(sizes[below(6)])));
}

/* A file of a client, which it may truncate. */
static void make_file(void)
{
    int fd = memfd_create("file of a peer", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)below(32) * PAGE + (below(2) ? 0 : 100)) == 0) {
        keep_fd(fd);
    }
}

static void truncate_file(void)
{
    if (fd_count > 0) {
        int ignored = ftruncate(fds[byte() % fd_count], (off_t)below(32) * (below(2) ? PAGE : 97));
        (void)ignored;
    }
}

static void map_file(void)
{
    static const double lengths[] = {
            0, 1, 100, PAGE, 4 * PAGE, 32 * PAGE, 2147483648.0, 4294967296.0, 4294967297.0};
    if (buffer_count == MOST_BUFFERS) {
        return;
    }
    napi_value offset = number(below(2) ? 0 : (double)(below(16) * (below(8) == 7 ? 100 : PAGE)));
    napi_value length_value = number(lengths[below(9)]);
    next_external = below(16) == 15 ? (below(2) ? FAIL : NOT_ALLOWED) : ACCEPT;
    napi_value buffer = call("map", descriptor(), offset, length_value, boolean());
    next_external = ACCEPT;
    if (buffer) {
        demand(buffer->length == (size_t)length_value->number,
                "a mapping has another length than was asked for");
        buffers[buffer_count++] = buffer;
    }
}

static napi_value any_buffer(void)
{
    return buffer_count > 0 ? buffers[byte() % buffer_count] : new_value(ARRAY_BUFFER);
}

static void unmap_buffer(void)
{
    napi_value buffer = any_buffer();
    bool was_mapped = buffer->external && !buffer->detached;
    detaching_finalises = below(4) == 3;
    napi_value given = usually(buffer);
    call("unmap", given);
    detaching_finalises = false;
    demand(!was_mapped || given != buffer || buffer->detached || thrown,
            "unmapping has not detached the buffer");
}

/* As JavaScript reads and writes: whatever has become of the file. */
static void touch(void)
{
    napi_value buffer = any_buffer();
    if (!buffer->external || buffer->detached || buffer->length == 0) {
        return;
    }
    volatile uint8_t *at = buffer->data + (below(2) ? many_bits(3) * 97 : byte()) % buffer->length;
    if (below(2)) {
        *at = (uint8_t)(*at + 1);
    } else {
        (void)*at;
    }
}

static void collect_buffer(void)
{
    if (buffer_count > 0) {
        size_t index = byte() % buffer_count;
        collect_value(buffers[index]);
        buffers[index] = buffers[--buffer_count];
    }
}

static void close_fd_of_ours(void)
{
    if (fd_count == 0) {
        return;
    }
    size_t index = byte() % fd_count;
    napi_value fd = new_number(fds[index]);
    call_native(native_function("close"), NULL, 1, &fd, &thrown);
    demand(!thrown, "a descriptor that is open cannot be closed");
    fds[index] = fds[--fd_count];
}

static void named_socket(void)
{
    static const char *const paths[] = {"a", "b", "none/x", ""};
    char longest[200];
    memset(longest, 'l', sizeof longest);
    longest[100 + below(16)] = '\0';
    longest[sizeof longest - 1] = '\0';
    unsigned choice = below(5);
    napi_value path = new_string(choice == 4 ? longest : paths[choice]);
    if (below(16) == 15) {
        path = new_string("a\0b");
        path->length = 3;
        free(path->text);
        path->text = memcpy(calloc(1, 4), "a\0b", 4);
    }
    keep_result(below(2) ? call("listen", usually(path), number(below(4))) : call("connect", usually(path)));
}

static napi_value any_poller(void)
{
    return poller_count > 0 ? pollers[byte() % poller_count] : new_value(OBJECT);
}

static void make_poller(void)
{
    napi_value self = new_value(OBJECT);
    if (poller_count < MOST_POLLERS &&
            call_on(self, "Poller", 2, (napi_value[]){descriptor(), usually(new_value(FUNCTION))})) {
        pollers[poller_count++] = self;
    }
}

static void poller_method(napi_value self)
{
    static const char *const names[] = {
            "Poller.start", "Poller.stop", "Poller.ref", "Poller.unref", "Poller.close"};
    napi_value events = number(below(4));
    call_on(self, names[below(5)], 1, &events);
}

/* A poller that is closed has no references, so it may be collected. */
static void close_and_collect(void)
{
    if (poller_count == 0) {
        return;
    }
    size_t index = byte() % poller_count;
    napi_value self = pollers[index];
    call_on(self, "Poller.close", 0, NULL);
    if (below(2)) {
        turn_loop();
    }
    collect_value(self);
    self->native = NULL;
    pollers[index] = pollers[--poller_count];
}

static bool called_back(napi_value self, int events)
{
    demand(events >= 0 && events <= (EVENT_READABLE | EVENT_WRITABLE), "events that do not exist");
    if (below(2)) {
        poller_method(self);
    }
    return below(8) == 7;
}

static void on_descriptor(void)
{
    static const char *const names[] = {
            "isEventfd", "eventfdWrite", "eventfdRead", "timerfdRead", "duplicate", "accept", "close"};
    unsigned which = below(6);
    napi_value result = call(names[which], descriptor());
    if (which >= 4) {
        keep_result(result);
    }
}

static void step(void)
{
    switch (below(26)) {
    case 0:
        return socket_pair();
    case 1:
    case 2:
    case 3:
        return send_bytes();
    case 4:
    case 5:
    case 6:
        return receive_bytes();
    case 7:
        return make_memory();
    case 8:
        return make_file();
    case 9:
        return truncate_file();
    case 10:
    case 11:
        return map_file();
    case 12:
        return unmap_buffer();
    case 13:
    case 14:
        return touch();
    case 15:
        return collect_buffer();
    case 16:
        return keep_result(below(2) ? call_on(NULL, "eventfd", 0, NULL) : call_on(NULL, "timerfd", 0, NULL));
    case 17:
        return on_descriptor();
    case 18:
        call("timerfdSet", descriptor(), below(2) ? number(1) : new_number(any_number()));
        return;
    case 19:
        below(2) ? call("flock", descriptor(), boolean())
                 : call("nextExtent", descriptor(), number(byte() * PAGE));
        return;
    case 20:
        call("fileStatus", descriptor(), usually(new_typed_array(napi_bigint64_array, 2 + below(3))));
        return;
    case 21:
        return close_fd_of_ours();
    case 22:
        return named_socket();
    case 23:
        return below(2) ? make_poller() : poller_method(any_poller());
    case 24:
        return below(4) ? turn_loop() : close_and_collect();
    default:
        return poller_method(any_poller());
    }
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < MOST_DESCRIPTORS; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void give_all_back(void)
{
    end_environment();
    for (size_t i = 0; i < poller_count; i++) {
        collect_value(pollers[i]);
    }
    for (size_t i = 0; i < buffer_count; i++) {
        collect_value(buffers[i]);
    }
    for (size_t i = 0; i < fd_count; i++) {
        close(fds[i]);
    }
    unlink("a");
    unlink("b");
    fd_count = buffer_count = poller_count = 0;
    free_values();
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    /* As Node does. */
    signal(SIGPIPE, SIG_IGN);
    /* So that a program of calls reaches the limit, and a leak soon does. */
    const struct rlimit limit = {MOST_DESCRIPTORS, MOST_DESCRIPTORS};
    setrlimit(RLIMIT_NOFILE, &limit);
    define_natives();
    free_values();
    on_callback = called_back;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    left = size;
    int before = open_descriptors();
    while (left > 0) {
        step();
    }
    give_all_back();
    demand(mapping_count == 0, "a mapping is left");
    demand(open_descriptors() == before, "a descriptor is left open");
    return 0;
}

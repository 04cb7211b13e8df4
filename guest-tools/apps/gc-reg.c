/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes registers of any device that is bound to a supported driver: in a PCI function's BAR by
 * its number, or in a platform device's window by its name. It does not open the card's driver, so nothing is
 * reset.
 */
#define _GNU_SOURCE
#include "app.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct gc_window_place place;
static unsigned width_bits = 32;

/* Names of the registers outside blocks. All others are accessed by offset. */
static const struct {
    const char *name;
    size_t offset;
    unsigned bits;
} NAMES[] = {
        {"ID", GHOSTCARD_REF_ID, 32},
        {"VERSION", GHOSTCARD_REF_VERSION, 32},
        {"CAPABILITIES", GHOSTCARD_REF_CAPABILITIES, 32},
        {"SCRATCH", GHOSTCARD_REF_SCRATCH, 32},
        {"CONTROL", GHOSTCARD_REF_CONTROL, 32},
        {"MEMORY_SIZE", GHOSTCARD_REF_MEMORY_SIZE, 64},
        {"SCRATCH64", GHOSTCARD_REF_SCRATCH64, 64},
        {"UPTIME_NS", GHOSTCARD_REF_UPTIME_NS, 64},
        {"MAX_LENGTH", GHOSTCARD_REF_MAX_LENGTH, 32},
        {"IRQ_STATUS", GHOSTCARD_REF_IRQ_STATUS, 32},
        {"IRQ_ENABLE", GHOSTCARD_REF_IRQ_ENABLE, 32},
        {"IRQ_TRIGGER", GHOSTCARD_REF_IRQ_TRIGGER, 32},
        {"IRQ_COUNT", GHOSTCARD_REF_IRQ_COUNT, 32},
        {"SYNC_STATUS", GHOSTCARD_REF_SYNC_STATUS(0), 32},
        {"SYNC_NEVER_SYNCED", GHOSTCARD_REF_SYNC_NEVER_SYNCED(0), 32},
        {"SYNC_STALE", GHOSTCARD_REF_SYNC_STALE(0), 32},
        {"SYNC_AWAITING_CPU", GHOSTCARD_REF_SYNC_AWAITING_CPU(0), 32},
        {"SYNC_OVERWRITTEN", GHOSTCARD_REF_SYNC_OVERWRITTEN(0), 32},
        {"SYNC_BAD_READ_ADDRESS", GHOSTCARD_REF_SYNC_BAD_READ_ADDRESS(0), 64},
};

struct access {
    size_t offset;
    unsigned bits;
    bool write;
    uint64_t value;
};

static bool parse_number(const char *text, size_t length, uint64_t *number)
{
    char copy[40], *end;
    if (length == 0 || length >= sizeof(copy))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    errno = 0;
    *number = strtoull(copy, &end, 0);
    return *end == '\0' && errno == 0;
}

/* Parses "0x0c" or "SCRATCH", each optionally with "=VALUE". */
static bool parse_access(const char *text, struct access *access)
{
    size_t length = strcspn(text, "=");
    uint64_t offset;
    *access = (struct access){.bits = width_bits, .write = text[length] == '='};
    if (access->write && !parse_number(text + length + 1, strlen(text + length + 1), &access->value))
        return false;
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (strlen(NAMES[i].name) == length && strncasecmp(text, NAMES[i].name, length) == 0) {
            access->offset = NAMES[i].offset;
            access->bits = NAMES[i].bits;
            return true;
        }
    }
    if (!parse_number(text, length, &offset))
        return false;
    access->offset = (size_t)offset;
    return true;
}

static uint64_t read_bits(const struct gc_window *window, size_t offset, unsigned bits)
{
    switch (bits) {
    case 8:
        return gc_read8(window, offset);
    case 16:
        return gc_read16(window, offset);
    case 32:
        return gc_read32(window, offset);
    default:
        return gc_read64(window, offset);
    }
}

static void write_bits(const struct gc_window *window, size_t offset, unsigned bits, uint64_t value)
{
    switch (bits) {
    case 8:
        gc_write8(window, offset, (uint8_t)value);
        break;
    case 16:
        gc_write16(window, offset, (uint16_t)value);
        break;
    case 32:
        gc_write32(window, offset, (uint32_t)value);
        break;
    default:
        gc_write64(window, offset, value);
    }
}

/* The name of the window in messages. */
static const char *window_name(const struct gc_window *window, char name[64])
{
    if (gc_is_pci(window->device))
        snprintf(name, 64, "BAR %u", window->index);
    else
        snprintf(name, 64, "the window '%.40s'", place.name);
    return name;
}

static bool run_one(struct app *app, const struct gc_window *window, const char *text)
{
    struct access access;
    char message[200], name[64];
    if (!parse_access(text, &access)) {
        snprintf(message, sizeof(message),
                "invalid argument '%.60s': use OFFSET or NAME, optionally with =VALUE", text);
        return app_give_up(app, message);
    }
    unsigned size = access.bits / 8;
    if (access.offset % size != 0 || access.offset >= window->size || size > window->size - access.offset) {
        snprintf(message, sizeof(message),
                "'%.60s': %u bytes at offset 0x%zx must be aligned and within the %zu of %s", text, size,
                access.offset, window->size, window_name(window, name));
        return app_give_up(app, message);
    }
    if (access.write)
        write_bits(window, access.offset, access.bits, access.value);
    else
        access.value = read_bits(window, access.offset, access.bits);
    app_say(app, "0x%04zx %s 0x%0*" PRIx64 "\n", access.offset, access.write ? "<-" : "=", (int)(2 * size),
            access.value);
    char member[80];
    snprintf(member, sizeof(member), "%.40s", text);
    char value[32];
    snprintf(value, sizeof(value), "0x%0*" PRIx64, (int)(2 * size), access.value);
    app_json_text(app, member, value);
    app->checks++;
    return true;
}

static bool take_option(const char *name, const char *value, bool *takes_value)
{
    uint64_t number;
    *takes_value =
            strcmp(name, "--bar") == 0 || strcmp(name, "--window") == 0 || strcmp(name, "--width") == 0;
    if (strcmp(name, "--bar") == 0)
        return !value || (parse_number(value, strlen(value), &number) && (place.bar = (unsigned)number) < 6);
    if (strcmp(name, "--window") == 0) {
        place.name = value;
        return true;
    }
    if (strcmp(name, "--width") != 0)
        return false;
    if (value && !(parse_number(value, strlen(value), &number) &&
                         (number == 8 || number == 16 || number == 32 || number == 64)))
        return false;
    width_bits = value ? (unsigned)number : width_bits;
    return true;
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {"gc-reg",
            "reads and writes registers by name or offset, in the order given",
            "[--bar 0-5 | --window NAME] [--width 8|16|32|64] REGISTER[=VALUE]…", take_option};
    struct app app;
    struct gc_window window;
    struct gc_error error;
    place = REFCARD_REGISTERS;
    app_begin(&app, &USAGE, argc, argv);
    if (app.argument_count == 0) {
        app_give_up(&app, "no register given; for example: gc-reg ID SCRATCH=0x1234 SCRATCH 0x10c");
        return app_end(&app);
    }
    struct gc_device *device = app_open_device(&app);
    if (device && !gc_window_open(device, &place, &window, &error))
        app_give_up(&app, error.message);
    for (int i = 0; i < app.argument_count && !app.cannot_go_on; i++)
        run_one(&app, &window, app.arguments[i]);
    gc_close(device);
    return app_end(&app);
}

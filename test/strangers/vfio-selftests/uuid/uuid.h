/* In place of libuuid's, which hosts need not have: the selftests parse only tokens of virtual functions. */
#pragma once

typedef unsigned char uuid_t[16];

static inline int uuid_parse(const char *text, uuid_t uuid)
{
    (void)text;
    (void)uuid;
    return -1;
}

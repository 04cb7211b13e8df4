/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs in files, one after the other, for compilers without libFuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int count, char **arguments)
{
    static uint8_t data[1 << 16];
    LLVMFuzzerInitialize(&count, &arguments);
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(arguments[i], "rb");
        if (!file) {
            perror(arguments[i]);
            return 2;
        }
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        fprintf(stderr, "%s\n", arguments[i]);
        /* Exactly as long as it is, so that a sanitizer sees what goes beyond. */
        uint8_t *input = malloc(size + 1);
        memcpy(input, data, size);
        LLVMFuzzerTestOneInput(input, size);
        free(input);
    }
    return 0;
}

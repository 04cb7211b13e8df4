/* SPDX-License-Identifier: Apache-2.0 */
/* From here on this process, and what it executes, makes no device nodes or set-user-id files. -1 and errno:
 * it may. */
int refuse_special_files(void);

/** Builds the fuzzer of the native part, and says what its sanitizers do. */
import { join } from 'node:path';
import { runTool } from '../../../qemu/provision/basis/tools';

/**
 * Clang's runtime has no symboliser of its own, and looks for one only when it is told. What an input frees is kept for
 * the length of an input: more only takes time, and hides whether memory grows.
 */
export const SANITIZERS = {
  ASAN_OPTIONS: 'external_symbolizer_path=/usr/bin/addr2line:handle_abort=1:quarantine_size_mb=16',
  UBSAN_OPTIONS: 'print_stacktrace=1',
};

/** Returns the path of the program. `replay` runs the inputs that it is given, and needs no libFuzzer. */
export async function buildNativeFuzzer(
  program: 'fuzzer' | 'replay',
  compiler: { readonly command?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const assignments = compiler.command === undefined ? [] : [`CC=${compiler.command}`];
  await runTool('make', ['-s', '-j2', '-C', __dirname, ...assignments, program], {
    attempted: `building the ${program} of the native part`,
    cure: 'make needs a C compiler with sanitizers: Debian has them in build-essential',
    env: { ...compiler.env },
  });
  return join(__dirname, 'build', program);
}

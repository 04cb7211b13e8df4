/**
 * Recognises a panic of the guest's kernel in the console output.
 *
 * Sources: Linux kernel/panic.c, lib/bug.c, kernel/hung_task.c, arch/x86/kernel/dumpstack.c, arch/x86/mm/fault.c,
 * arch/arm64/mm/fault.c and traps.c.
 */

/**
 * A line of the kernel, after its time stamp and an optional caller: `[    1.234567][   T12] `. It may follow the
 * unfinished line of a program.
 */
const KERNEL_LINE = /\[\s*\d+\.\d+\](?:\[\s*[TC]\d+\])?\s(.*)$/;

/** Starts of lines with which the kernel reports a fatal error. Lockups are not included: a busy host causes them. */
const FATAL: readonly RegExp[] = [
  /^Kernel panic - not syncing: /,
  /^BUG: (?!workqueue lockup)/,
  /^kernel BUG at /,
  /^(?:Oops|general protection fault|invalid opcode|divide error|stack segment)[:,] /,
  /^(?:Internal error: |Unable to handle kernel )/,
  /^INFO: task .+ blocked for more than \d+ seconds/,
];

export interface Panic {
  /** The first fatal line, without its time stamp. */
  readonly reason: string;
  /** The console from that line on. */
  readonly quote: readonly string[];
}

/** The text of a line with which the kernel reports a fatal error, else undefined. */
export function fatalReason(line: string): string | undefined {
  const said = KERNEL_LINE.exec(line)?.[1];
  return said !== undefined && FATAL.some((pattern) => pattern.test(said)) ? said.trimEnd() : undefined;
}

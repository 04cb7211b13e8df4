/**
 * Recognises the death of a guest kernel by what it writes to its console.
 *
 * Sources: Linux kernel/panic.c, lib/bug.c, kernel/hung_task.c, arch/x86/kernel/dumpstack.c, arch/x86/mm/fault.c,
 * arch/arm64/mm/fault.c and traps.c.
 */

/**
 * What the kernel says, behind its time stamp and perhaps its caller: `[    1.234567][   T12] `. A program that has not
 * ended its line on the console may have begun it.
 */
const KERNEL_LINE = /\[\s*\d+\.\d+\](?:\[\s*[TC]\d+\])?\s(.*)$/;

/** How the kernel begins to say that something is broken in it. Lockups are left out: a busy host makes them. */
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

/** What the kernel says in a line that tells of its death, otherwise undefined. */
export function fatalReason(line: string): string | undefined {
  const said = KERNEL_LINE.exec(line)?.[1];
  return said !== undefined && FATAL.some((pattern) => pattern.test(said)) ? said.trimEnd() : undefined;
}

import { describe, expect, it } from 'vitest';
import { fatalReason } from './panic';

describe('a panic of the guest kernel', () => {
  it.each([
    '[    2.534073] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100',
    '[   12.000001] BUG: kernel NULL pointer dereference, address: 0000000000000008',
    '[   12.000001] BUG: scheduling while atomic: sh/120/0x00000002',
    '[   12.000001] Oops: 0002 [#1] PREEMPT SMP NOPTI',
    '[   12.000001] general protection fault, probably for non-canonical address 0xdead: 0000 [#1]',
    '[   12.000001] kernel BUG at drivers/uio/uio.c:100!',
    '[  242.000001] INFO: task loopback:77 blocked for more than 120 seconds.',
    '[   12.000001][  T120] Unable to handle kernel paging request at virtual address dead',
    '[   12.000001] Internal error: Oops: 96000004 [#1] SMP',
  ])('is recognised by the line %s', (line) => {
    expect(fatalReason(line)).toBe(line.slice(line.lastIndexOf('] ', 22) + 2));
  });

  it('is recognised after the unfinished line of a program', () => {
    const line = 'login: [    2.534073] Kernel panic - not syncing: Fatal exception';
    expect(fatalReason(line)).toBe('Kernel panic - not syncing: Fatal exception');
  });

  it.each([
    ['a program that writes the same words', 'Kernel panic - not syncing: just kidding'],
    ['a program that crashed', '[   12.000001] traps: app[99] general protection fault ip:401000 sp:7ffc error:0'],
    ['a soft lockup, which a busy host can cause', '[   12.000001] watchdog: BUG: soft lockup - CPU#0 stuck for 26s!'],
    [
      'a work queue lockup, which a busy host can cause',
      '[   12.000001] BUG: workqueue lockup - pool cpus=0 node=0 stuck for 31s!',
    ],
    ['a warning', '[   12.000001] WARNING: CPU: 0 PID: 1 at kernel/foo.c:1'],
    ['a boot message', '[    0.000000] Linux version 6.1.0'],
  ])('is not recognised in %s', (_, line) => {
    expect(fatalReason(line)).toBeUndefined();
  });
});

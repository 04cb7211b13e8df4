import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type QmpWait } from '../qmp';
import { GuestBootError, GuestClosedError, GuestPanicError, QemuExitedError } from './errors';
import { type Guest } from './guest';
import { launchGuest } from './launch';
import { type LaunchOptions } from './options';
import { fakeQemu, shellQemu, software } from '../../test/support/launch/fixtures';
import { isRunning, until } from '../../test/support/launch/processes';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guest-'));
  vi.stubEnv('TMPDIR', folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** The existing run folders. */
function runFolders(): string[] {
  const base = join(folder, `ghostcard-${process.getuid!()}`);
  return existsSync(base) ? readdirSync(base) : [];
}

async function failure(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => expect.fail('this should have failed'),
    (error: Error) => error,
  );
}

async function launchFailure(options: LaunchOptions): Promise<Error> {
  const error = await failure(launchGuest(options));
  expect(runFolders()).toEqual([]);
  return error;
}

function boots(options: Partial<LaunchOptions> = {}): Promise<Guest> {
  const cards = [
    { name: 'first', socketPath: '/first.sock' },
    { name: 'second', socketPath: '/second.sock' },
  ];
  return launchGuest({ provisioned: fakeQemu('boots'), cards, hostRoot: false, ...options });
}

async function expectGone(guest: Guest): Promise<void> {
  await until('QEMU is gone', () => !isRunning(guest.pid));
  expect(runFolders()).toEqual([]);
}

describe('a launch that fails', () => {
  it('shows the standard error of a QEMU that exits at once', async () => {
    const provisioned = await shellQemu(folder, 'echo "qemu: unknown machine q35" >&2; exit 3');
    const error = await launchFailure({ provisioned });
    expect(error).toBeInstanceOf(QemuExitedError);
    expect(error.message).toBe(
      [
        'QEMU exited with code 3 while QEMU was starting.',
        "QEMU's standard error:",
        '  qemu: unknown machine q35',
        "The guest's console: (nothing)",
      ].join('\n'),
    );
  });

  it('names the QEMU that could not be executed', async () => {
    const error = await launchFailure({ provisioned: software('/no/such/qemu') });
    expect(error.message).toContain('guard: cannot execute /no/such/qemu: No such file or directory');
  });

  // These limits must leave a busy machine enough time to start the process that the test then waits for.
  it('reports that QEMU did not connect, and kills it', async () => {
    const pidFile = join(folder, 'pid');
    const provisioned = await shellQemu(folder, `echo $$ >${pidFile}; exec sleep 1000`);
    const error = await launchFailure({ provisioned, bootTimeoutMs: 1500 });
    expect(error).toBeInstanceOf(GuestBootError);
    expect(error.message).toMatch(
      /^The guest did not come up within 1500 ms\. It was still waiting for QEMU to connect to its QMP socket\.\n/,
    );
    const pid = Number(readFileSync(pidFile, 'utf8'));
    await until('QEMU is gone', () => !isRunning(pid));
  });

  it('reports that the agent did not answer, and shows the last console output', async () => {
    const error = await launchFailure({ provisioned: fakeQemu('never-says-hello'), bootTimeoutMs: 3000 });
    expect(error.message).toMatch(
      /^The guest did not come up within 3000 ms\. It was still waiting for the hello of the guest's agent\.\n/,
    );
    expect(error.message).toContain('  [    1.000000] Run /init as init process');
  });

  it('quotes the panic of a guest that panics while it boots', async () => {
    const error = await launchFailure({ provisioned: fakeQemu('panics') });
    expect(error).toBeInstanceOf(GuestPanicError);
    expect(error.message).toBe(
      [
        "The guest's kernel panicked while the guest was booting: " +
          'BUG: kernel NULL pointer dereference, address: 0000000000000008',
        "QEMU's standard error: (nothing)",
        "The guest's console:",
        '  [    1.500000] BUG: kernel NULL pointer dereference, address: 0000000000000008',
        '  [    1.500001] Oops: 0000 [#1] PREEMPT SMP NOPTI',
        '  [    1.500002]  crash_here+0x12/0x20',
        '  [    1.500003] Kernel panic - not syncing: Fatal exception',
      ].join('\n'),
    );
  });

  it('does not wait for a kernel that hangs in its panic', async () => {
    expect(await launchFailure({ provisioned: fakeQemu('panics-and-hangs') })).toBeInstanceOf(GuestPanicError);
  });

  it('reports that the guest has powered off', async () => {
    const error = await launchFailure({ provisioned: fakeQemu('powers-off') });
    expect(error.message).toMatch(
      /^QEMU exited with code 0 while the guest was booting \(shutdown reason: guest-shutdown\)\.\n/,
    );
  });

  it.each([
    ['starting-qemu', 'never-says-hello'],
    ['booting', 'never-says-hello'],
    ['agent-ready', 'boots'],
  ])('ends at once with the reason when it is aborted in the phase %s', async (when, script) => {
    const abort = new AbortController();
    const onProgress = ({ phase }: { phase: string }) => {
      if (phase === when) abort.abort(new Error('Ctrl-C'));
    };
    const error = await launchFailure({ provisioned: fakeQemu(script), signal: abort.signal, onProgress });
    expect(error.message).toBe('Ctrl-C');
  });

  it('does not begin when it was aborted before', async () => {
    const signal = AbortSignal.abort(new Error('Ctrl-C'));
    expect((await launchFailure({ provisioned: fakeQemu('boots'), signal })).message).toBe('Ctrl-C');
  });

  it('keeps the logs of a guest that did not come up in time', async () => {
    const artifactsDir = join(folder, 'artifacts');
    const options = { bootTimeoutMs: 1500, artifactsDir, artifacts: 'on-failure' } as const;
    await launchFailure({ provisioned: fakeQemu('never-says-hello'), ...options });
    expect(existsSync(join(artifactsDir, 'console.log'))).toBe(true);
  });

  it('keeps the logs in the given folder, and the error names it', async () => {
    const artifactsDir = join(folder, 'artifacts');
    const error = await launchFailure({ provisioned: fakeQemu('panics'), artifactsDir, artifacts: 'on-failure' });
    expect(error.message).toContain(`\nLogs: ${artifactsDir}`);
    expect(readdirSync(artifactsDir).sort()).toEqual(['console.log', 'qemu-command-line.txt', 'qemu-stderr.log']);
    expect(readFileSync(join(artifactsDir, 'console.log'), 'utf8')).toContain('Kernel panic - not syncing');
    expect(readFileSync(join(artifactsDir, 'qemu-command-line.txt'), 'utf8')).toContain(' -kernel /boot/vmlinuz ');
  });
});

describe('a guest', () => {
  it('reports its phases and its console, and leaves nothing behind when it is closed, even twice', async () => {
    const phases: string[] = [];
    const lines: string[] = [];
    const guest = await boots({
      onProgress: ({ phase }) => phases.push(phase),
      onConsole: (line) => lines.push(line),
    });
    expect(phases).toEqual(['starting-qemu', 'booting', 'agent-ready']);
    await Promise.all([guest.close(), guest.close()]);
    expect(lines).toEqual(['[    0.000000] Linux version 6.1', '[    1.000000] Run /init as init process']);
    expect(guest.consoleTail(1)).toEqual(lines.slice(-1));
    await expectGone(guest);
  });

  it("does not remove the caller's run folder", async () => {
    const runDir = join(folder, 'mine');
    await mkdir(runDir);
    await (await boots({ runDir })).close();
    expect(readdirSync(runDir).sort()).toEqual(['console.log', 'empty', 'qemu-command-line.txt', 'qemu-stderr.log']);
  });

  it('keeps the logs after a normal end only if they are always kept', async () => {
    const artifactsDir = join(folder, 'artifacts');
    await (await boots({ artifactsDir, artifacts: 'on-failure' })).close();
    expect(existsSync(artifactsDir)).toBe(false);
    await (await boots({ artifactsDir })).close();
    expect(existsSync(artifactsDir)).toBe(true);
  });

  it('finds a card behind its root port', async () => {
    await using guest = await boots();
    await expect(guest.pciAddressOf('first')).resolves.toBe('0000:01:00.0');
  });

  it('reports that there is no card behind a root port', async () => {
    await using guest = await boots();
    await expect(guest.pciAddressOf('second')).rejects.toThrow(
      "The guest does not see the card 'second' behind its root port: no function behind 0000:00:09.0 after 10 s",
    );
  });

  it('names its cards when it has no card of the given name', async () => {
    await using guest = await boots();
    await expect(guest.bind('third', 'vfio-pci')).rejects.toThrow(
      "This guest has no card 'third'. Its cards: first, second.",
    );
  });

  it('extends its time limits for a card that is being debugged, also for plugging it in', async () => {
    await using guest = await boots({ cards: [] });
    const execute = vi.spyOn(guest.qmp, 'execute');
    const start = vi.spyOn(guest.channel, 'start');
    const aDayMs = 86_400_000;
    await guest.plug({ name: 'slow', socketPath: '/slow.sock', answerTimeoutMs: aDayMs });
    await guest.bind('slow', 'uio_pci_generic');
    const limits = [...execute.mock.calls, ...start.mock.calls].map((call) => (call.at(-1) as QmpWait).timeoutMs);
    expect(limits).toHaveLength(3);
    expect(Math.min(...limits.map((limit) => limit ?? 0))).toBeGreaterThan(aDayMs);
  });

  it('binds a card to a driver and returns its device node', async () => {
    await using guest = await boots();
    await expect(guest.bind('first', 'uio_pci_generic')).resolves.toEqual({
      pciAddress: '0000:01:00.0',
      node: '/dev/uio0',
    });
  });

  it('reports why a card could not be bound', async () => {
    await using guest = await boots();
    await expect(guest.bind('first', 'nothing')).rejects.toThrow(
      "Cannot bind the card 'first' (0000:01:00.0) to nothing: no driver module nothing",
    );
  });
});

describe('when the guest ends while a command runs', () => {
  async function endOf(command: string, guest: Guest): Promise<Error> {
    const hanging = failure(guest.run(['hang']));
    const ended = await failure(guest.run([command]));
    expect(await hanging).toBe(ended);
    expect(await failure(guest.run(['ls', '/']))).toBe(ended);
    await guest.close();
    await expectGone(guest);
    return ended;
  }

  it('by a kernel panic, everything pending rejects with the panic', async () => {
    const error = await endOf('panic', await boots());
    expect(error).toBeInstanceOf(GuestPanicError);
    expect(error.message).toMatch(/^The guest's kernel panicked while the guest was running: BUG: kernel NULL pointer/);
  });

  it('by a crash of QEMU, everything pending rejects with the signal', async () => {
    const error = await endOf('crash', await boots());
    expect(error).toBeInstanceOf(QemuExitedError);
    expect(error).toMatchObject({ signal: 'SIGSEGV', exitCode: undefined });
    expect(error.message).toMatch(/^QEMU was killed by SIGSEGV while the guest was running\.\n/);
  });

  it('by powering off, everything pending rejects with that', async () => {
    const error = await endOf('poweroff', await boots());
    expect(error.message).toMatch(
      /^QEMU exited with code 0 while the guest was running \(shutdown reason: guest-shutdown\)/,
    );
  });

  it('by close, the command rejects and QEMU exits', async () => {
    const guest = await boots();
    const hanging = failure(guest.run(['hang']));
    await guest.close();
    expect(await hanging).toBeInstanceOf(GuestClosedError);
    await expectGone(guest);
  });

  it('by an abort, the command rejects with the reason and nothing is left behind, without a close', async () => {
    const abort = new AbortController();
    const guest = await boots({ signal: abort.signal });
    const hanging = failure(guest.run(['hang']));
    abort.abort(new Error('Ctrl-C'));
    expect((await hanging).message).toBe('Ctrl-C');
    await until('the run folder is gone', () => runFolders().length === 0);
    await expectGone(guest);
  });
});

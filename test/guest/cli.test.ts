/** The command line as scripts use it: exit codes, streams, JSON. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { BODY_LINE, writeCardFile } from '../support/card-file';
import { onTerminal, type TerminalStep } from '../support/on-terminal';

const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');

/** With a folder of its own for temporary files, to see what is left there. */
const environment = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  GHOSTCARD_CACHE: inject('provisioned').amd64.cacheDir,
  TMPDIR: folder,
  ...more,
});

function ghostcard(
  args: readonly string[],
  { input = '', env = {} }: { input?: string; env?: NodeJS.ProcessEnv } = {},
) {
  const options = { input, env: environment(env), cwd: folder, encoding: 'utf8', timeout: 90_000 } as const;
  return spawnSync(process.execPath, [cli, ...args], options);
}

/** Sockets, logs and folders of runs. */
const leftovers = (): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('run-'));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gc-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const cardFile = (name: string, body: string): string => writeCardFile(join(folder, name), body);
const withCard = (file: string): string[] => ['--card', file, '--driver', 'uio_pci_generic'];

describe('ghostcard run', () => {
  it("ends with the command's exit code, keeps its streams separate and passes standard input on", () => {
    const { status, stdout, stderr } = ghostcard(['run', '--', 'sh', '-c', 'cat; echo trouble >&2; exit 7'], {
      input: 'hello\n',
    });
    expect(status).toBe(7);
    expect(stdout).toBe('hello\n');
    expect(stderr).toContain('trouble\n');
  });

  it('prints output at once, and passes on what is typed in response', async () => {
    const command = ['sh', '-c', 'echo ready; read line; echo got $line'];
    const running = spawn(process.execPath, [cli, 'run', '--quiet', '--', ...command], {
      env: environment(),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(running, 'exit');
    const lines: string[] = [];
    for await (const line of createInterface(running.stdout)) {
      lines.push(line);
      if (line === 'ready') running.stdin.write('an answer\n');
    }
    expect(lines).toEqual(['ready', 'got an answer']);
    expect(await ended).toEqual([0, null]);
  });

  it('gives the guest its memory, processors, huge pages and kernel arguments', () => {
    const size = ['--memory', '300', '--cpus', '2', '--hugepages', '7', '--append', 'one=1 two'];
    const script = 'nproc; grep -E "MemTotal|HugePages_Total" /proc/meminfo; cat /proc/cmdline';
    const { stdout } = ghostcard(['run', '--quiet', '--cold', ...size, '--', 'sh', '-c', script]);
    const [processors, memory, pages, argumentsLine] = stdout.split('\n');
    expect([processors, pages?.split(/\s+/)]).toEqual(['2', ['HugePages_Total:', '7']]);
    expect(argumentsLine).toMatch(/ one=1 two\b/);
    const kib = Number(/\d+/.exec(memory ?? ''));
    expect([kib > 200 * 1024, kib < 300 * 1024]).toEqual([true, true]);
  });

  it('ends with 128 + n when a signal ended the command', () => {
    expect(ghostcard(['run', '--quiet', '--', 'sh', '-c', 'kill -TERM $$']).status).toBe(128 + 15);
  });

  it('ends with 124 when the time limit was reached', () => {
    const { status, stderr } = ghostcard(['run', '--quiet', '--timeout', '1', '--', 'sleep', '1000']);
    expect(status).toBe(124);
    expect(stderr).toMatch(
      /^ghostcard: the command was ended after 1 s \(--timeout\); its processes were then: sleep \(process \d+, state S\) at /,
    );
  });

  it('ends with 123 when the guest dies, and shows its last words', () => {
    const { status, stderr } = ghostcard(['run', '--', 'sh', '-c', 'echo c > /proc/sysrq-trigger; sleep 60']);
    expect(status).toBe(123);
    expect(stderr).toContain('sysrq triggered crash');
  });

  it('ends with 127 when the guest does not have the command', () => {
    const { status, stdout, stderr } = ghostcard(['run', '--json', '--', 'no-such-command']);
    expect(status).toBe(127);
    expect(stderr).toMatch(/^ghostcard: no-such-command: not found in the guest's PATH, which is /m);
    expect(JSON.parse(stdout)).toMatchObject({
      exitCode: 127,
      error: expect.stringMatching(/^no-such-command: not found in the guest's PATH/),
      cards: [{ card: 'reference' }],
    });
  });

  it('ends with 125 when the guest does not have the driver, and suggests a similar one', () => {
    const { status, stdout } = ghostcard(['run', '--json', '--driver', 'uio-pci-genric', '--', 'true']);
    expect(status).toBe(125);
    expect(JSON.parse(stdout)).toEqual({
      exitCode: 125,
      error: expect.stringMatching(
        /Cannot bind the card 'reference' \(0000:01:00\.0\) to uio-pci-genric: the guest's kernel has no driver .* Did you mean uio_pci_generic\? It has none, .*, vfio-pci, /,
      ),
    });
  });

  it('pushes files into the guest before the command runs, with their modes', () => {
    const script = join(folder, 'hello.sh');
    writeFileSync(script, '#!/bin/sh\necho hello from the guest\n', { mode: 0o755 });
    const { status, stdout } = ghostcard(['run', '--quiet', '--push', script, '--', '/tmp/hello.sh']);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'hello from the guest\n' });
  });

  it('reports the signal that ended the command, and what the kernel has logged about it', () => {
    const { status, stderr } = ghostcard(['run', '--', 'python3', '-c', 'import ctypes; ctypes.string_at(0)']);
    expect(status).toBe(128 + 11);
    expect(stderr).toMatch(/the command was ended by SIGSEGV\n.*python3\[\d+\]: segfault at 0 /);
  });

  it('prints one JSON object with the output and the cards', () => {
    const { status, stdout } = ghostcard([
      'run',
      '--driver',
      'uio_pci_generic',
      '--json',
      '--',
      'sh',
      '-c',
      'echo $GHOSTCARD_DEVICE',
    ]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      exitCode: 0,
      stdout: '/dev/uio0\n',
      cards: [{ card: 'reference', driver: 'uio_pci_generic', node: '/dev/uio0' }],
    });
  });

  it.each([
    ['uio_pdrv_genirq', '/dev/uio0'],
    ['uio_dmem_genirq', '/dev/uio0'],
    ['vfio-platform', '/dev/vfio/noiommu-0'],
  ])('makes the card a platform device for %s, and gives the command its name', (driver, node) => {
    const script = 'echo $GHOSTCARD_PLATFORM_DEVICE $GHOSTCARD_DEVICE; exec gc-irq';
    const { status, stdout, stderr } = ghostcard(['run', '--driver', driver, '--', 'sh', '-c', script]);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(new RegExp(`^ghostcard-ref\\.256 ${node}\n`));
    expect(stdout).toContain(`gc-irq: reference card at ghostcard-ref.256 through ${driver}, interrupts by line`);
    expect(stderr).toContain(`driver ${driver}`);
  });

  it('puts the card behind an IOMMU, in a real IOMMU group', () => {
    const { status, stdout, stderr } = ghostcard([
      'run',
      '--iommu',
      '--driver',
      'vfio-pci',
      '--',
      'sh',
      '-c',
      'echo $GHOSTCARD_DEVICE; exec gc-identify',
    ]);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/^\/dev\/vfio\/\d+\n/);
  });

  it('gives each of several cards its driver and its variables', () => {
    const cards = ['--card', 'reference', '--card', 'reference', '--card', 'reference'];
    const drivers = ['--driver', 'vfio-pci', '--driver', 'none', '--driver', 'uio_pci_generic'];
    const script = 'echo $GHOSTCARD_PCI_ADDRESS $GHOSTCARD_DEVICE, $GHOSTCARD_DEVICE_2, $GHOSTCARD_DEVICE_3';
    const { stdout, stderr } = ghostcard(['run', ...cards, ...drivers, '--', 'sh', '-c', script]);
    expect(stdout).toBe('0000:01:00.0 /dev/vfio/noiommu-0, , /dev/uio0\n');
    expect(stderr).toContain('reference-3 is 0000:03:00.0, driver uio_pci_generic, /dev/uio0');
  });
});

describe('the files of the guest of ghostcard run', () => {
  it("are the host's; commands run in the caller's folder, and their changes end with the guest", () => {
    writeFileSync(join(folder, 'mine'), 'from the host\n');
    const script = 'cat mine; echo changed > mine; cat mine; python3 -c "print(6 * 7)"';
    const { status, stdout } = ghostcard(['run', '--quiet', '--', 'bash', '-c', script]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'from the host\nchanged\n42\n' });
    expect(readFileSync(join(folder, 'mine'), 'utf8')).toBe('from the host\n');
  });

  it('keep their changes in folders that are shared for writing', () => {
    mkdirSync(join(folder, 'out'));
    ghostcard(['run', '--rw', 'out', '--', 'sh', '-c', 'echo made in the guest > out/file']);
    expect(readFileSync(join(folder, 'out', 'file'), 'utf8')).toBe('made in the guest\n');
  });

  it('may be those of another root', () => {
    const root = join(folder, 'root');
    mkdirSync(join(root, 'bin'), { recursive: true });
    const source = '#include <stdio.h>\nint main(void) { puts("from the other root"); return 3; }\n';
    const compiled = spawnSync('cc', ['-static', '-x', 'c', '-o', join(root, 'bin', 'hello'), '-'], { input: source });
    expect(compiled.status).toBe(0);
    const { status, stdout } = ghostcard(['run', '--root', root, '--', '/bin/hello']);
    expect({ status, stdout }).toEqual({ status: 3, stdout: 'from the other root\n' });
  });

  it("may be only the guest's own", () => {
    const { status, stdout } = ghostcard(['run', '--minimal', '--', 'sh', '-c', `ls ${folder} 2>/dev/null; ls /init`]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '/init\n' });
  });

  it('are used with an environment that has the folder, and no variables of the caller', () => {
    const { stdout } = ghostcard(['run', '--minimal', '--', 'env']);
    expect(stdout.replaceAll(/=.*/g, '').trim().split('\n').sort()).toEqual([
      'GHOSTCARD_DEVICE',
      'GHOSTCARD_PCI_ADDRESS',
      'HOME',
      'PATH',
    ]);
    writeFileSync(join(folder, 'Makefile'), 'all:\n\t@echo $(PWD) in $(HOME)\n');
    const made = ghostcard(['run', '--quiet', '--', 'make'], { env: { HOME: '/here' } });
    expect(made.stdout).toBe(`${realpathSync(folder)} in /here\n`);
  });

  it('are used with the variables of the caller that --env names, and no others', () => {
    const env = { GC_GIVEN: 'a b', GC_KEPT: 'secret', LC_TIME: 'C' };
    const script = 'echo $GC_GIVEN, $GC_SET, ${GC_KEPT-unset}, $LC_TIME';
    const { stdout } = ghostcard(['run', '--env', 'GC_GIVEN', '--env', 'GC_SET=1', '--', 'sh', '-c', script], { env });
    expect(stdout).toBe('a b, 1, unset, C\n');
  });
});

describe('a card with a model error', () => {
  it('fails the run, whatever the exit code of the command', () => {
    const card = cardFile('late.js', "go() { this.clock.after(1000, () => { throw new Error('planted'); }); }");
    const { status, stderr } = ghostcard(['run', ...withCard(card), '--', 'gc-reg', '0x0=1']);
    expect(status).toBe(125);
    expect(stderr).toContain('Error: planted\n');
    expect(stderr).toContain('1 model error, see above; the command ended with exit code 0');
  });

  it('in its reset fails the run, which is still torn down', () => {
    const card = cardFile('reset.js', "onReset() { throw new Error('planted in the reset'); }");
    const { status, stderr } = ghostcard(['run', '--card', card, '--', 'true']);
    expect(status).toBe(125);
    expect(stderr).toContain('Error: planted in the reset\n');
    expect(leftovers()).toEqual([]);
  });

  it('in its constructor ends the run, with the line', () => {
    const card = cardFile('made.js', "made() { throw new Error('planted in the making'); }");
    const { status, stderr } = ghostcard(['run', '--card', card, '--', 'true']);
    expect(status).toBe(125);
    expect(stderr).toMatch(/made\.js: the card could not be made:\nError: planted in the making\n {4}at .*made\.js:8:/);
    expect(leftovers()).toEqual([]);
  });

  it('that does not return is ended by the watchdog, with the line, and nothing is left', async () => {
    const card = cardFile('endless.js', 'go() { for (;;); }');
    const run = ['run', ...withCard(card), '--timeout', '1', '--', 'gc-reg', '0x0=1'];
    const { status, stderr } = ghostcard(run, { env: { GHOSTCARD_WATCHDOG: '2' } });
    expect(status).toBe(125);
    expect(stderr).toContain(
      `The model of the card PlantedCard has not returned for 2 s:\n    at go (${card}:${BODY_LINE}:`,
    );
    await expect.poll(leftovers, { timeout: 20_000 }).toEqual([]);
  });

  it('that is only slow is waited for with --debug', () => {
    // Twice: QEMU's own limit is 5 s, and the guest's time goes on meanwhile.
    const nap = 'go() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 7000); }';
    const card = cardFile('slow.js', nap);
    const run = ['run', '--debug', ...withCard(card), '--', 'gc-reg', '0x0=1', '0x0'];
    const { status, stdout } = ghostcard(run, { env: { GHOSTCARD_WATCHDOG: '2' } });
    expect(status).toBe(0);
    expect(stdout).toContain('0x0000 = 0x00000001\n');
  });
});

describe('ghostcard run --shell', () => {
  const shell = (...more: string[]): string[] => [process.execPath, cli, 'run', '--quiet', ...more, '--shell'];
  /** Types a line, and waits for a text, which must not be in the line: that is echoed. */
  const enter = (line: string, ...texts: string[]): TerminalStep[] => [
    { type: `${line}\n` },
    ...texts.map((wait) => ({ wait })),
  ];
  const ready: TerminalStep[] = [{ wait: '# ' }, ...enter(`PS1='gue''st> '`, 'guest> ')];
  /** Without a .bashrc. */
  const bash = () => environment({ SHELL: '/bin/bash', TERM: 'xterm', HOME: folder });

  it('is a shell on the terminal, with its size, job control and Ctrl-C, and ends with its exit code', () => {
    const steps: TerminalStep[] = [
      { size: [111, 33] },
      ...ready,
      ...enter('stty size; echo $TERM', '33 111\r\nxterm\r\n', 'guest> '),
      { size: [90, 50] },
      ...enter(`until [ "$(stty size)" = '50 90' ]; do :; done; echo re''sized`, 'resized\r\n', 'guest> '),
      ...enter(`sh -c 'echo be""gun; exec sleep 1000'`, 'begun\r\n'),
      ...[{ type: '\x1a' }, { wait: 'Stopped' }, { wait: 'guest> ' }],
      ...enter('kill %1; fg', 'Terminated', 'guest> '),
      ...enter(`sh -c 'echo ag""ain; exec sleep 1000'`, 'again\r\n'),
      ...[{ type: '\x03' }, { wait: 'guest> ' }],
      ...enter('echo ended with $?', 'ended with 130\r\n', 'guest> '),
      ...enter('exit 7'),
    ];
    const outcome = onTerminal(steps, shell('--driver', 'vfio-pci'), bash());
    expect(outcome).toMatchObject({ exitCode: 7, modeRestored: true });
  });

  it('ends at once when Ctrl-] is pressed three times', () => {
    const steps = [...ready, ...enter('sleep 1000'), { type: '\x1d\x1d\x1d' }];
    const { exitCode, modeRestored } = onTerminal(steps, shell(), bash());
    expect({ exitCode, modeRestored }).toEqual({ exitCode: 130, modeRestored: true });
  });

  it('restores the terminal after kill -9, and leaves nothing behind', async () => {
    const { exitCode, modeRestored } = onTerminal([...ready, { kill: 9 }], shell(), bash());
    expect({ exitCode, modeRestored }).toEqual({ exitCode: -9, modeRestored: true });
    await expect.poll(leftovers, { timeout: 20_000 }).toEqual([]);
  });

  it('is that of busybox with --minimal', () => {
    const steps = [{ wait: '# ' }, ...enter('busybox | head -n 1; exit 4', 'BusyBox v')];
    expect(onTerminal(steps, shell('--minimal'), bash())).toMatchObject({ exitCode: 4, modeRestored: true });
  });

  it('is refused without a terminal', () => {
    const { status, stderr } = ghostcard(['run', '--shell']);
    expect(status).toBe(2);
    expect(stderr).toContain('--shell needs a terminal, but there is none on standard input and output');
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('ghostcard run --gdb', () => {
  it("prints where to attach, and QEMU's stub answers there", async () => {
    const port = await freePort();
    const runner = spawn(process.execPath, [cli, 'run', '--gdb', String(port), '--', 'cat'], {
      env: environment(),
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const ended = once(runner, 'exit');
    for await (const line of createInterface(runner.stderr)) {
      if (line.includes(`target remote 127.0.0.1:${port}`)) break;
    }
    const stub = connect(port, '127.0.0.1');
    stub.write('$qSupported#37');
    for (let answer = ''; !answer.includes('PacketSize=');) answer += String((await once(stub, 'data'))[0]);
    stub.write('+$D#44'); // detach: the machine, which the debugger has stopped, goes on
    await once(stub, 'data');
    stub.destroy();
    runner.stdin.end();
    expect(await ended).toEqual([0, null]);
  });
});

describe('ghostcard demo', () => {
  it('is refused before anything is done when its logs cannot be kept', () => {
    const { status, stderr } = ghostcard(['demo', '--artifacts', '/proc/demo']);
    expect(status).toBe(2);
    expect(stderr).toContain('--artifacts /proc/demo: nothing can be written there: ENOENT');
  });
});

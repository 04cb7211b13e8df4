/** Launches with a snapshot store: a snapshot that cannot be used costs a boot and one line of output, nothing else. */
import { getEventListeners } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Cache } from '../provision';
import { SnapshotStore } from '../snapshot';
import { QemuExitedError } from './errors';
import { launchGuest } from './launch';
import { type LaunchOptions, type LaunchProgress } from './options';
import { shellQemu } from '../../test/support/launch/fixtures';

const FAKE_QEMU = join(__dirname, '..', '..', 'test', 'support', 'launch', 'fake-qemu.js');

let folder: string;
let options: LaunchOptions;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'launch-'));
  vi.stubEnv('TMPDIR', folder);
  for (const name of ['kernel', 'initramfs']) writeFileSync(join(folder, name), name);
  // Its behaviour is not part of the machine's identity.
  const qemu = await shellQemu(
    folder,
    `echo started >>${folder}/starts; eval "$QEMU_FIRST"; exec ${process.execPath} ${FAKE_QEMU} "\${QEMU_SCRIPT:-boots}" "$@"`,
  );
  const provisioned = {
    ...qemu,
    kernel: { imagePath: join(folder, 'kernel') },
    initramfsPath: join(folder, 'initramfs'),
  };
  options = { provisioned, hostRoot: false, snapshots: new SnapshotStore(new Cache(join(folder, 'cache'))) };
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const BOOT = ['starting-qemu', 'booting', 'agent-ready', 'saving'];
const RESTORE = ['starting-qemu', 'restoring', 'agent-ready'];

/** Launches a guest and closes it. Returns the progress that was reported. */
async function launch(more: Partial<LaunchOptions> = {}) {
  const told: LaunchProgress[] = [];
  const lines: string[] = [];
  const guest = await launchGuest({
    ...options,
    onProgress: (progress) => told.push(progress),
    onConsole: (line) => lines.push(line),
    ...more,
  });
  await guest.close();
  const messages = told.filter(({ phase }) => phase === 'no-snapshot').map(({ message }) => message);
  return { phases: told.map(({ phase }) => phase), messages, lines };
}

const starts = () => readFileSync(join(folder, 'starts'), 'utf8').split('\n').length - 1;

const failureOf = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => expect.fail('this should have failed'),
    (error: Error) => error,
  );

function expectNothingLeft(): void {
  expect(readdirSync(join(folder, `ghostcard-${process.getuid!()}`))).toEqual([]);
  const work = join(folder, 'cache', 'work');
  expect(existsSync(work) ? readdirSync(work) : []).toEqual([]);
}

it('the first launch saves a snapshot, and the next one restores it', async () => {
  expect((await launch()).phases).toEqual(BOOT);
  expect((await launch()).phases).toEqual(RESTORE);
  expectNothingLeft();
});

it('a snapshot that cannot be restored leaves one message; logs and console are those of the cold boot', async () => {
  await launch();
  vi.stubEnv('QEMU_SCRIPT', 'cannot-load');
  const artifactsDir = join(folder, 'artifacts');
  const runDir = await mkdtemp(join(folder, 'run-'));
  const { phases, messages, lines } = await launch({ runDir, artifactsDir });
  expect(phases).toEqual([...RESTORE.slice(0, 2), 'no-snapshot', ...BOOT]);
  expect(messages).toEqual([
    'The snapshot of this guest is unusable, falling back to a cold boot: The guest did not come up: QEMU could not restore the ' +
      'machine: No space left on device',
  ]);
  const booted = ['[    0.000000] Linux version 6.1', '[    1.000000] Run /init as init process'];
  expect(lines.slice(-2)).toEqual(booted);
  expect(readFileSync(join(artifactsDir, 'console.log'), 'utf8').trim().split('\r\n')).toEqual(booted);
  expect(readFileSync(join(artifactsDir, 'qemu-stderr.log'), 'utf8')).toBe('');
  vi.stubEnv('QEMU_SCRIPT', 'boots');
  expect((await launch()).phases).toEqual(RESTORE);
});

it('a failure that is not caused by the snapshot fails the launch at once, and the snapshot stays', async () => {
  await launch();
  vi.stubEnv('QEMU_FIRST', 'echo "qemu: port 1234 is in use" >&2; exit 1');
  const error = await failureOf(launch());
  expect(error).toBeInstanceOf(QemuExitedError);
  expect(error.message).toContain('qemu: port 1234 is in use');
  expect(starts()).toBe(2);
  vi.stubEnv('QEMU_FIRST', '');
  expect((await launch()).phases).toEqual(RESTORE);
  expectNothingLeft();
});

it('an unusable snapshot in a read-only cache does not prevent a cold boot', async () => {
  await launch();
  await rm(join(folder, 'cache', 'work'), { recursive: true });
  writeFileSync(join(folder, 'cache', 'work'), 'no folder can be created here, not even by root');
  vi.stubEnv('QEMU_SCRIPT', 'cannot-load');
  const { phases, messages } = await launch();
  expect(phases).toEqual([...RESTORE.slice(0, 2), 'no-snapshot', ...BOOT, 'no-snapshot']);
  expect(messages[1]).toMatch(/^No snapshot was saved, so the next start is a cold boot again: /);
});

it('a cache that cannot be read leads to a cold boot', async () => {
  await launch();
  const [entry] = readdirSync(join(folder, 'cache', 'entries'));
  const manifest = join(folder, 'cache', 'entries', entry!, 'manifest.json');
  await rm(manifest);
  await mkdir(manifest);
  const { phases, messages } = await launch();
  expect(phases.slice(0, 4)).toEqual(['no-snapshot', ...BOOT.slice(0, 3)]);
  expect(messages[0]).toMatch(/^The snapshot of this guest cannot be read, falling back to a cold boot: EISDIR/);
});

it('the console log of a restored guest begins with that of its boot', async () => {
  await launch();
  const artifactsDir = join(folder, 'artifacts');
  expect((await launch({ artifactsDir })).phases).toEqual(RESTORE);
  expect(readFileSync(join(artifactsDir, 'console.log'), 'utf8')).toMatch(
    /^\[ +0\.0+\] Linux version [^]*\n--- ghostcard: the guest was saved here and restored for this run ---\n/,
  );
});

it('a guest whose snapshot could not be saved continues', async () => {
  vi.stubEnv('QEMU_SCRIPT', 'cannot-save');
  const { phases, messages } = await launch();
  expect(phases).toEqual([...BOOT, 'no-snapshot']);
  expect(messages).toEqual([
    'No snapshot was saved, so the next start is a cold boot again: QEMU could not save the machine: No space left on device',
  ]);
  expectNothingLeft();
});

it('an abort while the snapshot is being saved is reported as such, and nothing is left behind', async () => {
  const abort = new AbortController();
  const phases: string[] = [];
  const onProgress = ({ phase }: LaunchProgress) => {
    phases.push(phase);
    if (phase === 'saving') abort.abort(new Error('Ctrl-C'));
  };
  expect((await failureOf(launch({ signal: abort.signal, onProgress }))).message).toBe('Ctrl-C');
  expect(phases).toEqual(BOOT);
  expectNothingLeft();
});

it.each(['starting-qemu', 'booting', 'agent-ready', 'saving'])(
  'an exception in the progress listener (%s) ends the launch, and nothing is left behind',
  async (when) => {
    const onProgress = ({ phase }: LaunchProgress) => {
      if (phase === when) throw new Error('the screen is full');
    };
    expect((await failureOf(launch({ onProgress }))).message).toContain('the screen is full');
    expectNothingLeft();
  },
);

it('guests that were closed are not held by a signal that outlives them', async () => {
  const { signal } = new AbortController();
  await Promise.all([launch({ signal }), launch({ signal }), launch({ signal })]);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('a snapshot of a kernel that was replaced during the boot is not used for the new kernel', async () => {
  const onProgress = ({ phase }: LaunchProgress) => {
    if (phase === 'booting') writeFileSync(join(folder, 'kernel'), 'another kernel');
  };
  await launch({ onProgress });
  expect((await launch()).phases).toEqual(BOOT);
});

it('a launch that fails after the guest has come up keeps its logs', async () => {
  const artifactsDir = join(folder, 'artifacts');
  const cards = [1, 2].map((n) => ({ name: 'twin', socketPath: `/${n}.sock` }));
  const error = await failureOf(launch({ cards, artifactsDir, artifacts: 'on-failure' }));
  expect(error.message).toBe("This guest already has a card 'twin': give each card its own name.");
  expect(readdirSync(artifactsDir)).toContain('console.log');
  expectNothingLeft();
});

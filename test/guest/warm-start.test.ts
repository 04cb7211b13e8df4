/** Guests that start from a snapshot: they are like booted ones, and a defect of a snapshot has no effect on them. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { loadNative } from '../../emulator/native';
import { GUEST_ARCHES, type GuestArch } from '../../qemu/provision';
import { type Rig, type RigOptions } from '../../qemu/rig';
import { saveMachine } from '../../qemu/snapshot';
import { runApp, startRig } from '../support/rig';

// A cache of its own, for snapshots; the software of guests comes from the provisioned one.
const cacheDir = mkdtempSync(join(tmpdir(), 'warm-start-'));
afterAll(() => rmSync(cacheDir, { recursive: true }));

/** Starts a rig, and returns the phases of the start. */
async function start({ arch = 'amd64', ...options }: Partial<RigOptions> & { arch?: GuestArch } = {}): Promise<{
  rig: Rig;
  phases: string[];
  messages: string[];
}> {
  const phases: string[] = [];
  const messages: string[] = [];
  const onProgress: RigOptions['onProgress'] = ({ phase, message }) => {
    phases.push(phase);
    messages.push(message);
  };
  const provisioned = { ...inject('provisioned')[arch], cacheDir };
  return { rig: await startRig({ provisioned, onProgress, ...options }), phases, messages };
}

const BOOT = ['starting-qemu', 'booting', 'agent-ready', 'saving'];
const RESTORE = ['starting-qemu', 'restoring', 'agent-ready'];

async function output(rig: Rig, script: string): Promise<string> {
  return (await rig.guest.run(['sh', '-c', script])).stdout.toString().trim();
}

const snapshots = () =>
  readdirSync(join(cacheDir, 'entries'))
    .map((name) => join(cacheDir, 'entries', name, 'machine'))
    .filter((path) => existsSync(path));

describe.each(GUEST_ARCHES)('guests of %s', (arch) => {
  it('the first start boots and saves a snapshot, the second restores it, with a card that works', async () => {
    const first = await start({ arch });
    await first.rig.close();
    expect(first.phases).toEqual(BOOT);
    const second = await start({ arch });
    await using rig = second.rig;
    expect(second.phases).toEqual(RESTORE);
    await rig.bind('card', 'vfio-pci');
    await runApp(rig, 'card', ['gc-loopback', '--irq', 'msix']);
  });

  it('restored guests have the time of day, random numbers and a name of their own', async () => {
    const identityOf = async (hostname: string) => {
      const { rig, phases } = await start({ arch, hostname });
      await using _ = rig;
      expect(phases).toEqual(RESTORE);
      const before = Math.floor(Date.now() / 1000);
      const seconds = Number(await output(rig, 'date +%s'));
      expect(seconds).toBeGreaterThanOrEqual(before);
      expect(seconds).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000));
      expect(await output(rig, 'hostname')).toBe(hostname);
      return await Promise.all([
        output(rig, 'head -c 16 /dev/urandom | md5sum'),
        output(rig, 'cat /proc/sys/kernel/random/boot_id'),
        output(rig, 'cat /proc/self/maps | grep stack'), // where the kernel has put it
      ]);
    };
    const [one, other] = [await identityOf('one'), await identityOf('other')];
    for (const [index, what] of ['random bytes', 'boot id', 'address layout'].entries()) {
      expect(one[index], what).not.toBe(other[index]);
    }
  });
});

it('two guests of one snapshot run at the same time with separate memory', async () => {
  const [a, b] = await Promise.all([start(), start()]);
  await using first = a.rig;
  await using second = b.rig;
  expect([a.phases, b.phases]).toEqual([RESTORE, RESTORE]);
  await Promise.all([first.bind('card', 'uio_pci_generic'), second.bind('card', 'vfio-pci')]);
  await output(first, 'echo first >/tmp/whose');
  expect(await output(second, 'cat /tmp/whose 2>&1')).toContain('No such file');
  await Promise.all([
    runApp(first, 'card', ['gc-loopback', '--irq', 'intx']),
    runApp(second, 'card', ['gc-loopback', '--irq', 'msix']),
  ]);
});

it('a machine with more memory or processors has a snapshot of its own', async () => {
  const before = snapshots().length;
  const { rig, phases } = await start({ memoryMiB: 384, cpus: 2 });
  await using _ = rig;
  expect(phases).toEqual(BOOT);
  expect(await output(rig, 'nproc')).toBe('2');
  await rig.close();
  expect(snapshots()).toHaveLength(before + 1);
});

/** Inverts the first data at or after an offset: the contents of a hole have no effect. */
async function flipBytes(path: string, offset: number): Promise<void> {
  await using file = await open(path, 'r+');
  const [start] = loadNative().nextExtent(file.fd, offset)!;
  const bytes = Buffer.alloc(4096);
  await file.read(bytes, 0, bytes.length, start);
  for (const [index, byte] of bytes.entries()) bytes[index] = ~byte;
  await file.write(bytes, 0, bytes.length, start);
}

const DAMAGES: [string, (path: string) => Promise<void> | void][] = [
  ['damaged at its beginning', (path) => flipBytes(path, 0)],
  ['damaged in the middle of the guest’s memory', (path) => flipBytes(path, 32 << 20)],
  ['cut short', (path) => truncateSync(path, statSync(path).size >> 1)],
  ['missing', (path) => rmSync(path)],
];

it.each(DAMAGES)(
  'a snapshot that is %s is replaced: the guest boots, and the next one is restored',
  async (_, damage) => {
    for (const path of snapshots()) await damage(path);
    const broken = await start();
    await broken.rig.bind('card', 'uio_pci_generic');
    await runApp(broken.rig, 'card', ['gc-identify']);
    await broken.rig.close();
    expect(broken.phases.slice(-4)).toEqual(BOOT);
    const told = broken.messages[broken.phases.indexOf('no-snapshot')];
    if (broken.phases.includes('restoring')) {
      expect(told).toMatch(/^The snapshot of this guest is unusable, falling back to a cold boot: [^\n]+$/);
    }
    const next = await start();
    await next.rig.close();
    expect(next.phases).toEqual(RESTORE);
  },
);

it('a guest goes on when saving its snapshot is refused, or takes too long', async () => {
  const { rig } = await start({ cards: [] });
  await using _ = rig;
  const save = async () => {
    await rig.guest.qmp.execute('stop');
    await saveMachine(rig.guest.qmp, join(cacheDir, 'never'), { timeoutMs: 1 }).finally(() =>
      rig.guest.qmp.execute('cont'),
    );
  };
  const mounted = await output(rig, `awk '$3 == "9p" {print $2}' /proc/mounts`);
  expect(mounted).not.toBe('');
  await expect(save()).rejects.toThrow("QEMU refused the QMP command 'migrate': GenericError: Migration is disabled");
  await output(rig, `umount ${mounted.replaceAll('\n', ' ')}`);
  await expect(save()).rejects.toThrow('QEMU did not send the event MIGRATION over QMP within 1 ms');
  expect(await output(rig, 'sleep 1; echo alive')).toBe('alive');
  expect(await rig.guest.qmp.execute('query-status')).toMatchObject({ status: 'running' });
});

it('a cold start boots with the cards in the machine', async () => {
  const { rig, phases } = await start({ start: 'cold' });
  await using _ = rig;
  expect(phases).toEqual(['starting-qemu', 'booting', 'agent-ready']);
  expect(await output(rig, 'dmesg | grep -c "0000:01:00.0: .1234:4743"')).toBe('1');
});

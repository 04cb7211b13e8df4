/** Who in the guest accesses registers: user programs and kernel drivers, on each architecture. */
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { type CardEnvironment } from '../../emulator/pci';
import BellsCard from '../../examples/kernel-module/bells-card';
import { TraceCards } from '../../instrumentation/analysis';
import { type CardNotice, readTrace, type TraceEvent, TraceRecorder } from '../../instrumentation/trace';
import { loadModule } from '../../qemu/launch';
import { buildModules, GUEST_ARCHES, type GuestArch } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { runApp, startRig } from '../support/rig';

const BARS = 6;
let folder: string;
let recorder: TraceRecorder;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'observer-'));
  recorder = new TraceRecorder(join(folder, 'a.trace'), { payloads: 'none' });
});
afterEach(() => rmSync(folder, { recursive: true }));

interface KnownAccess {
  readonly isWrite: boolean;
  readonly process: string;
  readonly pid: number;
  readonly isKernel: boolean;
  /** The code. */
  readonly name: string | undefined;
}

/** What the trace says of the accesses of BARs; undefined where nothing is known. */
function accessesIn(events: readonly TraceEvent[]): (KnownAccess | undefined)[] {
  const cards = TraceCards.of(events);
  const accesses: (KnownAccess | undefined)[] = [];
  let isWrite = false;
  for (const event of events) {
    if ((event.kind === 'read' || event.kind === 'write') && event.region < BARS) {
      isWrite = event.kind === 'write';
      accesses.push(undefined);
    }
    if (event.kind !== 'origin') continue;
    const { process, pid, address, name } = cards.place(event.place)!;
    accesses[accesses.length - 1] = {
      isWrite,
      process,
      pid,
      name,
      isKernel: address.length === '0xffff000000000000'.length,
    };
  }
  return accesses;
}

/** The line of a file of this project that has a text. */
const lineOf = (file: string, text: string): number =>
  readFileSync(join(__dirname, '../..', file), 'utf8')
    .split('\n')
    .findIndex((line) => line.includes(text)) + 1;

const namesOf = (accesses: readonly (KnownAccess | undefined)[]) => [
  ...new Set(accesses.map((access) => access && `${access.isKernel ? 'kernel' : 'user'} ${access.process}`)),
];

describe.each(GUEST_ARCHES)('in a guest of %s with two processors', (arch) => {
  let rig: Rig;
  let notices: string[];
  beforeEach(async () => {
    notices = [];
    const onNotice = (_: string, { text }: CardNotice): void => void notices.push(text);
    rig = await startRig({ arch, cpus: 2, observe: true, recorder, onNotice });
  });
  afterEach(() => rig.close());

  it.each(['uio_pci_generic', 'vfio-pci'])('every access of a program on %s is its own', async (driver) => {
    await rig.bind('card', driver);
    const before = recorder.events;
    await runApp(rig, 'card', ['gc-loopback']);
    await rig.close();
    recorder.close();
    const accesses = accessesIn(readTrace(recorder.path).events.slice(before));
    expect(namesOf(accesses)).toEqual(['user gc-loopback']);
    expect(accesses.length).toBeGreaterThan(20);
    const processes = new Set(accesses.map((access) => access?.pid));
    expect(processes.size).toBe(1);
    expect([...processes][0]).toBeGreaterThan(1);
    expect(rig.observer!.unmatched).toBe(0);
    const doorbell = `ring.c:${lineOf('guest-tools/driver/ring.c', 'REF_CHANNEL_DOORBELL,')} ref_doorbell`;
    const names = new Set(accesses.map((access) => access?.name));
    expect([...names]).toContainEqual(expect.stringContaining(doorbell));
    // Each is where the driver calls the library that accesses registers for it.
    for (const name of names) expect(name).toMatch(/^(ring|registers|card|irq|channel)\.c:\d+ \w+/);
  });

  it('the notice of a program that polls names its code while it runs', async () => {
    const { pciAddress } = await rig.bind('card', 'uio_pci_generic');
    await rig.guest.start([
      'sh',
      '-c',
      `exec gc-reg --device ${pciAddress} $(yes 0x1004 | head -n 100000) > /dev/null`,
    ]);
    await expect.poll(() => notices, { timeout: 60_000 }).toHaveLength(1);
    const name = `gc-reg\\.c:${lineOf('guest-tools/apps/gc-reg.c', 'return gc_read32(')} read_bits.*`;
    expect(notices[0]).toMatch(
      new RegExp(`polls H2C\\[0\\]\\.STATUS: .*, last by ${name} \\(gc-reg, process \\d+\\), always `),
    );
  });
});

/** The kernel driver of an example, built for the guest's kernel. */
async function loadBells(rig: Rig, arch: GuestArch): Promise<void> {
  const source = join(folder, 'bells');
  cpSync(join(__dirname, '../../examples/kernel-module'), source, { recursive: true });
  const { cacheDir } = inject('provisioned')[arch];
  const [module = ''] = await buildModules(source, { guestArch: arch, cacheDir });
  await loadModule(rig.guest, module);
}

it.each(GUEST_ARCHES)('in a guest of %s, accesses of a kernel driver have the process that called it', async (arch) => {
  const cards = [{ name: 'bells', make: (environment: CardEnvironment) => new BellsCard(environment) }];
  await using rig = await startRig({ arch, observe: true, recorder, cards });
  await loadBells(rig, arch);
  const { pciAddress } = await rig.bind('bells', 'bells');
  const before = recorder.events;
  const ring = await rig.guest.run(['sh', '-c', `echo 2 > /sys/bus/pci/devices/${pciAddress}/ring`]);
  expect(ring.exitCode, String(ring.stderr)).toBe(0);
  await rig.close();
  recorder.close();
  const accesses = accessesIn(readTrace(recorder.path).events.slice(before));
  expect(namesOf(accesses)).toEqual(['kernel sh']);
  expect(accesses.length).toBeGreaterThan(0);
  const ringing = `bells.c:${lineOf('examples/kernel-module/bells.c', 'iowrite32(number')} ring_store`;
  expect([...new Set(accesses.map((access) => access?.name))]).toEqual([ringing]);
});

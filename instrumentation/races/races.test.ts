/** Races between what a card does and what the plugin has marked of its driver, and the other way round. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { type DmaRole } from '../../emulator/memory';
import { loadNative } from '../../emulator/native';
import { PciCard, Region } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';
import { BAR_ADDRESS, FakePlugin } from '../../test/support/observer';
import { Observer, SharedFile } from '../observer';
import { CARD_MARK, MARK, MAX_VCPUS } from '../observer/layout';
import { RaceDetector } from './detector';
import { Suppressions } from './suppressions';
import { reportRaces } from './words';

const REGISTERS = registerMap({ DOORBELL: { offset: 0, access: 'rw' }, STATUS: { offset: 4, access: 'ro' } });
const PAGE = 0x4000;
/** The number of a place of code. */
const FILL = 1;
const PLACES = [0n, 0x401000n];

/** Its DMA is done by the test. */
class IdleCard extends PciCard {
  readonly registers = this.registerBar(0, REGISTERS);
  readonly as = this.dmaChannel('TX');

  constructor() {
    super({ vendorId: 0x1234, deviceId: 0x4799, classCode: 0x12_00_00, intx: 'A' }, { clock: new ManualClock() });
  }

  interrupt(): void {
    this.interrupts.setIntx(true);
  }
}

let file: SharedFile;
let plugin: FakePlugin;
let observer: Observer;
let card: IdleCard;
let host: InProcessHost;
let detector: RaceDetector;

beforeEach(() => {
  file = new SharedFile(loadNative(), { vcpus: 2, ram: [{ address: 0, sizeBytes: 2 ** 20 }] });
  plugin = new FakePlugin(file);
  plugin.places(PLACES);
  observer = new Observer(file, 1);
  card = new IdleCard();
  const observed = observer.observe(card, 'card');
  observed.socketPath = '/tmp/card0.sock';
  detector = new RaceDetector(file);
  detector.watch(card, 'card', observed);
  host = new InProcessHost(card, { memoryIova: 0, memoryBytes: 2 ** 20 });
});
afterEach(() => {
  plugin[Symbol.dispose]();
  observer[Symbol.dispose]();
});

/** The driver stores 8 bytes in an epoch of its processor. */
const store = (address: number, epoch: number, bytes = 8, vcpu = 0) =>
  file.shadow.set(address, bytes, FILL, ((epoch << MARK.epochAt) | (vcpu << MARK.vcpuAt)) >>> 0, MARK.bytesAt);

/** It rings, and has stored up to `epoch` before; its last barrier has begun `barrier`. */
const recordRinging = (epoch: number, barrier = epoch + 1) =>
  plugin.record('vfio-user:/tmp/card0.sock BAR 0', {
    ...{ address: BAR_ADDRESS, value: 1n, pc: 0x402000n, pid: 71, comm: 'driver', barrier },
    before: new Uint32Array(2 * MAX_VCPUS).fill(epoch),
  });

function ring(epoch: number, barrier?: number): void {
  recordRinging(epoch, barrier);
  host.bar(0).write32(0, 1);
}

const texts = async () => (await reportRaces(detector.takeRaces(), undefined)).map(({ text }) => text);

const read = (role: DmaRole, address = PAGE, sizeBytes = 16) =>
  void card.as(role).read(address, new Uint8Array(sizeBytes));

describe('what a driver has stored, when the card accesses it', () => {
  it('is right before the doorbell', async () => {
    store(PAGE, 5, 16);
    ring(5);
    read('data');
    expect(await texts()).toEqual([]);
  });

  it('is a race after the doorbell: both sides are named, once', async () => {
    ring(5);
    store(PAGE + 8, 6);
    read('data');
    read('data');
    expect(await texts()).toEqual([
      '0x401000 writes 0x4008 after the last register write that the card has received, DOORBELL 0x00000001 at 0x402000: ' +
        'TX reads 16 bytes at 0x4000 (data), and gets the old bytes or the new ones. Write everything that the card is to ' +
        'see before the register write that hands it over [dma-race]',
    ]);
    expect(await texts()).toEqual([]);
  });

  it('is told with the DMA of the card that it is about', async () => {
    ring(5);
    store(PAGE + 8, 6);
    const timeNs = card.inspection.now();
    read('data');
    expect(await reportRaces(detector.takeRaces(), undefined)).toMatchObject([
      { dma: { kind: 'dma-read', timeNs, iova: PAGE, sizeBytes: 16 } },
    ]);
  });

  it('is a race of the code that has called a library, for each of them', async () => {
    ring(5);
    store(PAGE, 6);
    for (const caller of [0x403010n, 0x403020n]) {
      plugin.caller(FILL, caller);
      read('data');
    }
    expect(await texts()).toEqual([
      expect.stringMatching(/^0x401000, called by 0x40300f writes 0x4000 after /),
      expect.stringMatching(/^0x401000, called by 0x40301f writes 0x4000 after /),
    ]);
  });

  it('is a race again in another round', async () => {
    ring(5);
    store(PAGE, 6);
    read('data');
    expect(await texts()).toHaveLength(1);
    detector.beginRound();
    read('data');
    expect(await texts()).toHaveLength(1);
  });

  it('is no race where the card does not access the bytes that were stored', async () => {
    ring(5);
    store(PAGE + 16, 6, 4);
    read('data', PAGE, 16);
    read('data', PAGE + 20, 4);
    expect(await texts()).toEqual([]);
    read('data', PAGE + 19, 4);
    expect(await texts()).toHaveLength(1);
  });

  it('is a race when another processor has stored it after the doorbell, and none before', async () => {
    store(PAGE, 5, 8, 1);
    ring(5);
    read('data');
    expect(await texts()).toEqual([]);
    store(PAGE, 6, 8, 1);
    read('data');
    expect(await texts()).toHaveLength(1);
  });

  it('lacks a barrier when it was stored after the last one, ahead of the doorbell', async () => {
    store(PAGE, 4);
    ring(6, 5);
    read('data');
    expect(await texts()).toEqual([]);
    store(PAGE, 5);
    read('descriptor');
    expect(await texts()).toEqual([
      '0x401000 writes 0x4000, and no barrier orders that before DOORBELL 0x00000001 at 0x402000, after which TX reads 16 ' +
        'bytes at 0x4000 (descriptor): the register write may overtake it. Put a barrier ahead of the register write; ' +
        'writel() has one, in user space it is "dmb oshst" [missing-barrier]',
    ]);
  });

  it('may be overwritten as status at any time, and not as data', async () => {
    ring(5);
    store(PAGE, 6);
    card.as('write-back').write32(PAGE, 1);
    card.as('descriptor').write32(PAGE, 1);
    expect(await texts()).toEqual([]);
    store(PAGE, 6);
    card.as('data').write(PAGE, new Uint8Array(8));
    expect(await texts()).toHaveLength(1);
  });

  it('is judged when it is known who has rung, which may be after the card has acted', async () => {
    host.bar(0).write32(0, 1);
    store(PAGE, 5);
    read('data');
    expect(await texts()).toEqual([]);
    recordRinging(4);
    card.inspection.events.changed();
    expect(await texts()).toHaveLength(1);
  });

  it('is of an epoch that is counted modulo 2^28', async () => {
    store(PAGE, 2 ** 28 - 1);
    ring(2);
    read('data');
    expect(await texts()).toEqual([]);
    store(PAGE, 3);
    read('data');
    expect(await texts()).toHaveLength(1);
  });
});

/** The driver loads 8 bytes in an epoch. */
const load = (address: number, epoch: number) =>
  file.loads.set(address, 8, FILL, (epoch << MARK.epochAt) >>> 0, MARK.bytesAt);

describe('what a driver has loaded, when the card writes there', () => {
  it('is right before the doorbell, also without a barrier', async () => {
    load(PAGE, 5);
    ring(5, 5);
    card.as('data').write(PAGE, new Uint8Array(8));
    expect(await texts()).toEqual([]);
  });

  it('is too early after the doorbell, where the card writes data', async () => {
    ring(5);
    load(PAGE, 6);
    read('data');
    card.as('write-back').write32(PAGE, 1);
    expect(await texts()).toEqual([]);
    card.as('data').write(PAGE, new Uint8Array(8));
    expect(await texts()).toEqual([
      '0x401000 reads 0x4000 before the card has written there: TX writes 8 bytes at 0x4000 (data), started by DOORBELL ' +
        '0x00000001 at 0x402000 before. Wait for the completion first [dma-race]',
    ]);
  });
});

describe('memory that a driver has given back', () => {
  const MUNMAP = 3;

  /** A call gives 8 bytes back, in an epoch of processor 0. */
  function giveBack(address: number, epoch: number): void {
    plugin.release(MUNMAP, { pc: 0x405000n, callers: [0x403010n, 0x404010n], pid: 71, comm: 'driver' });
    file.released.set(address, 8, MUNMAP, (epoch << MARK.epochAt) >>> 0, MARK.bytesAt);
  }

  function enable(state: 'running' | 'stopped'): void {
    const { events } = card.inspection;
    events.publish({ kind: 'state', part: 'bus master', state: 'on' });
    events.publish({ kind: 'state', part: 'TX', state });
  }

  it('is another buffer when the card has been rung after that', async () => {
    giveBack(PAGE, 5);
    ring(5);
    read('data');
    expect(await texts()).toEqual([]);
  });

  it.each(['data', 'write-back'] as const)(
    'is used after that as %s, with the calls that gave it back',
    async (role) => {
      ring(5);
      giveBack(PAGE + 8, 6);
      read(role);
      expect(await texts()).toEqual([
        '0x405000, called by 0x40300f, called by 0x40400f (driver, process 71) gives back 0x4008 after the last register ' +
          `write that the card has received, DOORBELL 0x00000001 at 0x402000: TX reads 16 bytes at 0x4000 (${role}) then, and ` +
          "it may be another's. Wait for the completion, or stop the card and wait until it has stopped, before memory is " +
          'given back [use-after-free]',
      ]);
    },
  );

  it.each([
    ['until the card is stopped, by that register write', 'running', 1],
    ['and not once it has stopped', 'stopped', 0],
  ] as const)('holds the ring of a channel %s', async (_, state, count) => {
    enable('running');
    ring(5);
    read('descriptor');
    enable(state);
    giveBack(PAGE, 6);
    ring(6);
    enable('stopped');
    const found = await texts();
    expect(found).toHaveLength(count);
    for (const text of found) expect(text).toContain('TX is running, and its ring is there');
  });

  it('holds the ring of a channel that is still running at the end', async () => {
    enable('running');
    ring(5);
    read('descriptor');
    giveBack(PAGE, 6);
    expect(await texts()).toEqual([expect.stringContaining('TX is running, and its ring is there')]);
  });

  it('is given back too early where nothing shows that the card is done: by the end of a process, or by a call', async () => {
    ring(5);
    card.as('data').write(PAGE, new Uint8Array(64));
    plugin.release(MUNMAP, { pid: 71, comm: 'driver', isKernel: true });
    plugin.race({ address: PAGE + 8, step: 1, pc: BigInt(MUNMAP), isRelease: true });
    expect(await texts()).toEqual([
      'the kernel (driver, process 71) gives back 0x4008 without having seen that the card is done there: TX ' +
        'writes 64 bytes at 0x4000 (data), started by DOORBELL 0x00000001 at 0x402000. No answer of a register, interrupt ' +
        'or status in memory that the driver has seen since comes after that. Wait for the completion first [use-after-free]',
    ]);
  });
});

describe('behind an IOMMU', () => {
  it('is looked at where the addresses of the card are mapped to', async () => {
    const machine = { vcpus: 1, ram: [{ address: 0x10_0000, sizeBytes: 2 ** 20 }], hasIommu: true };
    using translated = new SharedFile(loadNative(), machine);
    using itsPlugin = new FakePlugin(translated);
    itsPlugin.places(PLACES);
    const itsCard = new IdleCard();
    const itsObserver = new Observer(translated, 1);
    const observed = itsObserver.observe(itsCard, 'card');
    observed.socketPath = '/tmp/card0.sock';
    const itsDetector = new RaceDetector(translated);
    itsDetector.watch(itsCard, 'card', observed);
    const { device } = itsCard.inspection;
    for (const [iova, fileOffset] of [
      [0x8000n, 0x5000],
      [0x9000n, 0x2000],
    ] as const) {
      const backing = { kind: 'bytes', bytes: new Uint8Array(4096), fileOffset } as const;
      device.mapDma({ iova, sizeBytes: 4096n, readable: true, writable: true, backing });
    }
    device.writeRegion(Region.CONFIG, 4, Uint8Array.of(6, 0));
    itsPlugin.record('vfio-user:/tmp/card0.sock BAR 0', {
      ...{ address: BAR_ADDRESS, value: 1n, pc: 0x402000n, barrier: 6 },
      before: new Uint32Array(2 * MAX_VCPUS).fill(5),
    });
    device.writeRegion(0, 0, Uint8Array.of(1, 0, 0, 0));
    translated.shadow.set(0x10_2008, 8, FILL, (6 << MARK.epochAt) >>> 0, MARK.bytesAt);
    void itsCard.as('data').read(0x8ff0, new Uint8Array(32));
    expect((await reportRaces(itsDetector.takeRaces(), undefined)).map(({ text }) => text)).toEqual([
      expect.stringMatching(/^0x401000 writes 0x102008 after .*: TX reads 32 bytes at 0x8ff0 \(data\)/),
    ]);
  });
});

describe('what a card has done, for the plugin', () => {
  function markAt(address: number): { low: number; step: number } {
    const marks: { low: number; step: number }[] = [];
    file.cardShadow.each(address, 1, ({ words }, first) =>
      marks.push({ low: words[2 * first]!, step: words[2 * first + 1]! }),
    );
    return marks[0]!;
  }

  it('is marked with its bytes, its kind and a number that rises', () => {
    read('data', PAGE, 12);
    expect(markAt(PAGE)).toEqual({ low: 0xff, step: 1 });
    expect(markAt(PAGE + 8)).toEqual({ low: 0x0f, step: 1 });
    card.as('data').write(PAGE + 3, new Uint8Array(2));
    expect(markAt(PAGE)).toEqual({ low: CARD_MARK.isWritten | 0x18, step: 2 });
    card.as('write-back').write32(PAGE, 1);
    expect(markAt(PAGE)).toEqual({ low: CARD_MARK.isWritten | CARD_MARK.isStatus | 0x0f, step: 3 });
  });

  it('has been seen by who reads a register or accesses configuration space', () => {
    const seen = () => [plugin.word('answered'), plugin.word('configured'), plugin.word('settled')];
    const before = seen();
    read('data');
    expect(seen()).toEqual(before);
    host.bar(0).read32(4);
    expect(seen()).toEqual([1, ...before.slice(1)]);
    read('data');
    host.config.read32(0);
    expect(seen()).toEqual([1, 2, before[2]]);
    detector.beginRound();
    expect(seen()).toEqual([1, 2, 2]);
  });

  it.each([true, false])(
    'has been seen by who takes an interrupt, if that pushes writes: %s',
    (interruptsPushWrites) => {
      card.inspection.interruptsPushWrites = interruptsPushWrites;
      const before = plugin.word('interrupted');
      read('data');
      card.interrupt();
      read('data');
      expect(plugin.word('interrupted')).toBe(interruptsPushWrites ? 2 : before);
    },
  );

  it('is in the report of a race that the plugin has found', async () => {
    ring(5);
    card.as('data').write(PAGE, new Uint8Array(64));
    plugin.race({ address: PAGE + 8, step: 1, pc: 0x401000n, callers: [0x403010n], pid: 71, comm: 'driver' });
    expect(await texts()).toEqual([
      '0x401000, called by 0x40300f (driver, process 71) reads 0x4008 without having seen that the card is done there: TX writes 64 bytes at ' +
        '0x4000 (data), started by DOORBELL 0x00000001 at 0x402000. No answer of a register, interrupt or status in memory ' +
        'that the driver has seen since comes after that. Wait for the completion first [dma-race]',
    ]);
  });
});

describe('a file of suppressions', () => {
  const dma = { kind: 'dma-read', timeNs: 0, iova: 0, sizeBytes: 8 } as const;
  const race = { kind: 'dma-race', card: 'card', channel: 'TX', code: '', dma, text: '' } as const;
  const report = { ...race, functions: ['put', 'send'], register: 'DOORBELL' };

  const suppressions = (...lines: string[]) => {
    const path = join(mkdtempSync(join(tmpdir(), 'suppressions-')), 'file');
    onTestFinished(() => rmSync(dirname(path), { recursive: true }));
    writeFileSync(path, lines.join('\n'));
    return Suppressions.read(path);
  };

  it.each(['function put', 'function send # inlined', '  register DOORBELL', 'channel TX'])(
    'has the race: %s',
    (line) => {
      const file = suppressions('# known', '', line);
      expect(file.has(report)).toBe(true);
      expect(file.unused).toEqual([]);
    },
  );

  it('names the entries that have suppressed nothing', () => {
    const file = suppressions('function pu', 'channel DOORBELL');
    expect(file.has(report)).toBe(false);
    expect(file.unused).toEqual([
      expect.stringMatching(/file:1: 'function pu' has suppressed nothing$/),
      expect.stringMatching(/file:2: 'channel DOORBELL' has suppressed nothing$/),
    ]);
  });

  it.each(['put', 'function', 'function put send'])('is refused with the line: %s', (line) => {
    expect(() => suppressions('', line)).toThrow(
      `file:2: '${line}' suppresses nothing: a line is 'function NAME', 'register NAME' or 'channel NAME'`,
    );
  });
});

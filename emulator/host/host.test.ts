/** Tests the in-process host, on which card authors' own tests rely, with a small card. */
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../clock';
import { type CardIdentity, PciCard } from '../pci';
import { registerMap } from '../registers';
import { COMMAND, InProcessHost } from '.';

const BELL = registerMap({
  RING: { offset: 0x00, access: 'wo', doc: 'Asserts INTx and sends the message with this number.' },
  QUIET: { offset: 0x04, access: 'wo', doc: 'Deasserts INTx.' },
  WIDE: { offset: 0x08, width: 64, access: 'rw' },
  SHORT: { offset: 0x10, width: 16, access: 'rw' },
  BYTE: { offset: 0x12, width: 8, access: 'rw' },
  NEXT: { offset: 0x14, access: 'rw' },
  AFTER: { offset: 0x18, access: 'rw', doc: 'A write interrupts.' },
  LAST: { offset: 0x1c, access: 'rw' },
});

const messages = { msi: { vectors: 8 }, msix: { bar: 5, vectors: 8 } };

class BellCard extends PciCard {
  readonly registers = this.registerBar(0, BELL);
  readonly memory = this.memoryBar(2, 0x10_0000);
  readonly port = this.dma;

  constructor(change: Partial<CardIdentity> = messages) {
    super(
      { vendorId: 0x1234, deviceId: 0x4756, classCode: 0xff_00_00, intx: 'A', ...change },
      { clock: new ManualClock() },
    );
    this.registers.onWrite('RING', ({ data }) => {
      this.interrupts.setIntx(true);
      this.interrupts.signal(data);
    });
    this.registers.onWrite('QUIET', () => this.interrupts.setIntx(false));
    this.registers.onWrite('AFTER', () => this.interrupts.signal(0));
  }

  late(): void {
    this.memoryBar(1, 4096, { width: 32 });
  }
}

function setUp(card = new BellCard()) {
  const host = new InProcessHost(card);
  return { card, host, registers: host.registers(0, BELL) };
}

describe('enumeration', () => {
  it('assigns every BAR a separate address, a multiple of its size, and enables the function', () => {
    const { host } = setUp();
    expect(host.config.read16(0x04)).toBe(COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER);
    expect(host.config.read32(0x10)).toBe(0xe000_0000);
    expect(host.config.read64(0x18)).toBe(0x40_0000_000cn);
    expect(host.config.read32(0x24)).toBe(0xe000_2000);
  });

  it('leaves the function in its reset state with `enumerate: false`', () => {
    const host = new InProcessHost(new BellCard(), { enumerate: false });
    expect(host.config.read16(0x04)).toBe(0);
    expect(host.bar(0).read32(0)).toBe(0xffff_ffff);
    host.enumerate();
    expect(host.bar(0).read32(0)).toBe(0);
  });

  it('makes the layout final: a BAR that is added later throws', () => {
    const { card } = setUp();
    expect(() => card.late()).toThrow('add BARs in the constructor or in fields');
  });
});

describe('bus accesses', () => {
  it('by name have the width of the register', () => {
    const { registers, host } = setUp();
    registers.write('WIDE', 0x1122_3344_5566_7788n);
    registers.write('SHORT', 0xaabb);
    registers.write('BYTE', 0xcc);
    expect([registers.read('WIDE'), registers.read('SHORT'), registers.read('BYTE')]).toEqual([
      0x1122_3344_5566_7788n,
      0xaabb,
      0xcc,
    ]);
    expect(host.bar(0).read32(0x10)).toBe(0x00cc_aabb);
    expect(host.bar(0).read32(0x0c)).toBe(0x1122_3344);
  });

  it('by offset have the requested size, and do not change other bytes', () => {
    const { host } = setUp();
    const bar = host.bar(0);
    bar.write64(0x08, 0xffff_ffff_ffff_ffffn);
    bar.write8(0x09, 0);
    bar.write16(0x0c, 0x1234);
    expect(bar.read64(0x08)).toBe(0xffff_1234_ffff_00ffn);
    expect([bar.read8(0x09), bar.read16(0x0a)]).toEqual([0, 0xffff]);
    bar.writeBytes(0x08, Uint8Array.of(1, 2, 3));
    expect([...bar.readBytes(0x08, 4)]).toEqual([1, 2, 3, 0xff]);
  });

  it('of 8 bytes are not disturbed by a handler that accesses the same BAR during the access', () => {
    const { host, registers } = setUp();
    host.useInterrupts('msix');
    host.interrupts.onInterrupt = () => registers.write('NEXT', registers.read('NEXT') + 1);
    host.bar(0).write64(0x18, 0x1111_2222_3333_4444n);
    expect(host.interrupts.count()).toBe(1);
    expect(registers.read('NEXT')).toBe(1);
    expect(registers.read('LAST')).toBe(0x1111_2222);
  });

  it('of a register that is not in the map, or of an invalid BAR, throw', () => {
    const { host, registers } = setUp();
    // @ts-expect-error misspelt names do not compile
    expect(() => registers.read('WIED')).toThrow("There is no register 'WIED' in this map.");
    expect(() => host.bar(6)).toThrow('BAR 6: a function has BARs 0 to 5');
  });
});

describe('host memory', () => {
  it('is accessible to the card by DMA, at the requested address', () => {
    const card = new BellCard();
    const host = new InProcessHost(card, { memoryBytes: 8192, memoryIova: 2 ** 40 });
    const buffer = host.memory.allocate(16);
    expect(buffer.iova).toBe(2 ** 40);
    card.port.write(buffer.iova + 4, Uint8Array.of(1, 2, 3, 4));
    expect(buffer.view.getUint32(4, true)).toBe(0x0403_0201);
    expect(() => card.port.read(2 ** 40 + 8192, new Uint8Array(1))).toThrow('not (wholly) inside memory');
  });

  it('is allocated aligned and without overlap, until it is used up', () => {
    const { memory } = new InProcessHost(new BellCard(), { memoryBytes: 4096 });
    const first = memory.allocate(1);
    const second = memory.allocate(100, 256);
    const third = memory.allocate(1, 4);
    expect([first, second, third].map(({ iova }) => iova - memory.iova)).toEqual([0, 256, 356]);
    expect(() => memory.allocate(4096)).toThrow(
      /allocating 4096 bytes .* of 4096 are left; create the host with a larger/,
    );
  });
});

describe('interrupts', () => {
  it.each(['msi', 'msix'] as const)('by %s arrive on the vector of the message', (kind) => {
    const { host, registers } = setUp();
    host.useInterrupts(kind, 4);
    const arrived: number[] = [];
    host.interrupts.onInterrupt = (vector) => arrived.push(vector);
    registers.write('RING', 3);
    registers.write('RING', 1);
    expect(arrived).toEqual([3, 1]);
    expect(host.interrupts.count(3)).toBe(1);
  });

  it('by INTx count as masked until unmasked, and trigger again while asserted', () => {
    const { host, registers } = setUp();
    host.useInterrupts('intx');
    registers.write('RING', 0);
    registers.write('RING', 0);
    expect(host.interrupts.count()).toBe(1);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(2);
    registers.write('QUIET', 0);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(2);
  });

  const kinds = ['intx', 'msi', 'msix'] as const;
  it.each(kinds.flatMap((from) => kinds.map((to) => [from, to] as const)))(
    'switch from %s to %s: the previous mechanism is disabled',
    (from, to) => {
      const { host, registers } = setUp();
      host.useInterrupts(from);
      registers.write('RING', 0);
      registers.write('QUIET', 0);
      host.useInterrupts(to);
      expect(host.interrupts.count()).toBe(0);
      registers.write('RING', 0);
      expect(host.interrupts.count()).toBe(1);
    },
  );

  it('do not arrive once disconnected', () => {
    const { host, registers } = setUp();
    host.useInterrupts('msi');
    host.interrupts.disconnect();
    registers.write('RING', 0);
    expect(host.interrupts.count()).toBe(0);
  });

  it('that the card cannot raise are refused', () => {
    expect(() => setUp(new BellCard({})).host.useInterrupts('msi')).toThrow('MSI vectors 0 to 0: the card has 0');
    expect(() => setUp().host.useInterrupts('msi', 3)).toThrow('enabling 3 MSI vectors: MSI allows only 1, 2, 4');
    expect(() => setUp().host.useInterrupts('msix', 9)).toThrow('MSI-X vectors 0 to 8: the card has 8');
  });
});

it('is cheap enough for every test to create its own card and host', () => {
  for (let made = 0; made < 300; made++) {
    const { registers } = setUp();
    registers.write('NEXT', made);
    expect(registers.read('NEXT')).toBe(made);
  }
});

describe('reset', () => {
  it.each(['device', 'flr'] as const)(
    'of kind %s resets the registers and leaves the card ready to be driven',
    (kind) => {
      const { host, registers } = setUp();
      host.useInterrupts('msix', 8);
      registers.write('NEXT', 5);
      host.reset(kind);
      expect(registers.read('NEXT')).toBe(0);
      registers.write('NEXT', 6);
      expect(registers.read('NEXT')).toBe(6);
      registers.write('RING', 3);
      expect(host.interrupts.count(3)).toBe(0);
      host.useInterrupts('msix', 8);
      registers.write('RING', 3);
      expect(host.interrupts.count(3)).toBe(1);
    },
  );
});

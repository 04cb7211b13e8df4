/** Each check on a driver that makes its mistake, and on drivers that do nearly the same and rightly so. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { COMMAND, InProcessHost } from '../../emulator/host';
import { EXAMPLES, noticesOf, OFFSETS, sitDown, type Sitting } from '../../test/support/check-examples';
import { DEVICE_CONTROL, INITIATE_FLR } from '../../test/support/pci-bus';
import { ChannelDriver } from '../../test/support/reference-driver';
import { type CardNotice, describeEvent, readTrace, RegisterNames, TraceRecorder, traceOf } from '../trace';
import { CHECK_NAMES, checksOf } from '.';

const RUNNING = COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER;
const { CONTROL, STATUS, RING, COUNT, FETCH, HOLE } = OFFSETS;
const kindsOf = ({ notices }: Sitting): string[] => notices.map(({ kind }) => kind);
/** What a driver does, and the kinds of notices that it gets. */
const noticed = (act: (sitting: Sitting) => void): string[] => {
  const sitting = sitDown();
  act(sitting);
  return kindsOf(sitting);
};

describe('every check', () => {
  it('has an example', () => expect(Object.keys(EXAMPLES).sort()).toEqual([...CHECK_NAMES].sort()));

  it.each(CHECK_NAMES)('%s reports its example once, with its name, and nothing else does', (name) => {
    const notices = noticesOf(name);
    expect(notices.map(({ kind }) => kind)).toEqual([name]);
    expect(notices[0]!.text).toMatch(new RegExp(`\\[${name}\\]$`));
  });

  it.each(CHECK_NAMES)('%s is silent when it is switched off', (name) => {
    expect(noticesOf(name, [name])).toEqual([]);
  });
});

describe('checks of a card', () => {
  it('give one notice of a kind, and count the rest with what they are about', () => {
    const { bar, checks, notices } = sitDown();
    bar.write8(CONTROL, 1);
    bar.write8(CONTROL, 1);
    bar.read8(STATUS);
    expect(notices).toHaveLength(1);
    expect(checks.counts).toEqual([{ kind: 'access-size', times: 3, subjects: ['CONTROL', 'STATUS'] }]);
  });

  it('subscribe to nothing when all are switched off', () => {
    const { bar, checks } = sitDown(CHECK_NAMES);
    bar.write8(CONTROL, 1);
    expect(checks.counts).toEqual([]);
  });

  it('refuse a name that there is not, and name the nearest', () => {
    expect(() => sitDown(['acces-size'])).toThrow("there is no check 'acces-size'; did you mean 'access-size'?");
  });

  it('are there for every card that is driven in process, and kept in its trace', () => {
    const card = new ReferenceCard({ clock: new ManualClock() });
    new InProcessHost(card).bar(0).read8(0);
    expect(traceOf(card).notices.map(({ text }) => text)).toEqual([expect.stringContaining('ID')]);
  });

  it('record a notice after the event that it is about', () => {
    const folder = mkdtempSync(join(tmpdir(), 'gc-checks-'));
    try {
      const card = new ReferenceCard({ clock: new ManualClock() });
      const recorder = new TraceRecorder(join(folder, 'run.trace'));
      traceOf(card).record(recorder, { name: 'card' });
      new InProcessHost(card).bar(0).write8(0x0c, 1);
      recorder.close();
      const { events } = readTrace(recorder.path);
      const at = events.findIndex(({ kind }) => kind === 'notice');
      expect(describeEvent({ ...events[at - 1]!, sequence: 0, times: 1 } as never, RegisterNames.of(card))).toMatch(
        /write SCRATCH 0x01/,
      );
      expect(checksOf(card).counts).toMatchObject([{ kind: 'access-size', times: 1 }]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('dma-crosses-4k', () => {
  const fetching = (offset: number, sizeBytes: number) =>
    noticed(({ host, bar }) => {
      bar.write64(RING, BigInt(host.memory.allocate(16_384, 4096).iova + offset));
      bar.write32(FETCH, sizeBytes);
    });

  it('reports a request of up to Max_Read_Request_Size that crosses 4 KiB, with channel, address and boundary', () => {
    expect(fetching(0xfe0, 128)).toEqual(['dma-crosses-4k']);
    expect(noticesOf('dma-crosses-4k')[0]!.text).toMatch(
      /^ENGINE reads 128 bytes at 0x\w+fe0 \(descriptor\), across the 4 KiB boundary at 0x\w+000: no request crosses one/,
    );
  });

  it('is silent about one that ends at the boundary, and about what is several requests in any case', () => {
    expect(fetching(0xf80, 128)).toEqual([]);
    expect(fetching(0xfe0, 513)).toEqual([]);
    expect(fetching(0xfe0, 8192)).toEqual([]);
  });

  it('is silent about the reference card, wherever its ring and its buffers lie', () => {
    const clock = new ManualClock();
    const card = new ReferenceCard({ clock });
    const host = new InProcessHost(card);
    host.memory.allocate(4096 - 3 * 32, 32);
    const driver = new ChannelDriver(host, 'H2C');
    const data = host.memory.allocate(64 << 10, 4096);
    for (const lengthBytes of [1, 100, 128, 512, 4000, 4096, 5000, 20_000]) {
      driver.submit({ hostAddress: data.iova + 4096 - 60, lengthBytes });
      clock.advance(1_000_000);
    }
    expect(driver.state).toMatchObject({ completed: 8, halted: false });
    expect(checksOf(card).counts).toEqual([]);
  });
});

describe('access-size', () => {
  it.each<[string, RegExp, (sitting: Sitting) => void]>([
    ['narrower', /2 bytes at BAR0 \+ 0x2: CONTROL \+ 2, a register 32 bits wide/, ({ bar }) => bar.write16(2, 1)],
    ['wider', /8 bytes at BAR0 \+ 0x0: CONTROL and STATUS, registers/, ({ bar }) => bar.write64(0, 1n)],
    ['wider than one of 16 bits', /COUNT, a register 16 bits wide/, ({ bar }) => bar.read32(COUNT)],
    ['unaligned', /4 bytes at BAR0 \+ 0x2: CONTROL and STATUS/, ({ bar }) => bar.read32(2)],
    ['in a hole', /4 bytes at BAR0 \+ 0x40, where the card has no register/, ({ bar }) => bar.read32(HOLE)],
  ])('reports an access that is %s, with the register', (_, words, act) => {
    const sitting = sitDown();
    act(sitting);
    expect(kindsOf(sitting)).toEqual(['access-size']);
    expect(sitting.notices[0]!.text).toMatch(words);
  });

  it('says what becomes of an unaligned access on amd64 and on arm64', () => {
    expect(noticesOf('access-size')[0]!.text).toMatch(/in such pieces on amd64; on arm64 an unaligned one is SIGBUS/);
  });

  it('is silent about whole registers, halves of 64-bit ones, memory, the MSI-X table and configuration space', () => {
    expect(
      noticed(({ bar, host }) => {
        bar.write32(CONTROL, 0);
        bar.write64(RING, 1n);
        bar.write32(RING, 1);
        bar.read32(RING + 4);
        bar.read16(COUNT);
        host.bar(2).write8(3, 1);
        host.bar(4).write64(0, 1n);
        host.config.read8(5);
      }),
    ).toEqual([]);
  });
});

describe('lost-update', () => {
  it('reports two threads that each set a bit of what they both have read', () => {
    const sitting = sitDown();
    const { bar } = sitting;
    bar.write32(CONTROL, 0x10);
    bar.read32(CONTROL);
    bar.read32(CONTROL);
    bar.write32(CONTROL, 0x12);
    bar.write32(CONTROL, 0x50);
    expect(kindsOf(sitting)).toEqual(['lost-update']);
    expect(sitting.notices[0]!.text).toContain('another write made it 0x12');
    expect(sitting.notices[0]!.text).toContain('undoes the change of IRQ_ENABLE');
  });

  it('reports a bit that the card clears by itself and that is written again, while the card is at work only', () => {
    const flushing = (act: (sitting: Sitting) => void): readonly CardNotice[] => {
      const sitting = sitDown();
      const { bar } = sitting;
      bar.write32(CONTROL, 0x110);
      bar.read32(CONTROL);
      act(sitting);
      return sitting.notices;
    };
    const again = flushing(({ bar }) => bar.write32(CONTROL, 0x112));
    expect(again.map(({ kind, register }) => [kind, register])).toEqual([['lost-update', 'CONTROL']]);
    expect(again[0]!.text).toContain('1 in FLUSH again while the card is at work, which clears FLUSH by itself');
    const late = flushing(({ bar, clock }) => {
      clock.advance(1000);
      bar.write32(CONTROL, 0x112);
    });
    expect(late.map(({ text }) => text)).toEqual([expect.stringContaining('undoes the change of FLUSH')]);
    expect(flushing(({ bar }) => bar.write32(CONTROL, 0x12))).toEqual([]); // FLUSH is left alone
    expect(flushing(({ bar }) => bar.write32(CONTROL, 0x110))).toEqual([]);
    expect(
      noticed(({ bar, card }) => {
        card.registers.set('CONTROL.FLUSH', 1); // and nothing is under way
        bar.write32(CONTROL, bar.read32(CONTROL) | 2);
      }),
    ).toEqual([]);
  });

  it('is silent about a driver that starts what has ended, sets one field twice, or pulses bits', () => {
    expect(
      noticed(({ card, bar, clock }) => {
        bar.write32(CONTROL, 0x11);
        bar.read32(CONTROL);
        card.registers.set('CONTROL.RUN', 0);
        bar.write32(CONTROL, 0x11); // as it was read: started again
        bar.read32(CONTROL);
        card.registers.set('CONTROL.RUN', 0);
        clock.advance(20e6);
        bar.write32(CONTROL, 0x13); // much later
        for (const [first, second] of [
          [0x12, 0x10],
          [0x50, 0x40],
        ] as const) {
          bar.write32(CONTROL, 0);
          bar.read32(CONTROL);
          bar.read32(CONTROL);
          bar.write32(CONTROL, first);
          bar.write32(CONTROL, second);
        }
      }),
    ).toEqual([]);
  });
});

describe('acknowledged-unread', () => {
  it('reports several causes that are acknowledged after a shared interrupt without a read', () => {
    const sitting = sitDown();
    const { card, bar, host } = sitting;
    host.useInterrupts('intx');
    bar.read32(STATUS);
    card.status(3);
    bar.write32(STATUS, 7);
    expect(kindsOf(sitting)).toEqual(['acknowledged-unread']);
    expect(sitting.notices[0]!.text).toContain('acknowledges DONE, ERROR in STATUS and has not read it');
  });

  it('is silent about what was read, about one cause, and about a register that is cleared at the start', () => {
    expect(
      noticed(({ card, bar, host }) => {
        host.useInterrupts('intx');
        card.status(3);
        bar.write32(STATUS, 7); // what an earlier run has left
        card.status(1);
        bar.write32(STATUS, 1); // the driver has one cause
        card.status(1);
        const read = bar.read32(STATUS);
        card.status(2);
        bar.write32(STATUS, read);
        bar.write32(STATUS, bar.read32(STATUS));
      }),
    ).toEqual([]);
  });
});

describe('error-unread', () => {
  /** A fetch fails, then the driver does something, and uses the card. */
  const failing = (act: (sitting: Sitting) => void) => (sitting: Sitting) => {
    sitting.bar.write64(RING, 0xdead_0000n);
    sitting.bar.write32(FETCH, 64);
    act(sitting);
    sitting.bar.write32(CONTROL, 0);
  };
  const leave = ({ checks }: Sitting) => checks.driverLeft('the command has ended');
  const unread = failing(() => {});

  it('reports an error when the card is reset, with its register, its field and when it was reported', () => {
    const sitting = sitDown();
    sitting.clock.advance(2000);
    unread(sitting);
    sitting.host.reset('flr');
    expect(sitting.notices).toMatchObject([{ kind: 'error-unread', register: 'STATUS' }]);
    expect(sitting.notices[0]!.text).toMatch(
      /has reported an error at 2\.000 us, STATUS\.ERROR: STATUS was 0x2 \(ERROR=1\)\..* now the card is reset/,
    );
  });

  it('names the DMA channel whose register it is', () => {
    const clock = new ManualClock();
    const card = new ReferenceCard({ clock });
    const host = new InProcessHost(card);
    const driver = new ChannelDriver(host, 'H2C');
    driver.registers.write('H2C[0].WRITEBACK_ADDRESS', 0n);
    driver.registers.write('H2C[0].RING_SIZE', 3);
    driver.registers.write('H2C[0].DOORBELL', 1);
    clock.advance(1000);
    driver.registers.read('ID');
    checksOf(card).driverLeft('the command has ended');
    expect(traceOf(card).notices.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^H2C0 has reported an error at .*, H2C\[0\]\.STATUS\.ERROR: .*ERROR_CODE=BAD_RING/),
    ]);
  });

  it.each<[string, (sitting: Sitting) => void]>([
    ['was read, in whatever size', failing(({ bar }) => void bar.read8(STATUS))],
    [
      'was read before the next one was reported',
      failing(({ bar }) => {
        bar.read32(STATUS);
        bar.write32(FETCH, 64);
      }),
    ],
    ['was cleared', failing(({ bar }) => bar.write32(STATUS, 7))],
    [
      'came when the driver no longer used the card',
      (sitting) => {
        sitting.bar.write64(RING, 0xdead_0000n);
        sitting.bar.write32(FETCH, 64);
      },
    ],
    [
      'is followed by what the card tells in memory',
      failing(({ host, card }) => {
        card.tell(host.memory.allocate(64).iova);
      }),
    ],
  ])('is silent about an error that %s', (_, act) => {
    expect(noticed((sitting) => (act(sitting), leave(sitting)))).not.toContain('error-unread');
  });

  it('is silent about what an earlier driver has left, and about a loss of power', () => {
    expect(
      noticed((sitting) => {
        sitting.bar.write64(RING, 0xdead_0000n);
        sitting.bar.write32(FETCH, 64);
        leave(sitting);
        sitting.bar.read32(CONTROL);
        sitting.host.reset('flr');
        unread(sitting);
        sitting.card.reset('power');
      }),
    ).toEqual([]);
  });
});

describe('enabled-with-cause', () => {
  it('is silent when the driver acknowledges, or writes any register, and about the second time', () => {
    const enableAgain = ({ host }: Sitting) => {
      host.command(RUNNING | COMMAND.INTERRUPT_DISABLE);
      host.interrupts.unmaskIntx();
      host.command(RUNNING);
    };
    expect(
      noticed((sitting) => {
        const { card, bar, host } = sitting;
        host.useInterrupts('intx');
        for (let i = 0; i < 5; i++) {
          card.status(1);
          host.command(RUNNING | COMMAND.INTERRUPT_DISABLE);
          bar.write32(STATUS, bar.read32(STATUS));
          host.interrupts.unmaskIntx();
          host.command(RUNNING);
        }
        card.status(1);
        for (let i = 0; i < 5; i++) {
          enableAgain(sitting);
          enableAgain(sitting);
          bar.write32(CONTROL, 0);
        }
      }),
    ).toEqual([]);
  });
});

describe('vector-beyond', () => {
  it('is silent about the last vector, and about MSI, where causes share vectors', () => {
    expect(
      noticed(({ card, bar, host }) => {
        host.useInterrupts('msix', 4);
        bar.write32(OFFSETS.VECTOR, 3);
        card.raise();
      }),
    ).toEqual([]);
  });
});

describe('stale-interrupt', () => {
  it('reports what a new driver receives when one was unbound and another is bound', () => {
    expect(
      noticed(({ card, host }) => {
        host.useInterrupts('intx');
        host.command(RUNNING | COMMAND.INTERRUPT_DISABLE);
        card.status(1);
        host.command(COMMAND.MEMORY_SPACE | COMMAND.INTERRUPT_DISABLE);
        host.command(RUNNING);
      }),
    ).toEqual(['stale-interrupt']);
  });

  it('is silent when the driver has cleared what was left, or has used the card in between', () => {
    expect(
      noticed(({ card, bar, host, checks }) => {
        host.useInterrupts('intx');
        host.command(RUNNING | COMMAND.INTERRUPT_DISABLE);
        card.status(1);
        checks.driverLeft('the command has ended');
        bar.write32(STATUS, 7);
        host.command(RUNNING);
        card.status(1);
        host.command(COMMAND.MEMORY_SPACE | COMMAND.INTERRUPT_DISABLE);
        bar.read32(CONTROL); // the same driver, which has stopped DMA for a while
        host.command(RUNNING);
      }),
    ).toEqual([]);
  });
});

describe('dma-without-driver and stale-rings', () => {
  const start = ({ bar, host }: Sitting) => {
    bar.write64(RING, BigInt(host.memory.allocate(4096, 4096).iova));
    bar.write32(CONTROL, 1);
  };

  it('are silent when the next driver sets the card up, or resets it', () => {
    expect(
      noticed((sitting) => {
        const { bar, host, checks, clock } = sitting;
        start(sitting);
        checks.driverLeft('the command has ended');
        bar.write32(CONTROL, 0);
        host.command(COMMAND.MEMORY_SPACE);
        start(sitting);
        clock.advance(5000);
        host.command(RUNNING);
        clock.advance(5000);
        host.command(COMMAND.MEMORY_SPACE);
        host.reset('flr');
        clock.advance(5000);
      }),
    ).toEqual([]);
  });

  it('report an engine that a reset has not stopped', () => {
    const sitting = sitDown();
    const { card, host, clock } = sitting;
    start(sitting);
    const ring = card.registers.get('RING');
    clock.advance(500);
    host.reset('flr');
    card.registers.set('RING', ring);
    card.registers.set('CONTROL.RUN', 1);
    clock.advance(5000);
    expect(kindsOf(sitting)).toEqual(['stale-rings']);
    expect(sitting.notices[0]!.text).toMatch(/no register has been written since the card was reset: .*PCIe 6\.6\.2/);
  });

  it('are silent about DMA that Bus Master Enable refuses', () => {
    expect(
      noticed((sitting) => {
        start(sitting);
        sitting.checks.driverLeft('the command has ended');
        sitting.host.command(COMMAND.MEMORY_SPACE);
        sitting.clock.advance(5000);
      }),
    ).toEqual([]);
  });
});

describe('left-at-work', () => {
  /** A channel that waits for data, into a buffer that the driver has handed over. */
  const receiving = () => {
    const clock = new ManualClock();
    const card = new ReferenceCard({ clock });
    const host = new InProcessHost(card);
    const driver = new ChannelDriver(host, 'C2H');
    driver.registers.write('PAIR[0].PROCESSING', 1);
    driver.submit({ hostAddress: host.memory.allocate(4096).iova, lengthBytes: 4096 });
    clock.advance(1000);
    return { card, host, driver, checks: checksOf(card), notices: () => traceOf(card).notices.map(({ text }) => text) };
  };

  it('reports an engine that is running, with its last access, once for each driver', () => {
    const { checks, notices } = receiving();
    expect(checks.isUnsettled).toBe(true);
    checks.driverLeft('the command has ended');
    expect(checks.isUnsettled).toBe(false);
    checks.driverLeft('another command has ended');
    expect(notices()).toEqual([
      expect.stringMatching(/^C2H0 is still at work although the command has ended: .* a read of 32 bytes at 0x/),
    ]);
    expect(checks.counts).toMatchObject([{ kind: 'left-at-work', times: 1, subjects: ['C2H0'] }]);
  });

  it('reports an engine under which Bus Master Enable is cleared, also when the card is reset before it is known', () => {
    const { card, host, checks, notices } = receiving();
    host.command(COMMAND.MEMORY_SPACE);
    host.command(0);
    card.reset();
    expect(checks.isUnsettled).toBe(true);
    checks.driverLeft('the command has ended');
    expect(notices()).toEqual([expect.stringMatching(/^C2H0 was still at work when Bus Master Enable was cleared at/)]);
  });

  it.each<[string, (sitting: ReturnType<typeof receiving>) => void]>([
    ['is stopped', ({ driver }) => driver.registers.write('C2H[0].CONTROL', 2)],
    [
      'is stopped after Bus Master Enable was cleared',
      ({ host, driver }) => {
        host.command(COMMAND.MEMORY_SPACE);
        driver.registers.write('C2H[0].CONTROL', 2);
      },
    ],
    ['is stopped by a reset', ({ host }) => host.reset('flr')],
    [
      'is reset by Linux, which disables decoding too',
      ({ host }) => {
        host.command(0);
        host.reset('flr');
        host.command(COMMAND.MEMORY_SPACE);
      },
    ],
  ])('is silent about an engine that %s', (_, act) => {
    const sitting = receiving();
    act(sitting);
    sitting.checks.driverLeft('the command has ended');
    expect(sitting.notices()).toEqual([]);
  });

  it('is silent about an engine that waits for descriptors, and about one that only writes what was under way', () => {
    const { host, driver, checks, notices } = receiving();
    driver.registers.write('C2H[0].CONTROL', 2);
    driver.registers.write('C2H[0].CONTROL', 1);
    host.command(COMMAND.MEMORY_SPACE);
    checks.driverLeft('the command has ended');
    expect(notices()).toEqual([]);
    expect(
      noticed(({ card, host, checks }) => {
        const { iova } = host.memory.allocate(64);
        card.tell(iova);
        host.command(COMMAND.MEMORY_SPACE);
        expect(() => card.tell(iova)).toThrow();
        checks.driverLeft('the command has ended');
      }),
    ).toEqual([]);
  });
});

describe('unclaimed-reads', () => {
  it('reports a BAR that is moved while the card is in use', () => {
    expect(
      noticed(({ bar, host }) => {
        bar.read32(STATUS);
        host.config.write32(0x10, 0xffff_ffff);
      }),
    ).toEqual(['unclaimed-reads']);
  });

  it('is silent about BARs that are sized before the card is used, and about the way in which Linux resets a card', () => {
    expect(
      noticed(({ bar, host }) => {
        host.command(COMMAND.BUS_MASTER);
        host.config.write32(0x10, 0xffff_ffff);
        host.command(RUNNING);
        bar.read32(STATUS);
        host.command(COMMAND.INTERRUPT_DISABLE);
        host.reset();
        host.config.write32(0x10, 0xfe80_0000);
        host.command(RUNNING);
      }),
    ).toEqual([]);
  });
});

describe('flr-by-hand', () => {
  it('is silent about a driver that restores the BARs, and about the way in which Linux resets a card', () => {
    expect(
      noticed(({ host }) => {
        host.reset('flr');
        host.command(COMMAND.INTERRUPT_DISABLE);
        host.config.write16(DEVICE_CONTROL, INITIATE_FLR);
        host.command(RUNNING);
      }),
    ).toEqual([]);
  });
});

describe('intx-left-asserted', () => {
  it('is silent while the card asserts the line, and when the client has released it', () => {
    expect(
      noticed(({ card, host }) => {
        host.useInterrupts('intx');
        card.status(1);
        for (let i = 0; i < 2000; i++) host.config.read32(4);
        card.registers.set('STATUS', 0);
        card.driveLine();
        host.interrupts.unmaskIntx();
        for (let i = 0; i < 2000; i++) host.config.read32(4);
      }),
    ).toEqual([]);
  });
});

import { describe, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference/index.ts';
import { ManualClock, WallClock } from '../../emulator/clock/index.ts';
import { InProcessHost } from '../../emulator/host/index.ts';
import { type ExecResult } from '../../qemu/channel/index.ts';
import { expect } from './index.ts';
import { CONTROL, SecretiveCard, TestCard, TwoBarCard } from '../../test/support/matcher-card.ts';

function setUp() {
  const clock = new ManualClock();
  const card = new TestCard({ clock });
  const host = new InProcessHost(card);
  return { card, clock, driver: host.registers(0, CONTROL), host };
}

describe('toHaveRegister', () => {
  it('takes registers, fields, blocks and 64-bit values', () => {
    const { card, driver } = setUp();
    driver.write('ADDRESS', 0x1_0000_0000n);
    driver.write('LANE[1].ERRORS', 3);
    expect(card).toHaveRegister('ADDRESS', 0x1_0000_0000n);
    expect(card).toHaveRegister('LANE[1].ERRORS', 3);
    expect(card).toHaveRegister('STATUS.DONE', 0);
    expect(card).not.toHaveRegister('STATUS.DONE', 1);
  });

  it('reports the actual value, and the last write', () => {
    const { card, driver } = setUp();
    driver.write('CTRL', 1);
    for (let i = 0; i < 3; i++) driver.read('STATUS');
    expect(() => expect(card).toHaveRegister('STATUS.DONE', 1)).toThrow(
      'expected STATUS.DONE to be 1, it is 0; last write to CTRL was 0x1 (START=1), 3 accesses ago\n' +
        'STATUS is 0x0\n' +
        "The card's last accesses:\n" +
        '         0.000 us  write CTRL 0x00000001 (START=1)\n' +
        '         0.000 us  read STATUS 0x00000000  (3 times)',
    );
  });

  it('reports the last write to the register itself, else to its block', () => {
    const { card, driver } = setUp();
    const asked = () => expect(card).toHaveRegister('LANE[0].ERRORS', 9);
    expect(asked).toThrow('it is 0; the card has not been accessed');
    driver.read('CTRL');
    expect(asked).toThrow('it is 0; no register of BAR0 has been written');
    driver.write('LANE[0].ERRORS', 0x20);
    driver.write('LANE[1].ERRORS', 1);
    driver.write('LENGTH', 1);
    expect(asked).toThrow(
      'expected LANE[0].ERRORS to be 9, it is 0x20; last write to LANE[0].ERRORS was 0x20, 2 accesses ago',
    );
  });

  it('reports values by their names', () => {
    const { card } = setUp();
    expect(() => expect(card).toHaveRegister('STATUS.MODE', 1)).toThrow(
      'expected STATUS.MODE to be LOOPBACK (1), it is MEMORY (0)',
    );
    expect(() => expect(card).not.toHaveRegister('STATUS.MODE', 0)).toThrow(
      'expected STATUS.MODE not to be MEMORY (0); ',
    );
  });

  it('needs the BAR of a name that two BARs have, and shows it in accesses', () => {
    const card = new TwoBarCard({ clock: new ManualClock() });
    const host = new InProcessHost(card);
    host.bar(2).write32(0, 1);
    expect(card).toHaveRegister('BAR2:STATUS.ALARM', 1);
    expect(card).toHaveRegister('LEDS', 0);
    expect(() => expect(card).toHaveRegister('STATUS', 0)).toThrow(
      "'STATUS' is several registers of the card: write 'BAR0:STATUS' or 'BAR2:STATUS'.",
    );
    expect(() => expect(card).toHaveRegister('BAR2:STATUS', 0)).toThrow('write BAR2:STATUS 0x00000001 (ALARM=1)');
  });

  it('suggests names where the compiler cannot check them', () => {
    const card = new SecretiveCard({ clock: new ManualClock() });
    expect(card).toHaveRegister('LEDS', 0);
    expect(() => expect(card).toHaveRegister('LEDZ', 0)).toThrow(
      "no register or field 'LEDZ'; the nearest are LEDS, STATUS.",
    );
    expect(() => expect(card).toHaveRegister('STATUS.X', 0)).toThrow('the only one is STATUS.ALARM.');
    expect(() => expect(card).toHaveRegister('LEDS.X', 0)).toThrow('LEDS has no fields.');
    expect(() => expect(card).toHaveRegister('NOTHING', 0)).toThrow('the nearest are STATUS, LEDS.');
  });

  it('refuses an argument of expect that is not a card', () => {
    const { card } = setUp();
    // @ts-expect-error -- a handle is not a card
    expect(() => expect({ card }).toHaveRegister('STATUS', 0)).toThrow(
      'toHaveRegister needs a card (a PciCard), but was given a Object; did you mean its property card?',
    );
  });
});

describe('toReachRegister', () => {
  it('resolves as soon as an event of the card meets the condition', async () => {
    const { card, clock, driver } = setUp();
    const reached = expect(card).toReachRegister('STATUS.DONE', 1);
    driver.write('CTRL', 1);
    clock.advance(10_000);
    driver.read('STATUS');
    await reached;
  });

  it('sees the effect of an access itself', async () => {
    const { card, driver } = setUp();
    const reached = expect(card).toReachRegister('LENGTH', 64);
    driver.write('LENGTH', 64);
    await reached;
  });

  it('rejects after its limit, with the limit and the last accesses', async () => {
    const { card, driver } = setUp();
    driver.write('LENGTH', 1);
    await expect(expect(card).toReachRegister('STATUS.DONE', 1, { timeoutMs: 20 })).rejects.toThrow(
      'expected STATUS.DONE to become 1 within 20 ms, it is 0; last write to LENGTH was 0x1, the last access',
    );
  });

  it('checks once more at its limit, for a change without an access or interrupt', async () => {
    const clock = new WallClock();
    const card = new TestCard({ clock });
    new InProcessHost(card).registers(0, CONTROL).write('CTRL', 1);
    await expect(card).toReachRegister('STATUS.DONE', 1, { timeoutMs: 100 });
    clock.close();
  });
});

describe('toHaveInterrupted', () => {
  it('counts the interrupts of a vector', async () => {
    const { card, clock, driver, host } = setUp();
    host.useInterrupts('msix', 4);
    const interrupted = expect(card).toInterrupt(1, { times: 2 });
    driver.write('CTRL', 1);
    driver.write('CTRL', 1);
    clock.advance(10_000);
    await interrupted;
    expect(card).toHaveInterrupted(1);
    expect(card).toHaveInterrupted(1, { times: 2, by: 'msix' });
    expect(card).not.toHaveInterrupted(0);
    expect(() => expect(card).toHaveInterrupted(0)).toThrow(
      'expected vector 0 to have interrupted, it did not; there were MSI-X vector 1 (2 times); connected are MSI-X 0-3',
    );
    expect(() => expect(card).toHaveInterrupted(1, { times: 3 })).toThrow(
      'expected vector 1 to have interrupted 3 times, it did 2 times; ',
    );
    expect(() => expect(card).not.toHaveInterrupted(1)).toThrow('expected vector 1 not to have interrupted, it did');
  });

  it('reports that the driver has connected no vector', async () => {
    const { card } = setUp();
    await expect(expect(card).toInterrupt(0, { timeoutMs: 10 })).rejects.toThrow(
      'expected vector 0 to interrupt once within 10 ms, it did not; there was no interrupt; the driver has connected no vector',
    );
  });
});

describe('toHaveBeenReset', () => {
  it('distinguishes function-level resets from others', () => {
    const { card, host } = setUp();
    expect(card).not.toHaveBeenReset();
    host.reset('device');
    expect(card).toHaveBeenReset();
    expect(() => expect(card).toHaveBeenReset('flr')).toThrow(
      'expected the card to have been reset (flr); resets so far: device 1',
    );
    host.reset('flr');
    expect(card).toHaveBeenReset('flr');
  });
});

describe('matchers for host memory', () => {
  function afterCopy(sizeBytes = 64) {
    const rig = setUp();
    const buffer = rig.host.memory.allocate(64);
    buffer.bytes.forEach((_, i) => (buffer.bytes[i] = i));
    rig.driver.write('ADDRESS', BigInt(buffer.iova));
    rig.driver.write('LENGTH', sizeBytes);
    rig.driver.write('CTRL', 1);
    rig.clock.advance(10_000);
    return { ...rig, buffer, reversed: Uint8Array.from({ length: 64 }, (_, i) => 63 - i) };
  }

  it('accept totals, ranges and bytes', async () => {
    const { buffer, card, reversed } = afterCopy();
    const { iova } = buffer;
    expect(card).toHaveReadHost();
    expect(card).toHaveReadHost({ atLeastBytes: 64 });
    expect(card).toHaveReadHost({ iova: iova + 8, sizeBytes: 8 });
    expect(card).toHaveWrittenHost({ iova: BigInt(iova), bytes: reversed });
    expect(card).not.toHaveWrittenHost({ iova, sizeBytes: 65 });
    expect(card).not.toHaveDmaError();
    await expect(card).toReadHost();
    await expect(card).toWriteHost({ iova, bytes: reversed, timeoutMs: 10 });
  });

  it('report what the card has accessed', () => {
    const { buffer, card, reversed } = afterCopy();
    const { iova } = buffer;
    reversed[3] = 0;
    expect(() => expect(card).toHaveWrittenHost({ iova, bytes: reversed })).toThrow(
      `expected the card to have written the 64 bytes of host memory at 0x${iova.toString(16)}; it has written 64 bytes ` +
        `in one access; byte 3 (at 0x${(iova + 3).toString(16)}) is 0x3c instead of 0x00`,
    );
    expect(() => expect(card).toHaveReadHost({ atLeastBytes: 65 })).toThrow(
      'expected the card to have read at least 65 bytes of host memory; it has read 64 bytes in one access',
    );
    expect(() => expect(card).toHaveDmaError()).toThrow('expected the card to have had a DMA error; there was none');
  });

  it('distinguish DMA errors by their reason', () => {
    const { card, clock, driver } = setUp();
    driver.write('LENGTH', 16);
    driver.write('CTRL', 1);
    clock.advance(10_000);
    expect(card).toHaveDmaError('unmapped');
    expect(() => expect(card).toHaveDmaError('reset')).toThrow('DMA reads 16 bytes at 0x0 failed, unmapped');
    expect(() => expect(card).not.toHaveDmaError()).toThrow(
      'expected the card not to have had a DMA error; there was:',
    );
    expect(() => expect(card).toHaveReadHost()).toThrow('it has read nothing, and 1 access failed');
  });
});

describe('matchers for commands', () => {
  const ended = (
    result: Partial<Record<'stdout' | 'stderr', string>> &
      Partial<Pick<ExecResult, 'exitCode' | 'signal' | 'timedOut'>>,
  ) => ({
    timedOut: false,
    durationMs: 12,
    ...result,
    stdout: Buffer.from(result.stdout ?? ''),
    stderr: Buffer.from(result.stderr ?? ''),
  });

  it('pass when their condition is met', () => {
    expect(ended({ exitCode: 0, stdout: 'ready\n' })).toSucceed();
    expect(ended({ exitCode: 3 })).toExitWith(3);
    expect(ended({ exitCode: 3 })).not.toSucceed();
    expect(ended({ exitCode: 0, stdout: 'ready\n' })).toPrint(/^ready$/m);
    expect(ended({ exitCode: 0, stderr: 'oh dear' })).toPrint('dear', { stream: 'stderr' });
  });

  it('report how the command ended and what it printed', () => {
    const failed = {
      ...ended({ exitCode: 1, stdout: 'one\ntwo\n', stderr: 'no device\n' }),
      command: './driver --all',
    };
    expect(() => expect(failed).toSucceed()).toThrow(
      "expected './driver --all' to succeed, it ended with exit code 1 after 12 ms\nstderr:\n  no device\nstdout:\n  one\n  two",
    );
    expect(() => expect(ended({ signal: 'SIGSEGV' })).toExitWith(0)).toThrow(
      'expected the command to end with exit code 0, it was ended by SIGSEGV after 12 ms\nstderr: (nothing)\nstdout: (nothing)',
    );
    expect(() => expect(ended({ signal: 'SIGKILL', timedOut: true })).toSucceed()).toThrow(
      'it was killed at its time limit, after 12 ms',
    );
    const long = Array.from({ length: 100 }, (_, i) => `line ${i}`).join('\n');
    expect(() => expect(ended({ exitCode: 0, stdout: long })).toPrint('nothing')).toThrow(
      'expected the command to print "nothing" to stdout; it ended with exit code 0 after 12 ms\nstderr: (nothing)\n' +
        'stdout (the last 20 of 100 lines):\n  line 80',
    );
  });

  it('report a forgotten await', async () => {
    const promise = Promise.resolve(ended({ exitCode: 0 }));
    expect(() => expect(promise).toSucceed()).toThrow('was given a Promise; did you forget await?');
    await expect(promise).resolves.toSucceed();
  });
});

describe('the compiler', () => {
  it('refuses registers that the card does not have, and values of the wrong kind', () => {
    const card = new ReferenceCard({ clock: new ManualClock() });
    expect(card).toHaveRegister('H2C[0].STATUS.BUSY', 0);
    expect(card).toHaveRegister('BAR0:SCRATCH64', 0n);
    // @ts-expect-error -- no such register
    expect(() => expect(card).toHaveRegister('STATUS', 0)).toThrow();
    // @ts-expect-error -- no such field
    expect(() => expect(card).toHaveRegister('H2C[0].STATUS.BUZY', 0)).toThrow();
    // @ts-expect-error -- 64 bits are a bigint
    expect(card).toHaveRegister('SCRATCH64', 0);
    // @ts-expect-error -- 32 bits are a number
    expect(card).toHaveRegister('SCRATCH', 0n);
    // @ts-expect-error -- the matcher that waits is another one
    expect(card).toHaveRegister('SCRATCH', 0, { timeoutMs: 1 });
  });

  it('knows the registers of every BAR', () => {
    const card = new TwoBarCard({ clock: new ManualClock() });
    expect(card).toHaveRegister('BAR2:STATUS.ALARM', 0);
    expect(card).toHaveRegister('BAR0:STATUS.DONE', 0);
    // @ts-expect-error -- in neither
    expect(() => expect(card).toHaveRegister('BAR2:STATUS.ALARMS', 0)).toThrow();
  });

  it('refuses wrong options', async () => {
    const card = new TestCard({ clock: new ManualClock() });
    // @ts-expect-error -- misspelt
    await expect(card).toReachRegister('STATUS.DONE', 0, { timeoutMS: 10 });
    // @ts-expect-error -- no such mechanism
    expect(card).not.toHaveInterrupted(0, { by: 'irq' });
    // @ts-expect-error -- a size is missing
    expect(card).not.toHaveReadHost({ iova: 0 });
    // @ts-expect-error -- no such reason
    expect(card).not.toHaveDmaError('mapped');
  });

  it('distinguishes matchers for cards from those for commands', () => {
    const card = new TestCard({ clock: new ManualClock() });
    // @ts-expect-error -- a card does not succeed
    expect(() => expect(card).toSucceed()).toThrow('toSucceed needs the result of guest.run()');
    // @ts-expect-error -- a number has no registers
    expect(() => expect(5).toHaveRegister('STATUS', 0)).toThrow('was given 5');
    // @ts-expect-error -- a number does not interrupt
    expect(() => expect(5).toHaveInterrupted()).toThrow('was given 5');
  });
});

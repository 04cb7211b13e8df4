/** Tests that fail on purpose, each in its own way; run by harness-failures.test.ts, which checks the report. */
import { PciCard, registerMap, type CardEnvironment } from 'ghostcard';
import { expect, guestTest } from 'ghostcard/vitest';

const REGISTERS = registerMap({
  CTRL: { offset: 0x00, access: 'rw', fields: { START: [0], BREAK: [1] } },
  STATUS: { offset: 0x04, access: 'ro', fields: { DONE: [0] } },
});

/** Begins, and never sets DONE; throws when BREAK is written. */
class LazyCard extends PciCard {
  readonly registers = this.registerBar(0, REGISTERS);

  constructor(environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 0x4743, classCode: 0x12_00_00 }, environment);
    this.registers.onWrite('CTRL', () => {
      if (this.registers.get('CTRL.START')) this.changed('timer', 'running');
      if (this.registers.get('CTRL.BREAK')) throw new Error('BREAK is not implemented');
    });
  }
}

const options = { hostRoot: false, artifactsDir: process.env.GHOSTCARD_TEST_ARTIFACTS ?? 'artifacts' } as const;
const test = guestTest({ ...options, scope: 'file' });
const isolated = guestTest(options);
const recorded = guestTest({ ...options, artifacts: 'never', trace: { keep: 'always', payloads: 'hash' } });
const unrecorded = guestTest({ ...options, trace: 'never', observe: true });
const reg = (...accesses: string[]) => ['gc-reg', ...accesses];

test('fails in an assertion', async ({ guest }) => {
  const { card } = await guest.plug(LazyCard, { driver: 'uio_pci_generic' });
  expect(await guest.run(reg('0x00=1', '0x04', '0x04', '0x04'))).toSucceed();
  await guest.run(['sh', '-c', 'echo a word on the console > /dev/console']);
  expect(card).toHaveRegister('STATUS.DONE', 1);
});

test('passes after that, in another guest', async ({ guest }) => {
  const { card } = await guest.plug(LazyCard, { driver: 'uio_pci_generic' });
  expect(await guest.run(reg('0x00=1'))).toSucceed();
  expect(card).toHaveRegister('CTRL.START', 1);
});

test('fails for a model error of the card, although the driver has succeeded', async ({ guest }) => {
  await guest.plug(LazyCard, { name: 'faulty', driver: 'uio_pci_generic' });
  expect(await guest.run(reg('0x00=2'))).toSucceed();
});

test('fails after its card has been restarted', async ({ guest }) => {
  const lazy = await guest.plug(LazyCard, { driver: 'uio_pci_generic' });
  expect(await guest.run(reg('0x00=1'))).toSucceed();
  await lazy.restart();
  expect(lazy.card).toHaveRegister('CTRL.START', 1);
});

test('fails while its driver polls without progress', async ({ guest }) => {
  const { card } = await guest.plug(LazyCard, { driver: 'uio_pci_generic' });
  await guest.run(['sh', '-c', 'gc-reg $(yes 0x04 | head -n 60000) >/dev/null']);
  expect(card).toHaveRegister('STATUS.DONE', 1);
});

test('times out, with a running command', { timeout: 10_000 }, async ({ guest }) => {
  await guest.plug(LazyCard, { driver: 'uio_pci_generic' });
  await guest.run(['sleep', '1000'], { timeoutMs: Infinity });
});

isolated('fails when its guest dies', async ({ guest }) => {
  await guest.plug(LazyCard);
  await guest.run(['sh', '-c', 'echo c > /proc/sysrq-trigger; sleep 100']);
});

isolated('does not await a matcher', async ({ guest }) => {
  const { card } = await guest.plug(LazyCard, { driver: 'uio_pci_generic' });
  void expect(card).toReachRegister('STATUS.DONE', 1);
});

isolated('runs a program that does not exist', async ({ guest }) => {
  await guest.run(['./no-such-program']);
});

isolated('fails before it has a card', async ({ guest }) => {
  expect(await guest.run(['sh', '-c', 'echo out; echo err >&2; exit 3'])).toSucceed();
});

isolated('times out before the guest has started', { timeout: 100 }, async ({ guest }) => {
  await guest.run(['true']);
});

test('fails for a declared fault that has not fired', async ({ guest }) => {
  const faults = [{ fault: 'write-lost', register: 'CTRL', occurrence: 2 }] as const;
  await guest.plug(LazyCard, { driver: 'uio_pci_generic', faults });
  expect(await guest.run(reg('0x00=1'))).toSucceed();
});

recorded('passes, and its recording is kept', async ({ guest }) => {
  const { card } = await guest.plug(LazyCard, { driver: 'uio_pci_generic' });
  guest.mark('here it begins');
  expect(await guest.run(reg('0x00=1'))).toSucceed();
  expect(card).toHaveRegister('CTRL.START', 1);
});

unrecorded('fails without a recording, observed', async ({ guest }) => {
  const { card } = await guest.plug(LazyCard, { driver: 'uio_pci_generic' });
  expect(await guest.run(reg('0x00=1', '0x04', '0x04'))).toSucceed();
  expect(card).toHaveRegister('STATUS.DONE', 1);
});

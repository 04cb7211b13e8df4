/** Stalled drivers in a guest are reported, and others are not. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { type CardNotice, traceOf } from '../../instrumentation/trace';
import { type Rig } from '../../qemu/rig';
import { installProgram, runApp, startRig } from '../support/rig';

let rig: Rig;
let notices: CardNotice[] = [];
beforeAll(async () => {
  rig = await startRig({ onNotice: (_, notice) => notices.push(notice) });
  return () => rig.close();
});
afterEach(() => void (notices = []));

const STATUS = '0x1004';
/** Longer than the limit, with nothing going on. */
const IDLE = ['sleep', '2'];

describe.each(['uio_pci_generic', 'vfio-pci'])('under %s', (driver) => {
  it('a driver that polls without progress is reported, with the register', async () => {
    await rig.bind('card', driver);
    await rig.guest.run(['sh', '-c', `timeout 2 gc-reg $(yes ${STATUS} | head -n 100000) >/dev/null`]);
    expect(notices.map(({ kind, register }) => [kind, register])).toEqual([['polling', 'H2C[0].STATUS']]);
    expect(notices[0]!.text).toMatch(
      /the driver polls H2C\[0\]\.STATUS: \d{3,} reads in 1\.\d s, since .*, always 0x00000000\. Nothing is scheduled/,
    );
    expect(traceOf(rig.card('card')).notices.at(-1)!.text).toBe(notices[0]!.text);
  });

  it('drivers that make progress are not reported, nor is a card without use', async () => {
    await rig.bind('card', driver);
    await rig.guest.run(IDLE);
    for (const app of ['gc-identify', 'gc-irq', 'gc-loopback', 'gc-crc', 'gc-errors']) await runApp(rig, 'card', [app]);
    await rig.guest.run(IDLE);
    expect(notices).toEqual([]);
  });
});

it('a driver whose interrupt was lost is reported, with the interrupt and the last access', async () => {
  await rig.bind('card', 'vfio-pci');
  const { interrupts } = rig.card('card').inspection;
  let isLossy = true;
  interrupts.insert((below) => ({
    signal(vector) {
      if (!isLossy) below.signal(vector);
      isLossy = false;
    },
    setIntx: (asserted) => below.setIntx(asserted),
  }));
  const { exitCode } = await rig.guest.run(['gc-irq', '--count', '1']);
  expect(exitCode).not.toBe(0);
  expect(notices[0]).toMatchObject({
    kind: 'interrupt-cannot-come',
    register: 'IRQ_TRIGGER',
    interrupt: { index: 2, vector: 4 },
  });
  expect(notices[0]!.text).toMatch(/MSI-X vector 4 was raised at .* and was lost\./);
});

it('a driver that has not enabled its interrupt again is reported, with the reason that holds it back', async () => {
  const program = await installProgram(rig, join(__dirname, 'one-interrupt.c'));
  const { pciAddress, node } = await rig.bind('card', 'uio_pci_generic');
  const env = { GHOSTCARD_PCI_ADDRESS: pciAddress, GHOSTCARD_DEVICE: node };
  const { exitCode, stderr } = await rig.guest.run([program], { env });
  expect(exitCode, stderr.toString()).toBe(3);
  expect(notices).toHaveLength(1);
  expect(notices[0]).toMatchObject({ register: 'IRQ_TRIGGER', interrupt: { index: 0, vector: 0 } });
  expect(notices[0]!.text).toMatch(/INTx was raised at .* and is held back: Interrupt Disable is set/);
});

it('ghostcard run reports a stalled driver once: on standard error, and with --json in its object', async () => {
  const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');
  const poll = `for i in 1 2; do timeout 2 gc-reg $(yes ${STATUS} | head -n 100000) >/dev/null; done; true`;
  const card = ['--card', 'reference', '--driver', 'vfio-pci', '--minimal'];
  const env = { ...process.env, GHOSTCARD_CACHE: inject('provisioned').amd64.cacheDir };
  const run = (...options: string[]) =>
    spawnSync(process.execPath, [cli, 'run', ...card, ...options, '--', 'sh', '-c', poll], { env, encoding: 'utf8' });
  const plain = run();
  expect(plain.status, plain.stderr).toBe(0);
  expect(plain.stderr.match(/reference: the driver polls H2C\[0\]\.STATUS: \d+ reads/g)).toHaveLength(1);
  const { notices } = JSON.parse(run('--json').stdout) as { notices: object[] };
  expect(notices).toMatchObject([{ card: 'reference', kind: 'polling', register: 'H2C[0].STATUS' }]);
});

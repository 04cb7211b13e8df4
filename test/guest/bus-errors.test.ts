/** Errors of the bus that a card detects, and what the guest's kernel and its drivers make of them. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type CardEnvironment, MultifunctionCard } from '../../emulator/pci';
import { GUEST_ARCHES, hostArch } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { ErrorCard, errorFaults, ERRORS } from '../support/error-card';
import { installProgram, loadTestModule, startRig } from '../support/rig';

const LIMIT = { timeout: 20_000 };
/** Offset in configuration space. */
const DEVICE_CONTROL = 0x88;
const NOTHING_LOGGED = [0, 0, 0];
const SLOW_NS = 1.5e9;

class TwoFunctions extends MultifunctionCard {
  readonly functions = [
    (environment: CardEnvironment) => new ErrorCard(environment),
    (environment: CardEnvironment) => new ErrorCard(environment),
  ];
}

describe.each(GUEST_ARCHES)('in a guest of %s', (arch) => {
  let rig: Rig;
  const said: string[] = [];
  beforeAll(async () => {
    rig = await startRig({
      arch,
      cards: [
        { name: 'card', make: (environment) => new ErrorCard(environment), faults: errorFaults },
        { name: 'lost', make: (environment) => new ErrorCard(environment), faults: errorFaults },
        {
          name: 'slow',
          make: (environment) => new ErrorCard(environment, { readyAfterNs: { device: SLOW_NS } }),
          faults: errorFaults,
        },
      ],
      onCardEvent: (_, text) => said.push(text),
    });
    await loadTestModule(rig, arch, 'error-driver');
  });
  afterAll(() => rig?.close());

  const shell = async (script: string) => {
    const { exitCode, stdout, stderr } = await rig.guest.run(['sh', '-c', script], { timeoutMs: 60_000 });
    expect(exitCode, String(stderr)).toBe(0);
    return String(stdout).trim();
  };
  const card = (name = 'card') => rig.card<ErrorCard>(name);
  const folderOf = async (name: string) => `/sys/bus/pci/devices/${await rig.guest.pciAddressOf(name)}`;
  /** Binds the driver, has it cause the error, and waits until the kernel's log has `line`. */
  const cause = async (
    error: (typeof ERRORS)[number],
    line: RegExp | string,
    { driver = 'error-driver', answer = 'need-reset', name = 'card' } = {},
  ) => {
    await rig.bind(name, driver);
    const folder = await folderOf(name);
    await shell(`cd ${folder}; echo ${answer} >answer; cat events; echo 5 >scratch; dmesg -c >/dev/null`);
    card(name).resets.length = 0;
    await shell(`echo ${ERRORS.indexOf(error)} >${folder}/poke`);
    await vi.waitFor(async () => expect(await shell('dmesg')).toMatch(line), LIMIT);
    return { log: await shell('dmesg'), events: await shell(`cat ${folder}/events`), folder };
  };
  const RECOVERED = 'AER: device recovery successful';
  const FAILED = 'AER: device recovery failed';

  it.each([
    ['completion-timeout', 'CmpltTO'],
    ['poisoned-tlp', 'TLP'],
    ['unsupported-request', 'UnsupReq'],
  ] as const)('a non-fatal %s is recovered from by a driver that wants its slot reset', async (error, word) => {
    const { log, events } = await cause(error, RECOVERED);
    expect(events).toMatch(/^error_detected:normal slot_reset:\d+ resume$/);
    const address = await rig.guest.pciAddressOf('card');
    expect(log).toMatch(`error message received from ${address}`);
    expect(log).toMatch(new RegExp(`error-driver ${address}: .*\\] ${word} .*\\(First\\)`));
    expect(card().logged).toEqual(NOTHING_LOGGED);
  });

  it('a non-fatal error is recovered from without a reset by a driver that can', async () => {
    const { events } = await cause('completion-timeout', RECOVERED, { answer: 'can-recover' });
    expect([events, card().resets]).toEqual(['error_detected:normal mmio_enabled:5 resume', []]);
  });

  it('a fatal error resets the card, and is recovered from', async () => {
    const { events } = await cause('malformed-tlp', RECOVERED);
    expect([events, card().resets]).toEqual(['error_detected:frozen slot_reset:0 resume', ['device']]);
  });

  it('a card that is slow after the reset is waited for', async () => {
    const { events } = await cause('malformed-tlp', RECOVERED, { name: 'slow' });
    expect([events, card('slow').resets]).toEqual(['error_detected:frozen slot_reset:0 resume', ['device']]);
  });

  it('a correctable error is logged for the card that has detected it, and its driver is not called', async () => {
    const { log, events } = await cause('bad-tlp', 'BadTLP');
    const address = await rig.guest.pciAddressOf('card');
    expect(log).toMatch(new RegExp(`error-driver ${address}: PCIe Bus Error: severity=Correct`));
    expect(log).not.toContain('pcieport 0000:00:08.0: PCIe Bus Error');
    expect(events).toBe('');
    await vi.waitFor(() => expect(card().logged).toEqual(NOTHING_LOGGED), LIMIT);
  });

  it('a driver that gives up is not resumed', async () => {
    const { events } = await cause('completion-timeout', FAILED, { answer: 'disconnect' });
    expect(events).toBe('error_detected:normal');
  });

  it('a driver without handlers is not recovered, and after a fatal error its card has been reset', async () => {
    const options = { driver: 'deaf-driver', name: 'lost' };
    const { log, events } = await cause('completion-timeout', FAILED, options);
    expect([events, card('lost').resets]).toEqual(['', []]);
    expect(log).toMatch('no error_detected callback');
    await cause('malformed-tlp', FAILED, options);
    expect([card('lost').resets, card('lost').registers.get('SCRATCH')]).toEqual([['device'], 0]);
  });

  it('an error that the function is not to report is logged in its registers only', async () => {
    await rig.bind('card', 'error-driver');
    const folder = await folderOf('card');
    await shell(`printf '\\000' | dd of=${folder}/config bs=1 seek=${DEVICE_CONTROL} conv=notrunc 2>/dev/null`);
    await shell(`dmesg -c >/dev/null; echo 0 >${folder}/poke; cat ${folder}/scratch`);
    expect(card().logged).toEqual([1 << 14, 0, 1 << 1]);
    expect(await shell('dmesg')).toBe('');
    // Status bits are cleared by writing 1.
    await shell(`printf '\\017' | dd of=${folder}/config bs=1 seek=${DEVICE_CONTROL + 2} conv=notrunc 2>/dev/null`);
    card().inspection.errors!.capability.reset();
    expect(card().logged).toEqual(NOTHING_LOGGED);
    await shell(`printf '\\037' | dd of=${folder}/config bs=1 seek=${DEVICE_CONTROL} conv=notrunc 2>/dev/null`);
  });

  it('an error of one of several functions is reported for that function', async () => {
    await rig.plug({
      name: 'two',
      makeMultifunction: () => new TwoFunctions(),
      functionFaults: [errorFaults, errorFaults],
      driver: 'error-driver',
    });
    const { log, events } = await cause('completion-timeout', RECOVERED, { name: 'two.1' });
    expect(log).toMatch(`error message received from ${await rig.guest.pciAddressOf('two.1')}`);
    expect(events).toMatch(/^error_detected:normal slot_reset:\d+ resume$/);
    expect([card('two.0').logged, card('two.1').logged]).toEqual([NOTHING_LOGGED, NOTHING_LOGGED]);
    await rig.unplug('two');
  });

  it('aer_inject in the guest works on the card', async () => {
    await rig.bind('card', 'error-driver');
    const folder = await folderOf('card');
    const [bus] = (await rig.guest.pciAddressOf('card')).split(':').slice(1);
    await shell(`cd ${folder}; echo need-reset >answer; cat events; dmesg -c >/dev/null; modprobe aer_inject`);
    // struct aer_error_inj of Linux drivers/pci/pcie/aer_inject.c: bus, device, function, and 32-bit words
    const words = [1 << 14, 0, 0, 0, 0, 0, 0].flatMap((word) => [word, word >>> 8, word >>> 16, word >>> 24]);
    const bytes = [parseInt(bus!, 16), 0, 0, 0, ...words].map(
      (byte) => `\\${(byte & 0xff).toString(8).padStart(3, '0')}`,
    );
    await shell(`printf '${bytes.join('')}' >/dev/aer_inject`);
    await vi.waitFor(async () => expect(await shell('dmesg')).toContain(RECOVERED), LIMIT);
    expect(await shell(`cat ${folder}/events`)).toMatch(/^error_detected:normal slot_reset:\d+ resume$/);
    await shell('rmmod aer_inject'); // until then the kernel does not see the port's own registers
  });

  // The program is compiled for the host.
  if (arch === hostArch()) {
    it('an error interrupts a program on vfio-pci', async () => {
      const { pciAddress, node } = await rig.bind('card', 'vfio-pci');
      const program = await installProgram(rig, join(__dirname, 'vfio-error.c'));
      let lines = '';
      const command = await rig.guest.start([program, node, pciAddress], {
        onStdout: (chunk) => void (lines += String(chunk)),
      });
      await vi.waitFor(() => expect(lines).toBe('ready\n'), LIMIT);
      card().inspection.errors!.detect('completion-timeout');
      await vi.waitFor(() => expect(lines).toBe('ready\n1\n'), LIMIT);
      expect((await command.result).exitCode).toBe(0);
    });
  }

  it('nothing else was said', () => {
    expect(said.filter((text) => text !== 'client connected')).toEqual([]);
  });
});

/**
 * A guest that sleeps: what a card and its driver see of it, and what it does to the host's files. `mem` is suspend to RAM
 * on amd64, and suspend to idle on arm64, where virt has no sleep states.
 */
import { describe, expect, it, vi } from 'vitest';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { GUEST_ARCHES } from '../../qemu/provision';
import { LineCard } from '../support/line-card';
import { loadLineDriver, reference, runApp, startRig } from '../support/rig';

/** Sets the alarm of the clock to wake the guest, and sleeps. */
const SUSPEND = [
  'echo 0 >/sys/class/rtc/rtc0/wakealarm',
  'echo +3 >/sys/class/rtc/rtc0/wakealarm',
  'echo mem >/sys/power/state',
].join('; ');

describe.each(GUEST_ARCHES)('in a guest of %s', (arch) => {
  it('a driver in the kernel is suspended and resumed, and has its interrupt after that', async () => {
    await using rig = await startRig({
      arch,
      cards: [{ name: 'card', make: (environment) => new LineCard(environment) }],
    });
    const { pciAddress } = await rig.bind('card', await loadLineDriver(rig, arch));
    const device = `/sys/bus/pci/devices/${pciAddress}`;
    const shell = async (script: string) => {
      const { exitCode, stdout, stderr } = await rig.guest.run(['sh', '-c', script], { timeoutMs: 40_000 });
      expect(exitCode, String(stderr)).toBe(0);
      return String(stdout).trim();
    };
    const power: string[] = [];
    const card = rig.card<LineCard>('card');
    card.inspection.events.subscribe((event) => {
      if (event.kind === 'state' && event.part === 'power') power.push(event.state);
    });
    expect(await shell(`${SUSPEND} && cat ${device}/sleeps`)).toBe('1 1');
    expect(power).toEqual(['D3hot', 'D0']);
    const taken = () => shell("awk '/line-driver/ { print $2 }' /proc/interrupts");
    expect(await taken()).toBe('0');
    card.drive(true);
    await vi.waitFor(async () => expect(await taken()).toBe('1'), { timeout: 10_000 });
    card.drive(false);
    await vi.waitFor(() => expect(card.inspection.interrupts.intx.isStale).toBe(false), { timeout: 10_000 });
  });
});

it('a card of a guest that is suspended is in D3hot, and works again with its configuration after that', async () => {
  await using rig = await startRig({ cards: [{ name: 'card', make: reference(), driver: 'vfio-pci' }] });
  const power: string[] = [];
  const card = rig.card<ReferenceCard>('card');
  card.inspection.events.subscribe((event) => {
    if (event.kind === 'state' && event.part === 'power') power.push(event.state);
  });
  await rig.bind('card', 'uio_pci_generic');
  const config = `hexdump -n 64 -v -e '4/1 "%02x"' /sys/bus/pci/devices/${await rig.guest.pciAddressOf('card')}/config`;
  const script = `before=$(${config}); ${SUSPEND} || exit; [ "$before" = "$(${config})" ] || echo changed`;
  const { exitCode, stdout, stderr } = await rig.guest.run(['sh', '-c', script], { timeoutMs: 40_000 });
  expect([exitCode, stdout.toString(), stderr.toString()]).toEqual([0, '', '']);
  expect(power.slice(-2)).toEqual(['D3hot', 'D0']);
  await runApp(rig, 'card', ['gc-loopback', '--irq', 'intx']);
});

it('a guest with the host’s files that is suspended ends at once, with the reason and what to do', async () => {
  await using rig = await startRig({ cards: [], hostRoot: '/' });
  await expect(rig.guest.run(['sh', '-c', SUSPEND], { timeoutMs: 40_000 })).rejects.toThrow(
    /^The guest was suspended to RAM, and was ended: Linux does not resume the shares.*--minimal/,
  );
});

/** Suspend to RAM: what a card sees of it, and what it does to the host's files. amd64 only: virt has no sleep states. */
import { expect, it } from 'vitest';
import { type ReferenceCard } from '../../emulator/cards/reference';
import { reference, runApp, startRig } from '../support/rig';

/** Sets the alarm of the clock to wake the guest, and sleeps. */
const SUSPEND = [
  'echo 0 >/sys/class/rtc/rtc0/wakealarm',
  'echo +3 >/sys/class/rtc/rtc0/wakealarm',
  'echo mem >/sys/power/state',
].join('; ');

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

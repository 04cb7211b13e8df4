/** What makes QEMU abort is explained when it happens (docs/limits.md): a QEMU that does better makes this test fail. */
import { expect, it } from 'vitest';
import { CAPABILITY_OFFSETS } from '../../emulator/pci/config-placement';
import { startRig } from '../support/rig';

it('MSI-X that is cleared after MSI was enabled beside it ends the guest, with the cause and its section', async () => {
  await using rig = await startRig();
  const config = `/sys/bus/pci/devices/${await rig.guest.pciAddressOf('card')}/config`;
  const write = (offset: number, byte: string) =>
    `printf '\\${byte}' | dd of=${config} bs=1 seek=${offset} conv=notrunc 2>/dev/null`;
  const { msi, msix } = CAPABILITY_OFFSETS;
  // The high byte of Message Control of MSI-X, and the low one of MSI, have the enable bit.
  const script = [write(msix + 3, '200'), write(msi + 2, '001'), write(msix + 3, '000')].join(' && ');
  await expect(rig.guest.run(['sh', '-c', script])).rejects.toThrow(
    /^QEMU was killed by SIGABRT .* MSI and MSI-X .* see docs\/limits\.md#msi-enabled-while-msi-x-is-on\./,
  );
});

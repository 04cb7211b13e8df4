/** What makes QEMU abort is explained when it happens (docs/limits.md): a QEMU that does better makes this test fail. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { loadNative, type Native } from '../../emulator/native';
import { CAPABILITY_OFFSETS } from '../../emulator/pci/config-placement';
import { serve } from '../../emulator/vfio-user';
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

it('a server that ends while it is plugged in ends the guest, with the cause and its section', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ghostcard-abort-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const socketPath = join(folder, 'card');
  const real = loadNative();
  let received = 0;
  // The server sees the end of the stream, and closes its own end, in the middle of what QEMU asks first.
  const receive: Native['receive'] = (...args) => (++received > 19 ? 0 : real.receive(...args));
  const native = Object.assign(Object.create(real) as Native, { receive });
  await using _server = await serve(new ReferenceCard(), { socketPath, native, onEvent: () => {} });
  await using rig = await startRig({ cards: [] });
  await expect(rig.plug({ name: 'card', socketPath })).rejects.toThrow(
    /^QEMU was killed by SIG(ABRT|SEGV) .*\n?.*see docs\/limits\.md#a-server-that-ends-in-the-middle-of-an-exchange\./,
  );
});

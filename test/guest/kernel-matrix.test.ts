/** A driver on guests of several kernels: the matrix of docs/testing.md, with what ghostcard itself does to a kernel. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { expect, guestTest } from '../../harness';
import { buildModules, loadModule } from '../../qemu';
import { LineCard } from '../support/line-card';

/** The packages of a kernel are fetched, and some of its modules built. */
const PROVISION_TIMEOUT_MS = 900_000;

const matrix = ['6.1', '6.12'].map((kernelRelease) => ({
  kernelRelease,
  test: guestTest({ kernelRelease, scope: 'file', hostRoot: false }),
}));

describe.each(matrix)('on Linux $kernelRelease', ({ kernelRelease, test }) => {
  let folder: string;
  let module: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gc-matrix-'));
    cpSync(join(__dirname, 'line-driver'), folder, { recursive: true });
    [module = ''] = await buildModules(folder, { kernelRelease });
  }, PROVISION_TIMEOUT_MS);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('the guest runs it, with its own modules, and one that was built for it', async ({ guest }) => {
    const { stdout } = await guest.run(['uname', '-r']);
    expect(stdout.toString().startsWith(`${kernelRelease}.`)).toBe(true);
    expect(await guest.run(['modprobe', 'dummy'])).toSucceed();
    await loadModule(guest, module);
    const { card } = await guest.plug(LineCard, { driver: 'line-driver' });
    expect(card).toBeInstanceOf(LineCard);
  });

  test.for(['uio_pci_generic', 'vfio-pci', 'uio_dmem_genirq', 'vfio-platform'])(
    'the reference driver transfers data under %s',
    async (driver, { guest }) => {
      const { pciAddress, platformDevices } = await guest.plug(ReferenceCard, { driver });
      const device = platformDevices[0]?.name ?? pciAddress;
      expect(await guest.run(['gc-loopback', '--device', device, '--max-size', '4096'])).toSucceed();
    },
  );
});

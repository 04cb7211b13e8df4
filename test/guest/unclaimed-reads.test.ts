/**
 * Reads that no BAR claims. On the bus they are all ones (PCI Express Base Spec 5.0, 2.3.1); an amd64 guest reads 0, which
 * is QEMU's doing (docs/limits.md): a QEMU that does better makes this test fail.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Rig } from '../../qemu/rig';
import { startRig } from '../support/rig';

const UNCLAIMED = { amd64: 0, arm64: 0xffff_ffff } as const;

describe.each(['amd64', 'arm64'] as const)('in a guest of %s, a read of a BAR', (arch) => {
  let rig: Rig;
  let pciAddress: string;
  const notices: string[] = [];
  beforeAll(async () => {
    rig = await startRig({ arch, onNotice: (_, { kind }) => notices.push(kind) });
    ({ pciAddress } = await rig.bind('card', 'uio_pci_generic'));
  });
  afterAll(() => rig?.close());

  /** What is read at the address of BAR 0 after `bytes` (octal) have been written to configuration space at `offset`. */
  const readAfter = async (offset: number, bytes: string) => {
    const folder = `/sys/bus/pci/devices/${pciAddress}`;
    const script =
      `printf '${bytes}' | dd of=${folder}/config bs=1 seek=${offset} conv=notrunc 2>/dev/null && ` +
      `devmem $(head -n 1 ${folder}/resource | cut -d ' ' -f 1) 32`;
    const { stdout, stderr } = await rig.guest.run(['sh', '-c', script]);
    return Number(String(stdout) || String(stderr));
  };

  it('is answered by the card while it decodes its addresses', async () => {
    expect(await readAfter(0x04, '\\006')).toBe(rig.card('card').inspection.registerFiles.get(0)!.get('ID'));
    expect(notices).toEqual([]);
  });

  it('is answered by nobody while Memory Space Enable is 0, and the driver is told of amd64', async () => {
    expect(await readAfter(0x04, '\\004')).toBe(UNCLAIMED[arch]);
    expect(notices).toEqual(['unclaimed-reads']);
    expect(await readAfter(0x04, '\\006')).not.toBe(UNCLAIMED[arch]);
  });

  it('is answered by nobody in D3hot', async () => {
    expect(await readAfter(0x44, '\\013')).toBe(UNCLAIMED[arch]);
    expect(await readAfter(0x44, '\\010')).not.toBe(UNCLAIMED[arch]);
  });
});

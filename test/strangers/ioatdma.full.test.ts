/** Linux' driver for I/OAT with every kind of interrupt, behind an IOMMU, on memory above 4 GiB, and with faults. */
import { describe, expect, it } from 'vitest';
import { type IoatCard } from '../../emulator/cards/ioat';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { dmatest } from '../support/dmatest';
import { expectTransfers, interrupts, startIoatdma } from './ioatdma';

const KIB = 1024;

it.each([
  { way: 'MSI, two channels', style: 'msi', card: { channels: 2 } },
  { way: 'INTx, two channels', style: 'intx', card: { channels: 2 } },
  { way: 'MSI, as there is one MSI-X vector for two channels', style: 'msix', card: { channels: 2, msixVectors: 1 } },
  { way: 'INTx, as there is nothing else', style: 'msix', card: { channels: 2, msixVectors: 0, msi: false } },
  { way: 'MSI-X, version 3.3', style: 'msix', card: { channels: 2, version: 3.3 } },
  { way: 'MSI-X, version 3.4', style: 'msix', card: { channels: 2, version: 3.4 } },
  { way: 'MSI-X, completions after 1 ms', style: 'msix', card: { channels: 2, link: { completionLatencyNs: 1e6 } } },
  { way: 'MSI-X, lost while disabled', style: 'msix', card: { channels: 2, losesInterrupts: true } },
] as const)('ioatdma transfers without failure: $way', async ({ way, style, card }) => {
  await using rig = await startIoatdma(card, { style });
  const [kind = ''] = way.toLowerCase().split(/,/);
  const names = new Set((await interrupts(rig)).map(({ name }) => name));
  expect(names).toEqual(new Set([`ioat-${kind.replace('msi-x', 'msix')}`]));
  await expectTransfers(rig, way, 4, { iterations: 100, threadsPerChannel: 2 });
});

it('ioatdma transfers without failure behind an IOMMU', async () => {
  await using rig = await startIoatdma({ channels: 4 }, { iommu: true });
  await expectTransfers(rig, 'MSI-X, four channels, behind an IOMMU', 8, { iterations: 100, threadsPerChannel: 2 });
});

it('ioatdma transfers from and to memory above 4 GiB', async () => {
  await using rig = await startIoatdma({ channels: 2 }, { memoryMiB: 6 * KIB });
  let highest = 0;
  rig.card<IoatCard>('ioat').inspection.dma.insert((below) => ({
    read: (by, iova, into) => ((highest = Math.max(highest, iova)), below.read(by, iova, into)),
    write: (by, iova, from) => below.write(by, iova, from),
    store: (by, iova, value) => below.store(by, iova, value),
  }));
  await expectTransfers(rig, 'MSI-X, memory above 4 GiB', 2, { iterations: 100 });
  expect(highest).toBeGreaterThan(2 ** 32);
});

describe('ioatdma with a fault', () => {
  const data = { channel: 'CH0', role: 'data' } as const;
  it.each<{ what: string; fault: FaultDeclaration; log: RegExp; failures: number; iterations?: number }>([
    {
      what: 'a read that fails is reported, and the channel recovers',
      fault: { fault: 'dma-failed', reason: 'completer-abort', ...data, occurrence: 40 },
      ...{ log: /./, failures: 1 },
    },
    {
      what: 'a descriptor that is no operation halts the channel until the driver resets it',
      fault: { fault: 'dma-corrupted', channel: 'CH0', role: 'descriptor', byte: 7, xor: 0x80, occurrence: 10 },
      ...{ log: /Channel halted \(400\)[^]*Descriptor Control Error[^]*Reset channel/, failures: 1 },
    },
    {
      what: 'a doorbell that is lost times out, and the driver resets the channel',
      fault: { fault: 'write-lost', register: 'CHANNEL[0].DMACOUNT', occurrence: 10 },
      ...{ log: /CHANERR: 0[^]*Reset channel/, failures: 1 },
    },
    {
      // The driver's timer finds the completion, but it does not enable the next interrupt: from now on each transfer
      // is found by the timer, up to 2 s later.
      what: 'an interrupt that is lost makes all later transfers slow, but none fails',
      fault: { fault: 'interrupt-dropped', vector: 0, occurrence: 6 },
      ...{ log: /./, failures: 0, iterations: 8 },
    },
  ])('$what', async ({ fault, log, failures, iterations = 50 }) => {
    await using rig = await startIoatdma({ channels: 1 }, { faults: [fault] });
    const options = { iterations, bufferBytes: 4 * KIB, transferTimeoutMs: 10_000 };
    const disturbed = await dmatest(rig, options);
    const lines = disturbed.lines.join('\n');
    expect(disturbed.threads, lines).toMatchObject([{ tests: iterations, failures }]);
    expect(lines).toMatch(log);
    expect(rig.declaredFaults.map(({ times }) => times)).toEqual([1]);
    const after = await dmatest(rig, options);
    expect(after.threads, after.lines.join('\n')).toMatchObject([{ tests: iterations, failures: 0 }]);
  });
});

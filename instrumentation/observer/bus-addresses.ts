/** Where in the guest's memory is what a card accesses. */
import { type PciCard } from '../../emulator/pci';
import { type RamRange, type ObservedMachine } from './shared-file';

/**
 * The physical addresses behind a range of a card's: the same, but behind an IOMMU, where they are as mapped at this moment.
 * What is not mapped to RAM is left out.
 */
export function physicalRanges(card: PciCard, machine: ObservedMachine, iova: number, sizeBytes: number): RamRange[] {
  if (machine.hasIommu !== true) return [{ address: iova, sizeBytes }];
  const ranges: RamRange[] = [];
  const end = iova + sizeBytes;
  for (let at = iova; at < end;) {
    const mapped = card.inspection.mappedAt(at);
    if (mapped === undefined) break;
    const next = Math.min(end, mapped.end);
    const { backing } = mapped.mapping;
    const offset = backing.kind === 'bytes' ? backing.fileOffset : undefined;
    const address = offset === undefined ? undefined : addressInFile(machine, offset + at - mapped.start);
    if (address !== undefined) ranges.push({ address, sizeBytes: next - at });
    at = next;
  }
  return ranges;
}

/** The file of the guest's RAM has its ranges one after the other. */
function addressInFile({ ram }: ObservedMachine, offset: number): number | undefined {
  let start = 0;
  for (const { address, sizeBytes } of ram) {
    if (offset < start + sizeBytes) return address + offset - start;
    start += sizeBytes;
  }
  return undefined;
}

import { describe, expect, it } from 'vitest';
import { ManualClock, Process } from '../clock';
import { AddressMap, DmaAccess, DmaError, type DmaPort } from '../memory';
import { HostCopier, Link, unlimitedLink } from '.';

const SOURCE = 0x1_0000;
const TARGET = 0x8_0000;

function setUp(link: Partial<typeof unlimitedLink> = {}) {
  const bytes = Uint8Array.from({ length: 1 << 20 }, (_, at) => at % 253);
  const map = new AddressMap();
  map.add({ iova: 0n, sizeBytes: 1n << 20n, readable: true, writable: true, backing: { kind: 'bytes', bytes } });
  const clock = new ManualClock();
  const memory = new DmaAccess(map, () => true);
  const requests: string[] = [];
  const port: DmaPort = {
    read: (iova, into) => (requests.push(`read ${iova} ${into.length}`), memory.read(iova, into)),
    write: (iova, from) => (requests.push(`write ${iova} ${from.length}`), memory.write(iova, from)),
    write32: (iova, value) => memory.write32(iova, value),
    write64: (iova, value) => memory.write64(iova, value),
  };
  const copier = new HostCopier(port, new Link(clock, { ...unlimitedLink, ...link }));
  const failures: unknown[] = [];
  const process = new Process(clock, (error) => failures.push(error));
  return { bytes, clock, copier, failures, process, requests };
}

describe('HostCopier', () => {
  it('copies more than its buffer holds', () => {
    const { bytes, copier, process } = setUp();
    process.start(copier.copy(SOURCE, TARGET + 1, 200_001));
    expect(process.isRunning).toBe(false);
    expect(Buffer.compare(bytes.subarray(TARGET + 1, TARGET + 200_002), bytes.subarray(SOURCE, SOURCE + 200_001))).toBe(
      0,
    );
    expect(bytes[TARGET + 200_002]).toBe((TARGET + 200_002) % 253);
  });

  it('continues a pattern where a piece ends, and leaves what is behind it', () => {
    const { bytes, copier, process } = setUp();
    process.start(copier.fill(0x0807_0605_0403_0201n, TARGET, 65_536 + 11));
    expect([...bytes.subarray(TARGET + 65_536, TARGET + 65_536 + 12)]).toEqual([
      ...[1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3],
      (TARGET + 65_547) % 253,
    ]);
  });

  it('makes requests that cross no 4 KiB boundary, and continues the pattern there', () => {
    const { bytes, copier, process, requests } = setUp();
    process.start(copier.copy(SOURCE + 4000, TARGET + 4093, 100));
    expect(requests.splice(0)).toEqual([
      ...[
        `read ${SOURCE + 4000} 3`,
        `write ${TARGET + 4093} 3`,
        `read ${SOURCE + 4003} 93`,
        `write ${TARGET + 4096} 93`,
      ],
      ...[`read ${SOURCE + 4096} 4`, `write ${TARGET + 4189} 4`],
    ]);
    process.start(copier.fill(0x0807_0605_0403_0201n, TARGET + 4093, 12));
    expect(requests).toEqual([`write ${TARGET + 4093} 3`, `write ${TARGET + 4096} 9`]);
    expect([...bytes.subarray(TARGET + 4093, TARGET + 4105)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4]);
  });

  it('takes each direction of the link, and completes a latency later', () => {
    const { clock, copier, process } = setUp({ bytesPerSecond: 1e9, completionLatencyNs: 100 });
    process.start(copier.copy(SOURCE, TARGET, 1000));
    clock.advance(1099);
    expect(process.isRunning).toBe(true);
    clock.advance(1);
    expect(process.isRunning).toBe(false);
  });

  it('fails with what cannot be accessed', () => {
    const { copier, failures, process } = setUp();
    process.start(copier.copy(SOURCE, 1 << 20, 8));
    expect(failures).toEqual([new DmaError('unmapped', 'write', 1 << 20, 8)]);
  });
});

/** (g) Register accesses in process, as unit tests do them, against a loop that reads and writes a DataView. */
import { REFERENCE_REGISTERS, ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost, type NamedRegisters, type RegionSpace } from '../../emulator/host';
import { type Benchmark, type BenchmarkContext } from './benchmark';
import { type Figure, figure, type Round } from './figure';

const SCRATCH = REFERENCE_REGISTERS.registers.find(({ path }) => path === 'SCRATCH')!.offset;

// A loop of its own for each way, so that the engine compiles each for its types. Every value written depends on the read
// before it, so that no access can be optimised away.

function byView(view: DataView, pairs: number): number {
  let value = 1;
  for (let i = 0; i < pairs; i++) {
    view.setUint32(SCRATCH, value + i, true);
    value = view.getUint32(SCRATCH, true) & 0xffff;
  }
  return value;
}

function byOffset(bar: RegionSpace, pairs: number): number {
  let value = 1;
  for (let i = 0; i < pairs; i++) {
    bar.write32(SCRATCH, value + i);
    value = bar.read32(SCRATCH) & 0xffff;
  }
  return value;
}

function byName(registers: NamedRegisters<typeof REFERENCE_REGISTERS.spec>, pairs: number): number {
  let value = 1;
  for (let i = 0; i < pairs; i++) {
    registers.write('SCRATCH', value + i);
    value = registers.read('SCRATCH') & 0xffff;
  }
  return value;
}

async function run({ quick }: BenchmarkContext): Promise<Figure[]> {
  const card = new ReferenceCard({ clock: new ManualClock() });
  const host = new InProcessHost(card);
  const bar = host.bar(0);
  const registers = host.registers(0, REFERENCE_REGISTERS);
  const view = new DataView(new ArrayBuffer(REFERENCE_REGISTERS.sizeBytes));
  const pairs = quick ? 100_000 : 2_000_000;
  const expected = byView(view, pairs);
  const ways = [
    { name: 'by offset', loop: () => byOffset(bar, pairs) },
    { name: 'by name', loop: () => byName(registers, pairs) },
  ];
  const figures = ways.map(({ name, loop }) => {
    const round = (): Round => ({
      floor: millionsPerSecond(() => byView(view, pairs), pairs, expected),
      subject: millionsPerSecond(loop, pairs, expected),
    });
    const warmUp = quick ? 1 : 2;
    const rounds = Array.from({ length: warmUp + (quick ? 3 : 11) }, round).slice(warmUp);
    const definition = { group: 'g', unit: 'M/s', floorName: 'DataView' };
    return figure({ ...definition, name: `register accesses in process, ${name}` }, rounds);
  });
  card.close();
  return figures;
}

/** Millions of accesses a second of a loop of write and read pairs. */
function millionsPerSecond(loop: () => number, pairs: number, expected: number): number {
  const startedNs = process.hrtime.bigint();
  const value = loop();
  const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9;
  if (value !== expected) throw new Error(`SCRATCH held ${value} at the end of the loop, not ${expected}`);
  return (2 * pairs) / seconds / 1e6;
}

export const registerAccess: Benchmark = { groups: ['g'], title: 'register accesses in process', run };

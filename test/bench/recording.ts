/**
 * (k) The cost of recording: register accesses over the socket, as in (a), against the same card without recording, in the
 * same run; and DMA in process, for each way to record payloads. The goal is for register accesses: at most a tenth.
 */
import { join } from 'node:path';
import { PAYLOADS, TraceRecorder, traceOf } from '../../instrumentation/trace';
import { type Benchmark, type BenchmarkContext } from './benchmark';
import { DmaRig, MIB, TRANSFER_BYTES } from './dma';
import { type Figure, figure, type Round } from './figure';
import { allowedCpus } from './machine';
import { buildNative, runClient, setCpus, type SocketPattern, type SocketServer, startReferenceCard } from './native';

const patterns: readonly { pattern: SocketPattern; name: string; samples: number }[] = [
  { pattern: 'steady', name: 'read round trip', samples: 8000 },
  { pattern: 'posted', name: '32 posted writes and a read', samples: 4000 },
];

async function socketFigures({ folder, quick }: BenchmarkContext): Promise<Figure[]> {
  await using plain = await startReferenceCard(join(folder, 'plain.sock'));
  await using recorded = await startReferenceCard(join(folder, 'recorded.sock'), [
    '--trace',
    join(folder, 'socket.trace'),
  ]);
  const cpus = allowedCpus();
  const clientCpu = cpus.length > 1 ? cpus[0] : undefined;
  for (const { pid } of [plain, recorded]) await setCpus(pid, cpus.length > 1 ? [cpus.at(-1)!] : cpus);
  const rounds = patterns.map(() => [] as Round[]);
  for (let round = 0; round < (quick ? 2 : 12); round++) {
    for (const [index, { pattern, samples }] of patterns.entries()) {
      const count = quick ? Math.ceil(samples / 10) : samples;
      const thousandsPerSecond = async (server: SocketServer) =>
        1e6 / (await runClient(server, 'vfio-user', pattern, count, clientCpu)).p50;
      // The first place alternates.
      const early = round % 2 === 0 ? await thousandsPerSecond(recorded) : 0;
      const floor = await thousandsPerSecond(plain);
      rounds[index]!.push({ floor, subject: early || (await thousandsPerSecond(recorded)) });
    }
  }
  return patterns.map(({ name }, index) =>
    figure(
      {
        ...{ group: 'k', name: `socket ${name}, recorded`, unit: 'k/s', floorName: 'not recorded' },
        goal: { kind: 'at-least', ratio: 0.9 },
      },
      rounds[index]!,
    ),
  );
}

function dmaFigures({ folder, quick }: BenchmarkContext): Figure[] {
  const transfer = { direction: 'H2C', descriptorBytes: MIB } as const;
  using plain = new DmaRig();
  const plainDriver = plain.driver(transfer);
  return PAYLOADS.map((payloads) => {
    using rig = new DmaRig((card) => {
      // In a ring, so that the disk does not fill up.
      const recorder = new TraceRecorder(join(folder, 'dma.trace'), { payloads, ringBytes: 64 * MIB });
      traceOf(card).record(recorder, { name: 'reference' });
      return recorder;
    });
    const driver = rig.driver(transfer);
    const mibPerSecond = (ns: number): number => TRANSFER_BYTES / MIB / (ns / 1e9);
    const rounds = Array.from({ length: quick ? 3 : 12 }, () => ({
      subject: mibPerSecond(rig.transfer(driver, transfer)),
      floor: mibPerSecond(plain.transfer(plainDriver, transfer)),
    }));
    const name = `DMA H2C, 64 MiB in 1 MiB descriptors, recorded, payloads: ${payloads}`;
    return figure({ group: 'k', name, unit: 'MiB/s', floorName: 'not recorded' }, rounds.slice(1));
  });
}

async function run(context: BenchmarkContext): Promise<Figure[]> {
  await buildNative();
  return [...(await socketFigures(context)), ...dmaFigures(context)];
}

export const recording: Benchmark = { groups: ['k'], title: 'recording', run };

/**
 * (a) A register read over the socket, against a blocking server in C that only answers as many bytes, and against the
 * least of a vfio-user server in C. The same blocking client in C times all.
 *
 * Where the two processes run is decisive. On two processors, like a guest's processor and a card, a blocking server
 * sleeps when the request arrives, and waking it takes most of the time: the goal is for this case. On one processor they
 * alternate without a wake-up, and no server can be faster than that floor.
 */
import { join } from 'node:path';
import { type Benchmark, type BenchmarkContext, nsToUs } from './benchmark';
import { type Figure, figure, type FigureDefinition, type Round } from './figure';
import { allowedCpus } from './machine';
import { buildNative, runClient, setCpus, type SocketPattern, type SocketServer } from './native';
import { startEchoServer, startMinimalServer, startReferenceCard } from './native';

interface Placement {
  readonly name: string;
  readonly serverCpus: readonly number[];
  /** Left out: any. */
  readonly clientCpu?: number;
}

interface Case {
  readonly what: string;
  readonly pattern: SocketPattern;
  readonly placement: Placement;
  readonly samples: number;
  /** Default: the one that only answers. */
  readonly against?: 'echo' | 'vfio-user';
  readonly goal?: FigureDefinition['goal'];
  readonly note?: string;
}

const cpus = allowedCpus();
/** First and last: the least likely to be two threads of one core. */
const [clientCpu, serverCpu] = [cpus[0]!, cpus.at(-1)!];
const apart: Placement = { name: 'own CPUs', serverCpus: [serverCpu], clientCpu };
const together: Placement = { name: 'sharing a CPU', serverCpus: [clientCpu], clientCpu };
const unpinned: Placement = { name: 'unpinned', serverCpus: cpus };

const atMostFloor = { kind: 'at-most', ratio: 1 } as const;
const read = 'read round trip';
const cases: readonly Case[] = [
  { what: read, pattern: 'steady', placement: apart, samples: 8000, goal: atMostFloor, note: 'aim 0.6' },
  {
    what: read,
    pattern: 'steady',
    placement: apart,
    samples: 8000,
    against: 'vfio-user',
    note: 'both decode messages',
  },
  { what: `${read}, 16 then 2 ms idle`, pattern: 'bursts', placement: apart, samples: 800 },
  { what: `${read}, each after 5 ms idle`, pattern: 'lone', placement: apart, samples: 60 },
  { what: '32 posted writes and a read', pattern: 'posted', placement: apart, samples: 4000 },
  { what: read, pattern: 'steady', placement: together, samples: 8000, note: 'no process has to be woken' },
  {
    what: read,
    pattern: 'steady',
    placement: unpinned,
    samples: 8000,
    goal: atMostFloor,
    note: "a mix of the two, the scheduler's mood",
  },
];

async function run(context: BenchmarkContext): Promise<Figure[]> {
  await buildNative();
  await using floor = await startEchoServer(join(context.folder, 'echo.sock'));
  await using minimal = await startMinimalServer(join(context.folder, 'minimal.sock'));
  await using subject = await startReferenceCard(join(context.folder, 'card.sock'));
  const possible = cases.filter(({ placement }) => placement !== apart || cpus.length > 1);
  const rounds = new Map<Case, Round[]>(possible.map((one) => [one, []]));
  // Interleaved: other load of the machine affects all cases alike.
  for (let round = 0; round < (context.quick ? 1 : 9); round++) {
    for (const one of possible)
      rounds.get(one)!.push(await measure(one, { floor: one.against ? minimal : floor, subject }, context.quick));
  }
  return possible.map((one) =>
    figure(
      {
        group: 'a',
        name: `socket ${one.what}, ${one.placement.name}`,
        unit: 'us',
        floorName: one.against ? 'vfio-user server in C' : 'blocking C echo',
        ...(one.goal && { goal: one.goal }),
        ...(one.note !== undefined && { note: one.note }),
      },
      rounds.get(one)!,
    ),
  );
}

async function measure(
  { pattern, placement, samples, against = 'echo' }: Case,
  { floor, subject }: { floor: SocketServer; subject: SocketServer },
  quick: boolean,
): Promise<Round> {
  const count = quick ? Math.ceil(samples / 10) : samples;
  for (const { pid } of [floor, subject]) await setCpus(pid, placement.serverCpus);
  const echo = await runClient(floor, against, pattern, count, placement.clientCpu);
  const card = await runClient(subject, 'vfio-user', pattern, count, placement.clientCpu);
  return { subject: nsToUs(card.p50), floor: nsToUs(echo.p50) };
}

export const socketAccess: Benchmark = { groups: ['a'], title: 'register accesses over the socket', run };

/**
 * (l) The model of a link on the wall clock: the bandwidth that transfers reach, against the one that was asked for; with
 * the timers of Node (in process), and with the timerfd of a served card. 64 KiB at 3.2 GB/s are waits of 20.5 us.
 */
import { CoarseAlarm, Process, TimerfdAlarm, WallClock } from '../../emulator/clock';
import { Link } from '../../emulator/dma';
import { loadNative } from '../../emulator/native';
import { type Benchmark, type BenchmarkContext } from './benchmark';
import { type Figure, figure, type Round } from './figure';

const BYTES_PER_SECOND = 3.2e9;
const TRANSFER_BYTES = 65_536;

const alarms = [
  { name: 'in process', make: () => new CoarseAlarm() },
  { name: 'timerfd of a served card', make: () => new TimerfdAlarm(loadNative()) },
];

async function bandwidth(make: (typeof alarms)[number]['make'], transfers: number): Promise<Round> {
  const clock = new WallClock({ alarm: make() });
  const link = new Link(clock, { bytesPerSecond: BYTES_PER_SECOND, completionLatencyNs: 0 });
  const startedNs = process.hrtime.bigint();
  await new Promise<void>((resolve) => {
    const body = function* () {
      for (let count = 0; count < transfers; count++) yield { delayNs: link.occupy('h2c', TRANSFER_BYTES) };
      resolve();
    };
    new Process(clock).start(body());
    // The timerfd does not keep a process alive; the socket of a served card does.
    const alive = setInterval(() => {}, 1000);
    void clock.after((transfers * TRANSFER_BYTES * 1e9) / BYTES_PER_SECOND, () => clearInterval(alive));
  });
  const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9;
  clock.close();
  return { subject: (transfers * TRANSFER_BYTES) / seconds / 1e6, floor: BYTES_PER_SECOND / 1e6 };
}

async function run({ quick }: BenchmarkContext): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { name, make } of alarms) {
    const rounds: Round[] = [];
    for (let round = 0; round < (quick ? 2 : 9); round++) rounds.push(await bandwidth(make, quick ? 500 : 5000));
    figures.push(
      figure(
        {
          group: 'l',
          name: `link of 3.2 GB/s, transfers of 64 KiB, ${name}`,
          unit: 'MB/s',
          floorName: 'as modelled',
          goal: { kind: 'at-least', ratio: 0.95 },
        },
        rounds,
      ),
    );
  }
  return figures;
}

export const link: Benchmark = { groups: ['l'], title: 'link model on the wall clock', run };

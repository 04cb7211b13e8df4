/**
 * (l) The model of a link on the wall clock: the bandwidth that transfers reach, against the one that was asked for; with
 * the timers of Node (in process), with the timerfd of a served card, and by a card that `ghostcard serve` serves, over
 * its socket. 64 KiB at 3.2 GB/s are waits of 20.5 us.
 */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { CoarseAlarm, Process, TimerfdAlarm, WallClock } from '../../emulator/clock';
import { Link } from '../../emulator/dma';
import { loadNative } from '../../emulator/native';
import { Region } from '../../emulator/pci/vfio-layout';
import { offsetOf } from '../../emulator/registers';
import { viewOf, VfioUserClient, words } from '../support/vfio-user-client';
import { type Benchmark, type BenchmarkContext } from './benchmark';
import { type Figure, figure, type Round } from './figure';
import { BYTES_PER_SECOND, LINK_BAR, LINK_REGISTERS, TRANSFER_BYTES } from './link-card';
import { startCard } from './native';

/** The PCI command register, with Memory Space Enable. */
const COMMAND = { offset: 4, value: Uint8Array.of(2, 0) };
const LOOK_MS = 20;
const TIMEOUT_MS = 60_000;

const alarms = [
  { name: 'in process', make: () => new CoarseAlarm() },
  { name: 'timerfd of a served card', make: () => new TimerfdAlarm(loadNative()) },
];

const round = (transfers: number, seconds: number): Round => ({
  subject: (transfers * TRANSFER_BYTES) / seconds / 1e6,
  floor: BYTES_PER_SECOND / 1e6,
});

async function bandwidth(make: (typeof alarms)[number]['make'], transfers: number): Promise<Round> {
  const clock = new WallClock({ alarm: make() });
  const link = new Link(clock, { bytesPerSecond: BYTES_PER_SECOND, completionLatencyNs: 0 });
  // The timerfd does not keep a process alive; the socket of a served card does.
  const alive = setInterval(() => {}, 1000);
  const startedNs = process.hrtime.bigint();
  await new Promise<void>((resolve) => {
    const body = function* () {
      for (let count = 0; count < transfers; count++) yield { delayNs: link.occupy('h2c', TRANSFER_BYTES) };
      resolve();
    };
    new Process(clock).start(body());
  });
  const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9;
  clearInterval(alive);
  clock.close();
  return round(transfers, seconds);
}

/** The card starts the transfers at a write and times them itself; the client looks now and then whether they are done. */
async function overSocket(client: VfioUserClient, transfers: number): Promise<Round> {
  const read = async (register: 'TRANSFERS' | 'NS') =>
    viewOf(await client.regionRead(LINK_BAR, offsetOf(LINK_REGISTERS, register), 4)).getUint32(0, true);
  await client.regionWrite(LINK_BAR, offsetOf(LINK_REGISTERS, 'TRANSFERS'), words(transfers));
  const limit = Date.now() + TIMEOUT_MS;
  while ((await read('TRANSFERS')) !== 0) {
    if (Date.now() > limit) throw new Error(`${transfers} transfers of 64 KiB were not done in ${TIMEOUT_MS} ms`);
    await setTimeout(LOOK_MS);
  }
  return round(transfers, (await read('NS')) / 1e9);
}

async function run({ quick, folder }: BenchmarkContext): Promise<Figure[]> {
  await using server = await startCard(join(__dirname, 'link-card.ts'), join(folder, 'link.sock'));
  await using client = await VfioUserClient.connect(server.socketPath);
  await client.regionWrite(Region.CONFIG, COMMAND.offset, COMMAND.value);
  const measures = [
    ...alarms.map(({ name, make }) => ({ name, measure: (transfers: number) => bandwidth(make, transfers) })),
    { name: 'served, over its socket', measure: (transfers: number) => overSocket(client, transfers) },
  ];
  const figures: Figure[] = [];
  for (const { name, measure } of measures) {
    const rounds: Round[] = [];
    for (let round = 0; round < (quick ? 2 : 9); round++) rounds.push(await measure(quick ? 500 : 5000));
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

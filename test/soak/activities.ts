/** What happens in a soak: each of these again and again, in an order that a seed decides. A failure is thrown. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { Rig } from '../../qemu/rig';
import { ReferenceCard } from '../../emulator/cards/reference';
import { type CardFactory } from '../../instrumentation/served-card';
import { TraceRecorder } from '../../instrumentation/trace';
import { leftovers, mounts, survivors } from '../support/remains';
import { type Ground, ghostcard, inFolder, verify } from './ground';

const reference: CardFactory = (environment) => new ReferenceCard(environment);
const DRIVERS = ['vfio-pci', 'uio_pci_generic'] as const;
const SIZES = ['4096', '65536', '1048576'] as const;
/** For processes and folders to be gone, on a machine that is busy. */
const GONE_MS = 20_000;

/** Loopback of patterns of many sizes and alignments, by one driver or the other. */
async function dma(rig: Rig, ground: Ground): Promise<void> {
  await rig.bind('card', ground.random.of(DRIVERS));
  await verify(rig, 'card', ['gc-loopback', '--max-size', ground.random.of(SIZES)], ground);
}

async function memory(rig: Rig, ground: Ground): Promise<void> {
  await rig.bind('card', 'vfio-pci');
  await verify(rig, 'card', ['gc-memtest'], ground);
}

/** A second card comes, works, and goes: when it is asked to, by surprise, or after it was started again. */
async function hotPlug(rig: Rig, ground: Ground): Promise<void> {
  await rig.plug({ name: 'guest', make: reference, driver: ground.random.of(DRIVERS) });
  ground.tally.plugs++;
  await verify(rig, 'guest', ['gc-loopback', '--max-size', '4096'], ground);
  if (ground.random.below(3) === 0) {
    await rig.restartCard('guest');
    await verify(rig, 'guest', ['gc-identify'], ground);
  }
  if (ground.random.below(2) === 0) await rig.unplug('guest');
  else await rig.surpriseRemove('guest');
}

/** Faults that a driver has to live with, and one that it has to notice. */
const HARMLESS: readonly FaultDeclaration[] = [
  { fault: 'interrupt-delayed', delayNs: 200_000, mayNotFire: true },
  { fault: 'dma-delayed', delayNs: 50_000, occurrence: { every: 3 }, mayNotFire: true },
];
const HARMFUL: readonly FaultDeclaration[] = [{ fault: 'dma-corrupted', role: 'data', occurrence: 9 }];

async function faults(rig: Rig, ground: Ground): Promise<void> {
  await rig.plug({ name: 'faulty', make: reference, driver: 'vfio-pci', faults: HARMLESS });
  await verify(rig, 'faulty', ['gc-loopback', '--max-size', '4096'], ground);
  await rig.unplug('faulty');
  await rig.plug({ name: 'corrupting', make: reference, driver: 'vfio-pci', faults: HARMFUL });
  const device = await rig.guest.pciAddressOf('corrupting');
  const { exitCode } = await rig.guest.run(['gc-loopback', '--max-size', '4096', '--device', device]);
  if (exitCode === 0) throw new Error('gc-loopback has not noticed that a byte was another');
  await rig.unplug('corrupting');
}

const IN_A_GUEST = { dma, memory, hotPlug, faults };
const NAMES = Object.keys(IN_A_GUEST) as (keyof typeof IN_A_GUEST)[];

/** A guest, several activities in it, recorded or not, observed or not. */
export async function guest(ground: Ground): Promise<void> {
  const { random, tally, provisioned, signal } = ground;
  await inFolder(ground, async (temporary) => {
    const recorder =
      random.below(3) === 0 ? new TraceRecorder(join(temporary, 'run.trace'), { ringBytes: 16 << 20 }) : undefined;
    try {
      await using rig = await Rig.start({
        ...{ provisioned: provisioned[random.below(5) === 0 ? 'arm64' : 'amd64'], hostRoot: false, signal },
        cards: [{ name: 'card', make: reference }],
        ...(recorder && { recorder }),
        checkDma: random.below(8) === 0,
      });
      tally.guests++;
      for (let left = 2 + random.below(4); left > 0 && !signal.aborted; left--) {
        const name = random.of(NAMES);
        await IN_A_GUEST[name](rig, ground);
        tally.done(name);
      }
      const [race] = rig.races;
      if (race) throw new Error(`a race of a driver that has none: ${race.text}`);
    } finally {
      recorder?.close();
    }
  });
}

/** A run is recorded, and repeated without a guest: byte by byte the same. */
export const replay = (ground: Ground): Promise<void> =>
  inFolder(ground, async (temporary) => {
    const trace = join(temporary, 'run.trace');
    const run = ['run', '--minimal', '--card', 'reference', '--driver', ground.random.of(DRIVERS), '--trace', trace];
    const steps = [
      [...run, '--', 'gc-loopback', '--max-size', ground.random.of(SIZES)],
      ['replay', trace, '--card', 'reference', '--json'],
      ['trace', 'stats', trace, '--json'],
    ];
    for (const step of steps) {
      const { code, stderr } = await ghostcard(temporary, step, ground).ended;
      if (code !== 0 && !ground.signal.aborted) throw new Error(`${step.join(' ')} ended with ${code}:\n${stderr}`);
    }
    ground.tally.guests++;
    ground.tally.replays++;
  });

const SIGNALS = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGSEGV'] as const;
const LATEST_MS = 4000;

/** A run, or its QEMU, is ended at a random moment: nothing of it is left. */
export const kill = (ground: Ground): Promise<void> =>
  inFolder(ground, async (temporary) => {
    const { random, tally } = ground;
    const command = ['run', '--minimal', '--card', 'reference', '--driver', 'vfio-pci', '--'];
    const { child, ended } = ghostcard(temporary, [...command, 'sh', '-c', 'while gc-loopback; do :; done'], ground);
    const [signal, ofQemu, afterMs] = [random.of(SIGNALS), random.below(3) === 0, random.below(LATEST_MS)];
    await delay(afterMs);
    const qemu = ofQemu && survivors(temporary).find(({ commandLine }) => commandLine.includes('qemu-system'));
    if (qemu) process.kill(qemu.pid, 'SIGKILL');
    else child.kill(signal);
    // The run boots the guest again when QEMU was killed while it was being restored.
    const limit = setTimeout(() => child.kill('SIGTERM'), GONE_MS);
    await ended;
    clearTimeout(limit);
    tally.kills++;
    const remains = () => [
      ...survivors(temporary).map(({ commandLine }) => commandLine),
      ...leftovers(temporary),
      ...mounts(temporary),
    ];
    for (const deadline = performance.now() + GONE_MS; remains().length > 0; await delay(50)) {
      if (performance.now() < deadline) continue;
      throw new Error(`${signal} after ${afterMs} ms has left after ${GONE_MS} ms: ${remains().join(', ')}`);
    }
  });

/** By how often they come. */
export const ACTIVITIES = { guest, guest2: guest, guest3: guest, replay, kill, kill2: kill } as const;

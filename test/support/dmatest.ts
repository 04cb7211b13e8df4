/**
 * Linux' own test of DMA engines, dmatest, in a guest: built from the kernel's source for the guest's kernel, run on
 * channels of dmaengine, and what it says of each of its threads.
 *
 * Source: Linux Documentation/driver-api/dmaengine/dmatest.rst.
 */
import { type Rig } from '../../qemu/rig';
import { type KernelDriverOptions, loadKernelDriver } from './kernel-driver';

/** One thread: `dma0chan1-copy0`. */
export interface DmatestThread {
  readonly name: string;
  readonly tests: number;
  readonly failures: number;
  readonly kibPerSecond: number;
}

export interface DmatestOptions {
  /** Default: all that there are. */
  readonly channels?: readonly string[];
  readonly iterations: number;
  readonly threadsPerChannel?: number;
  /** Default 16384. */
  readonly bufferBytes?: number;
  /** Of each transfer, before the thread counts it as failed. Default 3000. */
  readonly transferTimeoutMs?: number;
  /** Other parameters of the module: `noverify`, `norandom`, `polled`. */
  readonly parameters?: Readonly<Record<string, string | number>>;
  /** Of the run. Default 60 s. */
  readonly timeoutMs?: number;
}

const PARAMETERS = '/sys/module/dmatest/parameters';

/** Builds dmatest for the kernel and loads it into the guest; it does nothing yet. */
export const loadDmatest = (rig: Rig, options: Pick<KernelDriverOptions, 'kernel' | 'guestArch'>): Promise<void> =>
  loadKernelDriver(rig, 'drivers/dma/dmatest.c', options);

/** Channels of dmaengine in the guest, in order. */
export async function dmaChannels(rig: Rig): Promise<string[]> {
  return (await shell(rig, 'ls /sys/class/dma', 10_000)).trim().split('\n').filter(Boolean);
}

/** Runs the test to its end. The lines are those that the kernel has logged meanwhile. */
export async function dmatest(
  rig: Rig,
  options: DmatestOptions,
): Promise<{ threads: DmatestThread[]; lines: readonly string[] }> {
  const { iterations, threadsPerChannel = 1, bufferBytes = 16_384, transferTimeoutMs = 3000 } = options;
  const { channels = await dmaChannels(rig), parameters = {}, timeoutMs = 60_000 } = options;
  const settings = {
    ...{ iterations, threads_per_chan: threadsPerChannel, test_buf_size: bufferBytes, timeout: transferTimeoutMs },
    ...parameters,
  };
  const script = [
    'dmesg -c > /dev/null',
    `cd ${PARAMETERS}`,
    ...Object.entries(settings).map(([name, value]) => `echo ${value} > ${name}`),
    ...channels.map((channel) => `echo ${channel} > channel`),
    ...['echo 1 > run', 'cat wait > /dev/null', 'dmesg'],
  ];
  const lines = (await shell(rig, script.join(' && '), timeoutMs)).split('\n');
  return { lines, threads: lines.flatMap(threadOf) };
}

/** `dmatest: dma0chan0-copy0: summary 100 tests, 0 failures 2061.22 iops 16613 KB/s (0)` */
function threadOf(line: string): DmatestThread[] {
  const found = /dmatest: (\S+): summary (\d+) tests, (\d+) failures [\d.]+ iops (\d+) KB\/s/.exec(line);
  if (found === null) return [];
  const [, name = '', tests, failures, kib] = found;
  return [{ name, tests: Number(tests), failures: Number(failures), kibPerSecond: Number(kib) }];
}

async function shell(rig: Rig, script: string, timeoutMs: number): Promise<string> {
  const { exitCode, stdout, stderr, timedOut } = await rig.guest.run(['sh', '-c', script], { timeoutMs });
  if (exitCode === 0) return stdout.toString();
  const why = timedOut ? `it did not end in ${timeoutMs} ms` : `exit code ${exitCode}`;
  const log = rig.guest.consoleTail(20).join('\n');
  throw new Error(`in the guest, ${script}: ${why}\n${stderr.toString()}${stdout.toString()}\n${log}`);
}

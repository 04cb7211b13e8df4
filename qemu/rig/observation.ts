/** Observes the processors of a rig's guest: the plugin in QEMU, the file that it writes to, and who reads that. */
import { loadNative } from '../../emulator/native';
import { type KernelFacts, Observer, SharedFile } from '../../instrumentation/observer';
import { DEFAULT_CPUS, DEFAULT_MEMORY_MIB, type Guest, type LaunchOptions, OWN, ramRanges } from '../launch';
import { provisionObserver } from '../provision';

export interface Observation {
  readonly observer: Observer;
  /** What a launch needs. */
  readonly launch: Pick<LaunchOptions, 'observer' | 'onUp'>;
}

type Machine = Pick<LaunchOptions, 'provisioned' | 'cpus' | 'memoryMiB' | 'iommu' | 'signal'>;

export async function startObservation({
  provisioned,
  cpus = DEFAULT_CPUS,
  memoryMiB = DEFAULT_MEMORY_MIB,
  iommu = false,
  signal,
}: Machine): Promise<Observation> {
  const { arch, cacheDir } = provisioned;
  const plugin = await provisionObserver({
    ...(cacheDir !== undefined && { cacheDir }),
    ...(signal && { signal }),
  });
  const file = new SharedFile(loadNative(), { vcpus: cpus, ram: ramRanges(arch, memoryMiB), hasIommu: iommu });
  const onUp = async (guest: Guest): Promise<void> => {
    const kernel = await kernelFactsOf(guest);
    if (kernel !== undefined) file.kernel = kernel;
  };
  return { observer: new Observer(file), launch: { observer: { plugin, file: file.path }, onUp } };
}

const PARAMETERS = [
  ...['linear_map', 'current_task_variable'],
  ...['task_pid_offset', 'task_tgid_offset', 'task_comm_offset'],
];
const TIMEOUT_MS = 20_000;

/** From the module ghostcard (guest-tools/modules/layout.c); undefined in a guest without it. */
async function kernelFactsOf(guest: Guest): Promise<KernelFacts | undefined> {
  const files = PARAMETERS.map((name) => `/sys/module/ghostcard/parameters/${name}`);
  const { exitCode, stdout } = await guest.run(['cat', ...files], { ...OWN, timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0) return undefined;
  const [linearMap = 0n, currentTask = 0n, pid, tgid, comm] = stdout.toString().trim().split('\n').map(BigInt);
  return { linearMap, currentTask, task: { pid: Number(pid), tgid: Number(tgid), comm: Number(comm) } };
}

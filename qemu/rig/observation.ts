/** Observes the processors of a rig's guest: the plugin in QEMU, the file that it writes to, who reads that, and who names the code. */
import path from 'node:path';
import { loadNative } from '../../emulator/native';
import { type PciCard } from '../../emulator/pci';
import { type KernelFacts, type ObservedCard, Observer, SharedFile } from '../../instrumentation/observer';
import { Origins } from '../../instrumentation/origins';
import { nameWriters, type Provenance } from '../../instrumentation/provenance';
import { RaceDetector, type RaceReport, reportRaces } from '../../instrumentation/races';
import { Places } from '../../instrumentation/symbols';
import { type TraceRecorder } from '../../instrumentation/trace';
import { DEFAULT_CPUS, DEFAULT_MEMORY_MIB, highMiB, type Guest, type LaunchOptions, ramRanges } from '../launch';
import { type GuestChannel } from '../channel';
import { provisionObserver } from '../provision';
import { CodeOfGuest } from './guest-code';
import { type PageProcesses } from './guest-pages';

type Machine = Pick<
  LaunchOptions,
  'provisioned' | 'accel' | 'cpus' | 'memoryMiB' | 'memoryLayout' | 'iommu' | 'signal' | 'hostRoot' | 'shares'
>;

export class Observation implements Disposable {
  private constructor(
    readonly observer: Observer,
    readonly detector: RaceDetector | undefined,
    private readonly plugin: string,
    private readonly machine: Machine,
  ) {}

  /** With a detector of races, if there is to be one. @throws Error where there is no way to detect them */
  static async start(machine: Machine, detectsRaces: boolean): Promise<Observation> {
    const {
      provisioned,
      cpus = DEFAULT_CPUS,
      memoryMiB = DEFAULT_MEMORY_MIB,
      iommu = false,
      memoryLayout = 'flat',
      signal,
    } = machine;
    const { arch, cacheDir } = provisioned;
    if (machine.accel === 'kvm') {
      throw new Error(
        `Cannot ${detectsRaces ? 'look for DMA races' : 'observe the processors'} in a guest on KVM: it runs on the real ` +
          'processors, which QEMU does not see at work. Leave KVM out: TCG is observed.',
      );
    }
    const high = highMiB(memoryLayout, memoryMiB);
    if (detectsRaces && iommu && arch === 'arm64' && high > 0) {
      throw new Error(
        "Cannot look for DMA races behind an IOMMU while an arm64 guest's memory lies above 4 GiB: that memory is in another " +
          'file, and the observer could not tell addresses there apart. Use another memory layout, or no IOMMU.',
      );
    }
    const plugin = await provisionObserver({
      ...(cacheDir !== undefined && { cacheDir }),
      ...(signal && { signal }),
    });
    const file = new SharedFile(loadNative(), { vcpus: cpus, ram: ramRanges(arch, memoryMiB, high), hasIommu: iommu });
    return new Observation(new Observer(file), detectsRaces ? new RaceDetector(file) : undefined, plugin, machine);
  }

  /** What the launch needs. `modules`: those that have been loaded from files by now. */
  launchIn(runDir: string, modules: () => Guest['loadedModules']) {
    const { file } = this.observer;
    const onUp = async (channel: GuestChannel): Promise<void> => {
      const kernel = await kernelFactsOf(channel);
      if (this.detector !== undefined) requireEvents(channel, kernel);
      if (kernel !== undefined) file.kernel = kernel;
      const { hostRoot, shares } = this.machine;
      const guest = {
        channel,
        get loadedModules() {
          return modules();
        },
      };
      const [code] = await Promise.all([
        CodeOfGuest.start(guest, {
          folder: path.join(runDir, 'code'),
          ...(hostRoot !== undefined && { hostRoot }),
          ...(shares && { shares }),
        }),
        this.detector && tellReleases(channel),
      ]);
      Origins.of(this.observer).places = new Places(code);
    };
    return { observer: { plugin: this.plugin, file: file.path }, onUp };
  }

  /** Names the code that has accessed cards by now, also in a trace. To be called while the guest runs. */
  nameIn(recorder: TraceRecorder | undefined): Promise<void> {
    return Origins.of(this.observer).name(recorder);
  }

  /** Who wrote what memory holds at an address of a card, while the guest runs. */
  async provenance(card: PciCard, iova: number, sizeBytes: number): Promise<Provenance[]> {
    return nameWriters(this.observer.provenance(card, iova, sizeBytes), Origins.of(this.observer).places);
  }

  /** Which processes have written to pages of a card's memory; known while releases of pages are told. */
  processesOf(card: ObservedCard): PageProcesses | undefined {
    const { file } = this.observer;
    if (this.detector === undefined) return undefined;
    return {
      ownerOf: (page) => file.ownerOf(page) || undefined,
      isOther: (page) => {
        const { processes } = card;
        const owner = file.ownerOf(page);
        return owner !== 0 && processes !== undefined && processes.size > 0 && !processes.has(owner);
      },
    };
  }

  /** The races that have been found since the last call, while the guest runs. */
  async takeRaces(): Promise<RaceReport[]> {
    return reportRaces(this.detector?.takeRaces() ?? [], Origins.of(this.observer).places);
  }

  [Symbol.dispose](): void {
    this.observer[Symbol.dispose]();
  }
}

const PARAMETERS = [
  ...['linear_map', 'current_task_variable'],
  ...['task_pid_offset', 'task_tgid_offset', 'task_comm_offset'],
  ...['irq_entry', 'own_code', 'own_code_end', 'release_entry', 'zva_bytes'],
];
const TIMEOUT_MS = 20_000;

/** Where they are not seen, each access after an interrupt would be a race. @throws Error */
function requireEvents({ agent }: GuestChannel, facts: KernelFacts | undefined): void {
  if (facts !== undefined && facts.irqEntry !== 0n) return;
  const seen = facts === undefined ? "has not loaded ghostcard's module" : 'is built without CONFIG_KPROBES';
  throw new Error(
    `Cannot look for DMA races in this guest: its kernel, ${agent.kernel}, ${seen}, so that it is not known when the kernel ` +
      'takes an interrupt, and which process and which driver runs. Use a kernel that ghostcard fetches (--kernel ' +
      'cloud or generic, --kernel-release), for which it builds its module.',
  );
}

/** From the module ghostcard (guest-tools/modules/layout.c); undefined in a guest without it. */
async function kernelFactsOf(channel: GuestChannel): Promise<KernelFacts | undefined> {
  const files = PARAMETERS.map((name) => `/sys/module/ghostcard/parameters/${name}`);
  const { exitCode, stdout } = await channel.exec(['cat', ...files], { timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0) return undefined;
  const values = stdout.toString().trim().split('\n').map(BigInt);
  const [linearMap = 0n, currentTask = 0n, pid, tgid, comm] = values;
  const [irqEntry = 0n, ownCode = 0n, ownCodeEnd = 0n, releaseEntry = 0n, zvaBytes = 0n] = values.slice(5);
  return {
    linearMap,
    currentTask,
    task: { pid: Number(pid), tgid: Number(tgid), comm: Number(comm) },
    ...{ irqEntry, ownCode, ownCodeEnd, releaseEntry },
    zvaBytes: Number(zvaBytes),
  };
}

/** From now on the plugin is called for memory that is given back (guest-tools/modules/release.c). @throws Error */
async function tellReleases(channel: GuestChannel): Promise<void> {
  const command = ['sh', '-c', 'echo 1 > /sys/module/ghostcard/parameters/tell_releases'];
  const { exitCode, stderr } = await channel.exec(command, { timeoutMs: TIMEOUT_MS });
  if (exitCode === 0) return;
  throw new Error(
    `Cannot look for DMA races in this guest: its kernel, ${channel.agent.kernel}, does not tell which memory is given back: ` +
      `${stderr.toString().trim() || `no answer within ${TIMEOUT_MS} ms`}. Use a kernel that ghostcard fetches.`,
  );
}

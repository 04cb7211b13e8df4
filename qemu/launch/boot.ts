/** From options to a guest whose agent answers: QEMU's process, its control connection, the agent's hello. */
import { GuestChannel } from '../channel';
import { QmpClient, type QmpEvent } from '../qmp';
import { qemuArguments } from './arguments';
import { GuestBootError } from './errors';
import { Machine, type MachinePaths } from './machine';
import { type LaunchOptions, type LaunchPhase } from './options';
import { WaitTimeoutError, within } from './within';

const DEFAULT_BOOT_TIMEOUT_MS = 90_000;

export interface BootedMachine {
  readonly qmp: QmpClient;
  readonly channel: GuestChannel;
}

export async function startMachine(options: LaunchOptions, runDir: string): Promise<Machine> {
  const { qemu } = options.provisioned;
  return Machine.start({
    runDir,
    command: (paths) => [qemu.command, ...qemu.argsPrefix, ...argumentsFor(options, paths)],
    ...(options.onConsole && { onConsole: options.onConsole }),
    ...(options.artefactsDir !== undefined && { artefactsDir: options.artefactsDir }),
  });
}

/** Waits until the agent has said hello. Rejects with the reason of the machine's death, or a GuestBootError. */
export async function boot(machine: Machine, options: LaunchOptions): Promise<BootedMachine> {
  const { bootTimeoutMs = DEFAULT_BOOT_TIMEOUT_MS, onProgress } = options;
  const startedMs = performance.now();
  const elapsedMs = () => Math.round(performance.now() - startedMs);
  const progress = (phase: LaunchPhase, message: string) => onProgress?.({ phase, message, elapsedMs: elapsedMs() });

  /** One time limit for all; what is waited for has a longer one of its own, so that ours is the one that speaks. */
  const step = async <T>(what: string, work: Promise<T>): Promise<T> => {
    try {
      const timeoutMs = Math.max(0, bootTimeoutMs - elapsedMs());
      return await within(work, { what, timeoutMs, signal: machine.died });
    } catch (error) {
      const cause = await machine.causeOf(error);
      if (machine.died.aborted) throw cause;
      const headline =
        cause instanceof WaitTimeoutError
          ? `The guest did not come up within ${bootTimeoutMs} ms. The last thing waited for was ${what}.`
          : `The guest did not come up: ${(cause as Error).message}`;
      throw new GuestBootError(headline, await machine.evidence(), { cause });
    }
  };

  progress('starting-qemu', 'Starting QEMU');
  const qmpStream = await step('a connection of QEMU to its control socket', machine.qmpConnection);
  const onEvent = ({ event, data }: QmpEvent) => {
    if (event === 'SHUTDOWN') machine.shutdownReason = String(data['reason']);
  };
  const greeted = QmpClient.connect(qmpStream, { timeoutMs: 2 * bootTimeoutMs, onEvent });
  const qmp = (machine.qmp = await step("the greeting of QEMU's control protocol", greeted));

  machine.activity = 'the guest was booting';
  progress('booting', 'Booting the guest');
  const agentStream = await step('a connection of QEMU to the agent socket', machine.agentConnection);
  const channel = await step(
    "the hello of the guest's agent",
    GuestChannel.connect(agentStream, { timeoutMs: 2 * bootTimeoutMs }),
  );

  machine.activity = 'the guest was running';
  progress('agent-ready', 'The guest is up');
  return { qmp, channel };
}

function argumentsFor(options: LaunchOptions, paths: MachinePaths): string[] {
  const { arch, qemu, kernel, initramfsPath } = options.provisioned;
  return qemuArguments({
    arch,
    firmwareArgs: qemu.firmwareArgs,
    kernelPath: kernel.imagePath,
    initramfsPath,
    accel: options.accel ?? 'tcg',
    cpus: options.cpus ?? 1,
    memoryMiB: options.memoryMiB ?? 512,
    hugepages: options.hugepages ?? 32,
    ...(options.kernelAppend !== undefined && { kernelAppend: options.kernelAppend }),
    ...paths,
    cardSockets: (options.cards ?? []).map(({ socketPath }) => socketPath),
    spareSlots: options.spareSlots ?? 2,
    extraArgs: options.extraQemuArgs ?? [],
  });
}

/**
 * From options to a guest whose agent answers: QEMU's process, its control connection, then a boot or the load of a
 * snapshot, the agent's hello.
 */
import { GuestChannel } from '../channel';
import { QmpClient, type QmpEvent } from '../qmp';
import { loadMachine, type Snapshot } from '../snapshot';
import { qemuArguments } from './arguments';
import { GuestBootError, RestoreError } from './errors';
import { Machine } from './machine';
import { machineOptions, type StartMode } from './machine-options';
import { type LaunchOptions, type LaunchPhase } from './options';
import { WaitTimeoutError, within } from './within';

const DEFAULT_BOOT_TIMEOUT_MS = 90_000;
/** A guest that has not come up from its snapshot by then is booted instead. */
const RESTORE_TIMEOUT_MS = 30_000;

export interface BootedMachine {
  readonly qmp: QmpClient;
  readonly channel: GuestChannel;
}

export async function startMachine(options: LaunchOptions, runDir: string, mode: StartMode): Promise<Machine> {
  const { qemu } = options.provisioned;
  return Machine.start({
    runDir,
    command: (paths) => [...[qemu.command, ...qemu.argsPrefix], ...qemuArguments(machineOptions(options, mode, paths))],
    ...(options.onConsole && { onConsole: options.onConsole }),
    ...(options.artifactsDir !== undefined && { artifactsDir: options.artifactsDir }),
  });
}

/** Tells what a launch is doing. */
export type LaunchSteps = (phase: LaunchPhase, message: string) => void;

/**
 * Waits until the agent has said hello, of a guest that boots or of one that is loaded from `snapshot`. Rejects with the
 * reason of the machine's death, or a GuestBootError; with a RestoreError when it may be for the snapshot.
 */
export async function bringUp(
  machine: Machine,
  options: LaunchOptions,
  progress: LaunchSteps,
  snapshot?: Snapshot,
): Promise<BootedMachine> {
  const bootTimeoutMs = snapshot ? RESTORE_TIMEOUT_MS : (options.bootTimeoutMs ?? DEFAULT_BOOT_TIMEOUT_MS);
  const startedMs = performance.now();
  const elapsedMs = () => Math.round(performance.now() - startedMs);

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

  // While QEMU starts: otherwise there is nothing to do then.
  const verified = snapshot?.verify();
  verified?.catch(() => {});

  progress('starting-qemu', 'Starting QEMU');
  const qmpStream = await step('a connection of QEMU to its control socket', machine.qmpConnection);
  const onEvent = ({ event, data }: QmpEvent) => {
    if (event === 'SHUTDOWN') machine.shutdownReason = String(data['reason']);
  };
  const greeted = QmpClient.connect(qmpStream, { timeoutMs: 2 * bootTimeoutMs, onEvent });
  const qmp = (machine.qmp = await step("the greeting of QEMU's control protocol", greeted));

  const agentAnswers = async (): Promise<GuestChannel> => {
    const agentStream = await step('a connection of QEMU to the agent socket', machine.agentConnection);
    const greetedByAgent = GuestChannel.connect(agentStream, {
      timeoutMs: 2 * bootTimeoutMs,
      ...(options.onMark && { onMark: options.onMark }),
    });
    return step("the hello of the guest's agent", greetedByAgent);
  };

  const load = async (saved: Snapshot): Promise<GuestChannel> => {
    const loaded = Promise.all([verified, loadMachine(qmp, saved.file)]);
    await step('the saved guest to be checked and loaded', loaded);
    await step('the saved guest to go on', qmp.execute('cont'));
    return agentAnswers();
  };

  let channel: GuestChannel;
  if (snapshot) {
    machine.activity = 'a saved guest was being loaded';
    progress('restoring', 'Starting the guest from its snapshot');
    channel = await load(snapshot).catch((error: Error) => {
      throw new RestoreError(error);
    });
  } else {
    machine.activity = 'the guest was booting';
    progress('booting', 'Booting the guest');
    channel = await agentAnswers();
  }

  machine.activity = 'the guest was running';
  progress('agent-ready', 'The guest is up');
  return { qmp, channel };
}

/**
 * Brings up a machine: starts QEMU, connects to it over QMP, boots the guest or restores its snapshot, and waits for
 * the agent's hello.
 */
import { GuestChannel } from '../channel';
import { QmpClient, type QmpEvent } from '../qmp';
import { loadMachine, type Snapshot } from '../snapshot';
import { qemuArguments } from './arguments';
import { GuestBootError, RestoreError, SuspendError } from './errors';
import { Machine } from './machine';
import { machineOptions, type StartMode } from './machine-options';
import { type LaunchOptions, type LaunchPhase } from './options';
import { WaitTimeoutError, within } from './within';

const DEFAULT_BOOT_TIMEOUT_MS = 90_000;
/** Time limit for a restore, after which the guest is booted instead. */
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

/** Reports the progress of a launch. */
export type LaunchSteps = (phase: LaunchPhase, message: string) => void;

/**
 * Waits for the agent's hello, after a boot or, with `snapshot`, a restore. Rejects with the error that ended the
 * machine, or a GuestBootError; with a RestoreError if the snapshot may be the cause.
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

  /** One time limit for all steps. Each step's own limit is longer, so that the error names this one. */
  const step = async <T>(what: string, work: Promise<T>): Promise<T> => {
    try {
      const timeoutMs = Math.max(0, bootTimeoutMs - elapsedMs());
      return await within(work, { what, timeoutMs, signal: machine.died });
    } catch (error) {
      const cause = await machine.causeOf(error);
      if (machine.died.aborted) throw cause;
      const headline =
        cause instanceof WaitTimeoutError
          ? `The guest did not come up within ${bootTimeoutMs} ms. It was still waiting for ${what}.`
          : `The guest did not come up: ${(cause as Error).message}`;
      throw new GuestBootError(headline, await machine.evidence(), { cause });
    }
  };

  // In parallel with the start of QEMU, during which this process is idle.
  const verified = snapshot?.verify();
  verified?.catch(() => {});

  progress('starting-qemu', 'Starting QEMU');
  const qmpStream = await step('QEMU to connect to its QMP socket', machine.qmpConnection);
  const onEvent = ({ event, data }: QmpEvent) => {
    if (event === 'SHUTDOWN') machine.shutdownReason = String(data['reason']);
    if (event === 'SUSPEND' && options.hostRoot !== false) machine.kill(new SuspendError());
  };
  const greeted = QmpClient.connect(qmpStream, { timeoutMs: 2 * bootTimeoutMs, onEvent });
  const qmp = (machine.qmp = await step('the QMP greeting', greeted));

  const agentAnswers = async (): Promise<GuestChannel> => {
    const agentStream = await step('QEMU to connect to the agent socket', machine.agentConnection);
    const greetedByAgent = GuestChannel.connect(agentStream, {
      timeoutMs: 2 * bootTimeoutMs,
      ...(options.onMark && { onMark: options.onMark }),
    });
    return step("the hello of the guest's agent", greetedByAgent);
  };

  const load = async (saved: Snapshot): Promise<GuestChannel> => {
    const loaded = Promise.all([verified, loadMachine(qmp, saved.file)]);
    await step('the snapshot to be verified and restored', loaded);
    await step('the restored guest to continue', qmp.execute('cont'));
    return agentAnswers();
  };

  let channel: GuestChannel;
  if (snapshot) {
    machine.activity = 'a snapshot was being restored';
    progress('restoring', 'Restoring the guest from its snapshot');
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

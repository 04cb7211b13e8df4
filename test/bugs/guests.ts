/** The guests of the corpus: one for each architecture and machine, for one run after the other. */
import { setMaxListeners } from 'node:events';
import { ReferenceCard } from '../../emulator/cards/reference';
import { isUnfired, wordUnfired } from '../../instrumentation/faults';
import { type CardNotice } from '../../instrumentation/trace';
import { type ExecResult } from '../../qemu/channel';
import { loadModule } from '../../qemu/launch';
import { type GuestArch, provision } from '../../qemu/provision';
import { cardVariables, Rig } from '../../qemu/rig';
import { type Bug, type Way } from './bug';
import { type Run } from './runs';
import { moduleNameOf, type Subject } from './variants';

/** Something that a run shows of a bug: by what, and in which words. */
export interface Sign {
  readonly by: string;
  readonly text: string;
}

export interface Attempt {
  readonly subject: Subject;
  readonly run: Run;
  readonly arch: GuestArch;
  readonly way: Way;
  /** The files of drivers by their names, built for the architecture. */
  readonly files: ReadonlyMap<string, string>;
  /** The bug whose fault is injected, and which says what was there before: the subject, or for a correct driver another one. */
  readonly bug: Bug | undefined;
}

/** A bound for a command that never ends; drivers have limits of their own, which are shorter. */
const COMMAND_LIMIT_MS = 40_000;
const KERNEL_COMPLAINTS =
  /\b(BUG|Oops|WARNING|Kernel panic|general protection|Poison overwritten|DMAR: .*fault|arm-smmu-v3 .*event|hung task|nobody cared|corrupt)/;

/** What the channel says when the agent no longer runs (qemu/channel). */
const HANGS = /the guest agent did not report|no reply from the guest agent|the guest hangs/;

/** Signs of a guest that is not to be used again. */
const HARM = new Set(['guest', 'kernel', 'time limit', 'crash']);

interface StartedGuest {
  readonly rig: Rig;
  /** Since the current run began. */
  notices: CardNotice[];
  console: string[];
}

export class Guests implements AsyncDisposable {
  readonly #guests = new Map<string, StartedGuest>();
  #cards = 0;

  /**
   * Plugs a card in, runs the driver on it and takes the card away. @throws Error for what is no sign of a bug: no card in
   * the guest, no module loaded, a failure of ours
   */
  async attempt(attempt: Attempt): Promise<readonly Sign[]> {
    const { run, arch, subject } = attempt;
    const machine = JSON.stringify([arch, run.machine]);
    const guest = this.#guests.get(machine) ?? (await this.#start(arch, run));
    this.#guests.set(machine, guest);
    const signs = await this.#drive(guest, attempt);
    // What stray DMA has overwritten would be found in another run.
    const mayStray = subject.change !== undefined && ['address', 'lifetime'].includes(subject.kind);
    if (mayStray || signs.some(({ by }) => HARM.has(by))) {
      this.#guests.delete(machine);
      await guest.rig.close();
    }
    return signs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { rig } of this.#guests.values()) await rig.close();
  }

  async #start(guestArch: GuestArch, { machine = {} }: Run): Promise<StartedGuest> {
    const guest: Omit<StartedGuest, 'rig'> = { notices: [], console: [] };
    const rig = await Rig.start({
      ...machine,
      provisioned: await provision({ guestArch }),
      cpus: 2,
      onNotice: (_, notice) => guest.notices.push(notice),
      onConsole: (line) => guest.console.push(line),
    });
    setMaxListeners(0, rig.guest.died);
    return Object.assign(guest, { rig });
  }

  async #drive(guest: StartedGuest, { subject, run, way, files, bug }: Attempt): Promise<readonly Sign[]> {
    const { rig } = guest;
    const name = `card-${++this.#cards}`;
    guest.notices = [];
    guest.console = [];
    const bound = await rig.plug({
      name,
      make: (environment) => new ReferenceCard({ ...run.card, ...environment }),
      driver: way === 'module' ? 'none' : way,
      faults: (bug && run.faults?.(bug)) ?? [],
    });
    const env = cardVariables([bound]);
    const runDriver = async (driver: string): Promise<ExecResult> => {
      const file = files.get(driver)!;
      if (way === 'module') await loadModule(rig.guest, file); // by its file, so that its code has names
      return rig.guest.run(commandOf(way, driver, file), { env, timeoutMs: COMMAND_LIMIT_MS });
    };
    let result: ExecResult;
    try {
      if (bug?.after !== undefined) {
        await runDriver(bug.after);
        await rig.settled(); // what there is to say of that driver
        guest.notices = [];
      }
      result = await runDriver(subject.name);
      await rig.settled();
    } catch (error) {
      if (!rig.guest.died.aborted && !HANGS.test((error as Error).message)) throw error;
      return [guestSign(error)]; // a bug has killed the kernel, or it hangs
    }
    const signs = [
      ...signsOfResult(result, errorIn(guest.console, subject)),
      ...guest.notices.map(({ kind, text }) => ({ by: `notice ${kind}`, text: text.replace(/ \[[\w-]+\]$/, '') })),
      ...rig.findings.filter(({ card }) => card === name).map(({ kind, text }) => ({ by: `finding ${kind}`, text })),
      ...rig.modelErrors
        .filter(({ card }) => card === name)
        .map(({ error }) => ({ by: 'model error', text: String(error) })),
      ...rig.declaredFaults
        .filter((fault) => fault.card === name && isUnfired(fault))
        .map((fault) => ({ by: 'fault', text: wordUnfired(name, fault) })),
      ...guest.console.filter((line) => KERNEL_COMPLAINTS.test(line)).map((text) => ({ by: 'kernel', text })),
    ];
    try {
      await rig.unplug(name);
      return signs;
    } catch (error) {
      return [...signs, guestSign(error)]; // the driver does not let the card go
    }
  }
}

const guestSign = (error: unknown): Sign => ({ by: 'guest', text: (error as Error).message.split('\n')[0]! });

/** A module does its work when it is asked to; when it is unloaded, some is under way, and buffers are left to the card. */
function commandOf(way: Way, driver: string, file: string): string[] {
  if (way !== 'module') return [file];
  const script = [
    'cd /sys/bus/pci/devices/$GHOSTCARD_PCI_ADDRESS && echo 40 > echo && echo 5 > post; status=$?',
    `rmmod ${moduleNameOf(driver)} && exit $status`,
  ];
  return ['sh', '-c', script.join('\n'), file];
}

/** What a module has to say to its failure, in the kernel's log. */
function errorIn(console: readonly string[], { name }: Subject): string {
  const line = console.findLast((each) => each.includes(`] ${moduleNameOf(name)} `)) ?? '';
  return line.replace(/^\[[^\]]*\] \S+ /, '');
}

function signsOfResult({ exitCode, signal, timedOut, stderr }: ExecResult, said: string): readonly Sign[] {
  if (timedOut) return [{ by: 'time limit', text: `not ended after ${COMMAND_LIMIT_MS / 1000} s` }];
  if (signal !== undefined) return [{ by: 'crash', text: signal }];
  return exitCode === 0
    ? []
    : [{ by: `exit code ${exitCode}`, text: said || stderr.toString().trim().split('\n')[0]! }];
}

/**
 * Which code runs in a guest, for naming places in it (instrumentation/symbols): a program in the guest reports processes,
 * mappings and modules; files are those of this machine, if they are the guest's, else they are fetched.
 */
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import {
  ElfFile,
  type FoundFile,
  type GuestCode,
  KernelSymbols,
  linkModule,
  type MappedFile,
  type Mapping,
  type ModuleSections,
  ProcessRecordDecoder,
  Processes,
} from '../../instrumentation/symbols';
import { type GuestChannel } from '../channel';
import { GUEST_PATHS, HOST_ROOT, HOST_ROOT_TOOLS } from '../guest-image';
import { type Guest, type LaunchOptions, within } from '../launch';

export interface GuestCodeOptions extends Pick<LaunchOptions, 'hostRoot' | 'shares'> {
  /** A folder for files that are fetched. It is made, and its owner removes it. */
  readonly folder: string;
}

interface CodeGuest extends Pick<Guest, 'loadedModules'> {
  readonly channel: GuestChannel;
}

const REPORT_TIMEOUT_MS = 30_000;
/** Larger ones take longer than a name is worth: a browser, a virtual machine. */
const MAX_FETCH_BYTES = 64n * 1024n * 1024n;
/** The guest's own root, as commands on the host's files see it. */
const OWN_ROOT = `/${HOST_ROOT_TOOLS[0]!.split('/').slice(1, 3).join('/')}`;

export class CodeOfGuest implements GuestCode {
  readonly processes = new Processes();
  readonly #requests = new PassThrough();
  readonly #records = new ProcessRecordDecoder();
  readonly #reports = new EventEmitter().setMaxListeners(0);
  #asked = 0;
  #answers = 0;
  /** Why the guest reports no more. */
  #ended: Error | undefined;
  readonly #files = new Map<string, Promise<FoundFile | undefined>>();
  #kernelSymbols: { readonly modules: number; readonly symbols: Promise<KernelSymbols> } | undefined;

  private constructor(
    private readonly guest: CodeGuest,
    private readonly options: GuestCodeOptions,
  ) {}

  /** Reports processes from now on. Rejects if the guest cannot. */
  static async start(guest: CodeGuest, options: GuestCodeOptions): Promise<CodeOfGuest> {
    mkdirSync(options.folder, { recursive: true });
    const code = new CodeOfGuest(guest, options);
    code.#run();
    await code.update();
    return code;
  }

  /** Has the guest report everything until now. Does nothing when it has ended: what it has reported by then is known. */
  async update(): Promise<void> {
    if (this.#asked > 0 && this.#ended !== undefined) return;
    const wanted = ++this.#asked;
    this.#requests.write('?');
    await within(this.#answer(wanted), { what: "the guest's report of its processes", timeoutMs: REPORT_TIMEOUT_MS });
    if (this.#answers === 0) throw this.#ended;
  }

  async #answer(wanted: number): Promise<void> {
    while (this.#answers < wanted && this.#ended === undefined) await once(this.#reports, 'report');
  }

  async fileOf({ file }: Mapping): Promise<FoundFile> {
    const { path: name, owner, sizeBytes, modifiedNs } = file;
    const isOwn = owner !== 'host' || name.startsWith(`${OWN_ROOT}/`);
    const hostPath = isOwn ? undefined : this.#hostPathOf(name);
    // It may change at any time.
    if (hostPath !== undefined && isSame(hostPath, sizeBytes, modifiedNs)) return { hostPath };
    return this.#once(`${owner} ${name} ${sizeBytes} ${modifiedNs}`, () => this.#fetch(file));
  }

  fileOfModule({ name, buildId, sections }: ModuleSections): Promise<FoundFile | undefined> {
    const { loadedModules } = this.guest;
    // One that is being loaded is not among them yet.
    return this.#once(`module ${name} ${buildId} ${[...sections].join(' ')} ${loadedModules.length}`, async () => {
      const files = loadedModules.filter((each) => each.name === name).map(({ data }) => data);
      const here = path.resolve(`${name}.ko`);
      if (existsSync(here)) files.push(readFileSync(here));
      for (const data of files) {
        const hostPath = await this.#keep(`${name}.ko`, linkModule(data, sections));
        if (buildId !== undefined && ElfFile.open(hostPath)?.buildId === buildId) return { hostPath };
      }
      return undefined;
    });
  }

  kernelSymbols(): Promise<KernelSymbols> {
    const modules = this.processes.modules.length;
    if (this.#kernelSymbols?.modules !== modules) {
      const symbols = this.guest.channel
        .fetch('/proc/kallsyms')
        .then((text) => new KernelSymbols(text.toString('latin1')));
      this.#kernelSymbols = { modules, symbols };
    }
    return this.#kernelSymbols!.symbols;
  }

  #run(): void {
    const errors: Buffer[] = [];
    const command = this.guest.channel.start([GUEST_PATHS.processes, 'report'], {
      stdin: this.#requests,
      timeoutMs: Infinity,
      collect: false,
      onStdout: (chunk) => this.#receive(chunk),
      onStderr: (chunk) => void errors.push(chunk),
    });
    command.result.then(
      () => this.#end(new Error(`The guest does not report its processes: ${Buffer.concat(errors).toString().trim()}`)),
      (error: Error) => this.#end(error),
    );
  }

  #receive(chunk: Buffer): void {
    for (const record of this.#records.decode(chunk)) {
      this.processes.add(record);
      if (record.kind === 'reported') this.#answers += record.answers;
    }
    this.#reports.emit('report');
  }

  #end(reason: Error): void {
    this.#ended = reason;
    this.#reports.emit('report');
  }

  #once<Found extends FoundFile | undefined>(key: string, find: () => Promise<Found>): Promise<Found> {
    const found = this.#files.get(key) ?? find();
    this.#files.set(key, found);
    return found as Promise<Found>;
  }

  async #fetch({ path: name, owner, sizeBytes, modifiedNs }: MappedFile): Promise<FoundFile> {
    const changed = { problem: `${name} has been changed or removed since the process has mapped it` };
    if (owner === 'gone') return changed;
    if (sizeBytes > MAX_FETCH_BYTES) {
      return { problem: `${name} is another file in the guest than on this machine, and too large to be fetched` };
    }
    const guestPath = owner === 'guest' ? name : path.posix.join(HOST_ROOT, name);
    const data = await this.guest.channel.fetch(guestPath).catch(() => undefined);
    if (data === undefined || (await this.#stateOf(guestPath)) !== `${sizeBytes} ${modifiedNs}`) return changed;
    return { hostPath: await this.#keep(path.basename(name), data) };
  }

  async #stateOf(guestPath: string): Promise<string> {
    const { stdout } = await this.guest.channel.exec([GUEST_PATHS.processes, 'state', guestPath]);
    return stdout.toString().trim();
  }

  async #keep(name: string, data: Uint8Array): Promise<string> {
    const digest = createHash('sha256').update(data).digest('hex').slice(0, 16);
    const copy = path.join(this.options.folder, `${digest}-${name}`);
    await writeFile(copy, data);
    return copy;
  }

  /** Where a file that commands see is on this machine, unless they have changed it. */
  #hostPathOf(guestPath: string): string | undefined {
    const { hostRoot = '/', shares = [] } = this.options;
    const share = shares
      .map(({ hostPath, guestPath = path.resolve(hostPath) }) => ({ hostPath, guestPath }))
      .sort((a, b) => b.guestPath.length - a.guestPath.length)
      .find((each) => guestPath.startsWith(`${each.guestPath}/`));
    if (share !== undefined) return path.join(share.hostPath, guestPath.slice(share.guestPath.length));
    return hostRoot === false ? undefined : path.join(hostRoot, guestPath);
  }
}

function isSame(file: string, sizeBytes: bigint, modifiedNs: bigint): boolean {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found !== undefined && found.size === sizeBytes && found.mtimeNs === modifiedNs;
}

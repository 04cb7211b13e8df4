/**
 * Step `qemu`: a QEMU with a vfio-user client. The user's, or one on the machine, is used directly. Otherwise Debian's
 * is unpacked with all its libraries and started through their own dynamic loader, so that it runs on an older host.
 */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { guestFacts, hostFacts } from '../basis/arch';
import { type Described, type Entry } from '../cache/cache';
import { type Context } from './context';
import { ProvisionError } from '../basis/errors';
import { QEMU_SUITE } from '../packages/suite';
import { versionsOf } from '../packages/apt-root';
import { findTool, runTool } from '../basis/tools';
import { type ProvisionedQemu } from '../basis/types';

const RECIPE = 2;
const CLIENT_DEVICE = 'vfio-user-pci';
/** Folders of usr/share that are only for people. */
const FOR_READERS = ['doc', 'man', 'locale', 'icons', 'info', 'lintian'];
const PROBE = 'querying the devices of QEMU';

interface Manifest extends Described {
  readonly version: string;
  readonly packages: Record<string, string>;
}

export type QemuEntry = Entry<Manifest>;

type Command = Pick<ProvisionedQemu, 'command' | 'argsPrefix'>;

/** Whether a QEMU's `-device help` lists the vfio-user client. */
export function listsClient(deviceHelp: string): boolean {
  return deviceHelp.includes(`name "${CLIENT_DEVICE}"`);
}

/** Parses "11.1.3" from the output of `qemu-system-… -version`. */
export function parseQemuVersion(text: string): string {
  return /version (\d[\w.]*)/.exec(text)?.[1] ?? 'unknown';
}

function ingredients(context: Context): Record<string, unknown> {
  const { hostArch, guestArch } = context;
  return { recipe: RECIPE, hostArch, suite: QEMU_SUITE.backports, packages: guestFacts(guestArch).qemuPackages };
}

/** The QEMU that the user has named. A wrong one is an error and is not replaced. */
async function givenQemu(context: Context, name: string): Promise<ProvisionedQemu> {
  const program = name.includes('/') ? findTool(path.resolve(name)) : findTool(name, context.env.PATH);
  const attempted = `checking the QEMU given as ${name}`;
  const cure =
    'give --qemu (or GHOSTCARD_QEMU) a QEMU 10.1 or later that has vfio-user-pci, or leave it out, and ghostcard fetches one';
  if (program === undefined) {
    throw new ProvisionError({ attempted, seen: 'there is no such program, or it cannot be executed', cure });
  }
  const command = { command: program, argsPrefix: [] };
  const help = await run(context, command, ['-device', 'help'], attempted, cure);
  const version = parseQemuVersion(await run(context, command, ['-version'], attempted, cure));
  if (!listsClient(help)) {
    const seen = `it is version ${version} and its "-device help" does not list ${CLIENT_DEVICE}`;
    throw new ProvisionError({ attempted, seen, cure });
  }
  return { ...command, firmwareArgs: [], version, origin: `given: ${program}` };
}

/** The machine's QEMU, if it is suitable. */
async function hostQemu(context: Context): Promise<ProvisionedQemu | undefined> {
  const program = findTool(guestFacts(context.guestArch).qemuCommand, context.env.PATH);
  if (program === undefined) return undefined;
  const command = { command: program, argsPrefix: [] };
  const ask = (...args: string[]): Promise<string> => run(context, command, args, PROBE);
  try {
    if (!listsClient(await ask('-device', 'help'))) return undefined;
    const version = parseQemuVersion(await ask('-version'));
    return { ...command, firmwareArgs: [], version, origin: `on this machine: ${program}` };
  } catch (error) {
    if (error instanceof ProvisionError) return undefined;
    throw error;
  }
}

/** The QEMU to use, if it exists without fetching anything. */
export async function findQemu(context: Context): Promise<ProvisionedQemu | undefined> {
  if (context.given.qemu !== undefined) return await givenQemu(context, context.given.qemu);
  const packed = context.packed<Manifest>('qemu', ingredients(context));
  if (packed !== undefined) return fetchedQemu(context, packed);
  const onMachine = await hostQemu(context);
  if (onMachine !== undefined) return onMachine;
  const cached = cachedQemu(context);
  return cached === undefined ? undefined : fetchedQemu(context, cached);
}

/** Debian's, not one of this machine. */
export const cachedQemu = (context: Context): QemuEntry | undefined =>
  context.packed('qemu', ingredients(context)) ?? context.cache.find('qemu', ingredients(context));

export async function fetchQemu(context: Context): Promise<QemuEntry> {
  const progress = context.progress('qemu');
  const apt = context.qemuApt();
  const entry = await context.cache.publish<Manifest>('qemu', ingredients(context), async (folder) => {
    const files = await apt.download(guestFacts(context.guestArch).qemuPackages, progress);
    await apt.unpack(files, path.join(folder, 'root'), progress);
    removeUnused(path.join(folder, 'root/usr'), guestFacts(context.guestArch).qemuCommand);
    const command = unpackedCommand(context, folder);
    const cure = `the packages of ${QEMU_SUITE.backports} do not work here; give another QEMU with --qemu`;
    const help = await run(context, command, ['-device', 'help'], PROBE, cure);
    if (!listsClient(help)) {
      throw new ProvisionError({ attempted: PROBE, seen: `they do not include ${CLIENT_DEVICE}`, cure });
    }
    const version = parseQemuVersion(await run(context, command, ['-version'], PROBE, cure));
    const description = `QEMU ${version} of ${QEMU_SUITE.backports}`;
    return { description, version, packages: versionsOf(files) };
  });
  apt.removeDownloads();
  progress.finish(`QEMU ${entry.manifest.version} from ${QEMU_SUITE.backports}`);
  return entry;
}

/** More than a third of the packages' contents is emulators of other machines and documentation. */
function removeUnused(usr: string, emulator: string): void {
  const programs = readdirSync(path.join(usr, 'bin')).filter((name) => name !== emulator);
  for (const each of [...programs.map((name) => `bin/${name}`), ...FOR_READERS.map((name) => `share/${name}`)]) {
    rmSync(path.join(usr, each), { recursive: true, force: true });
  }
}

export function fetchedQemu(context: Context, { folder, manifest }: QemuEntry): ProvisionedQemu {
  const share = path.join(folder, 'root/usr/share');
  return {
    ...unpackedCommand(context, folder),
    firmwareArgs: ['qemu', 'seabios'].flatMap((name) => ['-L', path.join(share, name)]),
    version: manifest.version,
    origin: `Debian ${QEMU_SUITE.backports}`,
  };
}

function unpackedCommand(context: Context, folder: string): Command {
  const root = path.join(folder, 'root');
  const libraries = context.libraryFolder(root);
  return {
    command: path.join(libraries, hostFacts(context.hostArch).loader),
    argsPrefix: ['--library-path', libraries, path.join(root, 'usr/bin', guestFacts(context.guestArch).qemuCommand)],
  };
}

async function run(
  context: Context,
  { command, argsPrefix }: Command,
  args: string[],
  attempted: string,
  cure?: string,
): Promise<string> {
  return await runTool(command, [...argsPrefix, ...args], {
    attempted,
    signal: context.signal,
    ...(cure === undefined ? {} : { cure }),
  });
}

/** `ghostcard doctor`: what was found, what is missing, what would be fetched. Changes nothing and uses no network. */
import { Command } from 'commander';
import { loadNative } from '../../emulator/native';
import { guardedCommand } from '../../qemu/launch';
import { Cache, inspect, type Inspection, type VerifiedEntry } from '../../qemu/provision';
import { eraseProgress, EXIT, showProgress } from '../common/errors';
import { formatBytes, formatTable, print } from '../common/output';
import { addSoftwareOptions, type SoftwareOptions, softwareOf } from './software-options';
import { endWith } from '../common/own-process';

interface Finding {
  readonly what: string;
  readonly state: string;
  readonly detail: string;
}

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('Print what was found on this machine, what is missing, and what would be fetched.')
    .option('--verify', 'read all files in the cache, and report those that are damaged')
    .option('--json', 'print it as JSON');
  return addSoftwareOptions(command)
    .addHelpText('after', `\nExit code: 0 when guests can run here, ${EXIT.FAILED} otherwise.`)
    .action(async (options: SoftwareOptions & { json?: true; verify?: true }) => {
      const inspection = await inspect(softwareOf(options));
      const entries = options.verify && (await verifyCache(inspection.cacheDir));
      const damaged = entries?.filter((entry) => entry.damaged.length > 0) ?? [];
      const own = [
        probe('node', () => `${process.version}, ${process.platform} ${process.arch}`),
        probe('native part', () => (loadNative(), 'built, loads')),
        probe('guard', () => (guardedCommand([]), 'built')),
      ];
      const healthy = inspection.problems.length + damaged.length === 0 && own.every(({ state }) => state === 'ready');
      const verified = entries && { verified: { entries: entries.length, damaged } };
      if (options.json) print(JSON.stringify({ healthy, own, ...inspection, ...verified }, undefined, 2));
      else show(own, inspection);
      if (entries && !options.json) showVerified(inspection.cacheDir, entries.length, damaged);
      endWith(healthy ? EXIT.OK : EXIT.FAILED);
    });
}

async function verifyCache(cacheDir: string): Promise<VerifiedEntry[]> {
  const entries: VerifiedEntry[] = [];
  for await (const entry of new Cache(cacheDir).verify()) {
    entries.push(entry);
    showProgress(`${entries.length} entries of the cache verified; ${entry.name}`);
  }
  eraseProgress();
  return entries;
}

function showVerified(cacheDir: string, count: number, damaged: readonly VerifiedEntry[]): void {
  print(`verify ${count} entries of the cache: ${damaged.length === 0 ? 'none is' : `${damaged.length} are`} damaged`);
  for (const { name, description, damaged: files } of damaged) {
    const more = files.length > 3 ? ` and ${files.length - 3} more` : '';
    print(
      `\nProblem: ${description}: its contents are not those that it was made with: ${files.slice(0, 3).join(', ')}${more}\n` +
        `What to do: remove ${cacheDir}/entries/${name}; the next run makes it again`,
    );
  }
}

/** A part of ghostcard itself: ready, with what `look` returns, or wrong, with what it throws. */
function probe(what: string, look: () => string): Finding {
  try {
    return { what, state: 'ready', detail: look() };
  } catch (error) {
    return { what, state: 'wrong', detail: (error as Error).message };
  }
}

function show(
  own: readonly Finding[],
  { host, cacheDir, parts, packs, cachedKernels, problems, downloadBytes, diskBytes, peakBytes }: Inspection,
): void {
  const findings = [...own, ...parts.map(({ step, state, detail }) => ({ what: step, state, detail }))];
  const rows = findings.map(({ what, state, detail }) => [what, state, detail]);
  print(formatTable([{ title: 'part' }, { title: 'state' }, { title: 'detail' }], rows));
  print(
    `host   ${host.arch}, ${host.system}, /dev/kvm ${host.kvmNode ? 'is there (used only with --kvm)' : 'is not there'}`,
  );
  print(`cache  ${cacheDir}`);
  for (const pack of packs) print(`       with the imported ${pack}`);
  if (cachedKernels.length > 0) {
    const names = cachedKernels.map(({ series, flavour, arch }) => `${series} (${flavour}, ${arch})`);
    print(`       with the kernels ${names.sort().join(', ')}; ghostcard kernels lists those that can be fetched`);
  }
  if (downloadBytes > 0) {
    print(
      `fetch  about ${formatBytes(downloadBytes)}, which take about ${formatBytes(diskBytes)} in the cache, and up to ` +
        `${formatBytes(peakBytes)} while it is made (ghostcard provision)`,
    );
  }
  for (const { attempted, seen, cure } of problems) {
    print(`\nProblem: ${attempted}: ${seen.trimEnd()}\nWhat to do: ${cure}`);
  }
}

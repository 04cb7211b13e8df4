/** `ghostcard doctor`: what was found, what is missing, what would be fetched. Changes nothing and uses no network. */
import { Command } from 'commander';
import { loadNative } from '../../emulator/native';
import { guardedCommand } from '../../qemu/launch';
import { inspect, type Inspection } from '../../qemu/provision';
import { EXIT } from '../common/errors';
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
    .option('--json', 'print it as JSON');
  return addSoftwareOptions(command)
    .addHelpText('after', `\nExit code: 0 when guests can run here, ${EXIT.FAILED} otherwise.`)
    .action(async (options: SoftwareOptions & { json?: true }) => {
      const inspection = await inspect(softwareOf(options));
      const own = [
        probe('node', () => `${process.version}, ${process.platform} ${process.arch}`),
        probe('native part', () => (loadNative(), 'built, loads')),
        probe('guard', () => (guardedCommand([]), 'built')),
      ];
      const healthy = inspection.problems.length === 0 && own.every(({ state }) => state === 'ready');
      if (options.json) print(JSON.stringify({ healthy, own, ...inspection }, undefined, 2));
      else show(own, inspection);
      endWith(healthy ? EXIT.OK : EXIT.FAILED);
    });
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

/** `ghostcard kernels`: the kernels that guests can have. */
import { Command } from 'commander';
import { listKernels, type ListedKernel, terminalProgress } from '../../qemu/provision';
import { EXIT } from '../common/errors';
import { interruption } from '../common/interruption';
import { formatBytes, formatTable, print } from '../common/output';
import { endWith } from '../common/own-process';

export function kernelsCommand(): Command {
  return new Command('kernels')
    .description("List the kernels that guests can have: those of Debian's suites and backports, and the cache's.")
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `\nExit code: ${EXIT.FAILED} when the package lists cannot be fetched; then only what is in the cache is listed.`,
    )
    .action(async (options: { json?: true }) => {
      const list = await listKernels({ signal: interruption(), onProgress: terminalProgress() });
      if (options.json) print(JSON.stringify(list, undefined, 2));
      else show(list.kernels);
      if (list.problem === undefined) return;
      const { attempted, seen, cure } = list.problem;
      console.error(
        `ghostcard: only the cache is listed; failed while ${attempted}: ${seen.trimEnd()}\nWhat to do: ${cure}`,
      );
      endWith(EXIT.FAILED);
    });
}

const COLUMNS = [
  ...['--kernel-release', '--kernel', '--arch', 'uname -r', 'from'].map((title) => ({ title })),
  ...['download', 'in the cache'].map((title) => ({ title, align: 'right' as const })),
];

function show(kernels: readonly ListedKernel[]): void {
  print(formatTable(COLUMNS, kernels.map(row)));
}

const row = (kernel: ListedKernel): string[] => [
  kernel.series + (kernel.isDefault ? ' (default)' : ''),
  ...[kernel.flavour, kernel.arch, kernel.release, kernel.origin ?? ''],
  ...[kernel.downloadBytes, kernel.cachedBytes].map((bytes) => (bytes === undefined ? '' : formatBytes(bytes))),
];

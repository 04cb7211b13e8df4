/**
 * `ghostcard demo` (`npm start`): the main job, shown. Boots one guest with the reference card, runs the apps of
 * guest-tools under uio_pci_generic and then under vfio-pci without IOMMU, and prints what happened.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { provision, terminalProgress } from '../../provision';
import { type AppReport, appReport, Rig } from '../../rig';
import { makeArtefactsFolder } from '../artefacts-folder';
import { loadCard } from '../card-source';
import { demoPlan, type DemoStep } from '../demo-plan';
import { EXIT } from '../exit-codes';
import { interruption } from '../interruption';
import { addSoftwareOptions, type SoftwareOptions, softwareOf } from '../options';
import { print } from '../output';
import { type Column, formatBytes, formatTable } from '../table';

interface DemoOptions extends SoftwareOptions {
  readonly card: string;
  readonly artefacts: string;
  readonly json?: true;
}

interface Outcome {
  readonly driver: string;
  readonly command: string;
  readonly shows: string;
  readonly passed: boolean;
  readonly report?: AppReport;
  readonly error?: string;
}

const STEP_TIMEOUT_MS = 120_000;

export function demoCommand(): Command {
  const command = new Command('demo')
    .description('Run the reference card under the UIO and the VFIO no-IOMMU driver, and show what happened.')
    .option('--card <name-or-file>', 'the card; options as name,key=value', 'reference')
    .option('--artefacts <folder>', 'where the logs go', join('artifacts', 'demo'))
    .option('--json', 'print the outcome as JSON');
  return addSoftwareOptions(command).action(async (options: DemoOptions) => {
    process.exitCode = await demo(options);
  });
}

async function demo(options: DemoOptions): Promise<number> {
  const startedMs = performance.now();
  const stop = interruption();
  const say = options.json ? () => {} : (text: string) => print(text);
  const card = loadCard(options.card);
  const artefactsDir = makeArtefactsFolder(options.artefacts);

  const provisioned = await provision({ ...softwareOf(options), signal: stop, onProgress: terminalProgress() });
  say(`QEMU ${provisioned.qemu.version} (${provisioned.qemu.origin}), guest kernel ${provisioned.kernel.release}`);
  const outcomes: Outcome[] = [];
  {
    await using rig = await Rig.start({
      provisioned,
      cards: [card],
      artefactsDir,
      signal: stop,
      onProgress: ({ message, elapsedMs }) => say(`${(elapsedMs / 1000).toFixed(1).padStart(5)} s  ${message}`),
    });
    for (const { driver, steps } of demoPlan) {
      const { pciAddress, node } = await rig.bind(card.name, driver);
      say(`\n${card.name} at ${pciAddress} is bound to ${driver}: ${node}`);
      for (const step of steps) {
        const outcome = await runStep(rig, step, driver, pciAddress, artefactsDir);
        outcomes.push(outcome);
        say(`  ${outcome.passed ? 'pass' : 'FAIL'}  ${outcome.command.padEnd(28)} ${step.shows}`);
        if (outcome.error !== undefined) say(outcome.error.replace(/^/gm, '        '));
      }
    }
    for (const { error } of rig.faults) outcomes.push(faultOf(card.name, error));
  }
  const failed = outcomes.filter(({ passed }) => !passed).length;
  if (options.json) print(JSON.stringify({ passed: failed === 0, outcomes, artefactsDir }));
  say(`\n${formatTable(columns, outcomes.map(rowOf))}`);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  say(`${outcomes.length - failed} passed, ${failed} failed in ${seconds} s. Logs: ${artefactsDir}`);
  return failed === 0 ? EXIT.OK : EXIT.FAILED;
}

/** A fault of the card's model fails the demo, whatever the apps made of it. */
const faultOf = (card: string, error: unknown): Outcome => ({
  driver: '',
  command: card,
  shows: 'a fault of the card model',
  passed: false,
  error: String(error),
});

async function runStep(
  rig: Rig,
  { argv, shows }: DemoStep,
  driver: string,
  pciAddress: string,
  artefactsDir: string,
): Promise<Outcome> {
  const command = argv.join(' ');
  const result = await rig.guest.run([...argv, '--device', pciAddress, '--json'], { timeoutMs: STEP_TIMEOUT_MS });
  const log = join(artefactsDir, `${driver}.${argv.join('-').replaceAll('--', '')}.log`);
  writeFileSync(log, Buffer.concat([result.stdout, result.stderr]));
  try {
    const report = appReport(argv, result);
    const passed = report.ok && result.exitCode === 0;
    const error = passed ? {} : { error: `${result.stderr.toString().trimEnd()}\n(${log})` };
    return { driver, command, shows, passed, report, ...error };
  } catch (error) {
    return { driver, command, shows, passed: false, error: (error as Error).message };
  }
}

const columns: readonly Column[] = [
  { title: 'driver' },
  { title: 'command' },
  { title: 'checks', align: 'right' },
  { title: 'bytes', align: 'right' },
  { title: 'interrupts', align: 'right' },
  { title: 'DMA rate', align: 'right' },
  { title: 'result' },
];

function rowOf({ driver, command, passed, report }: Outcome): string[] {
  const rate = report && report.bytes > 0 && report.dma_seconds > 0 ? report.bytes / report.dma_seconds : 0;
  const throughput = rate > 0 ? `${formatBytes(rate)}/s` : '';
  const bytes = report && report.bytes > 0 ? formatBytes(report.bytes) : '';
  const interrupts = report && report.interrupts > 0 ? String(report.interrupts) : '';
  const checks = String(report?.checks ?? '');
  return [driver, command, checks, bytes, interrupts, throughput, passed ? 'pass' : 'FAIL'];
}

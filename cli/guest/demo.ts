/**
 * `ghostcard demo` (`npm start`): runs the apps of guest-tools on the reference card under every kernel driver for drivers
 * in user space, in a guest without an IOMMU and in one with, and prints the results.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { type Finding } from '../../instrumentation/trace';
import { provision, terminalProgress } from '../../qemu/provision';
import { type AppReport, appReport, Rig } from '../../qemu/rig';
import { loadCard } from '../common/card-source';
import { EXIT } from '../common/errors';
import { interruption } from '../common/interruption';
import { NoticeLog } from '../common/notices';
import { type Column, formatBytes, formatTable, print } from '../common/output';
import { makeArtifactsFolder } from '../common/output-file';
import { type DemoStep, demoSteps, DRIVER_MODES, type DriverMode } from './driver-modes';
import { addSoftwareOptions, type SoftwareOptions, softwareOf } from './software-options';
import { endWith } from '../common/own-process';

interface DemoOptions extends SoftwareOptions {
  readonly card: string;
  readonly artifacts: string;
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
    .description('Run the reference card under every kernel driver for drivers in user space, and print the results.')
    .option('--card <name-or-file>', 'the card; options as name,key=value', 'reference')
    .option('--artifacts <folder>', 'where the logs go', join('artifacts', 'demo'))
    .option('--json', 'print the outcome as JSON');
  return addSoftwareOptions(command).action(async (options: DemoOptions) => {
    endWith(await demo(options));
  });
}

async function demo(options: DemoOptions): Promise<number> {
  const startedMs = performance.now();
  const stop = interruption();
  const say = options.json ? () => {} : (text: string) => print(text);
  const card = await loadCard(options.card);
  const artifactsDir = makeArtifactsFolder(options.artifacts);

  const provisioned = await provision({ ...softwareOf(options), signal: stop, onProgress: terminalProgress() });
  say(`QEMU ${provisioned.qemu.version} (${provisioned.qemu.origin}), guest kernel ${provisioned.kernel.release}`);
  const outcomes: Outcome[] = [];
  const notices = new NoticeLog(say);
  const findings: Finding[] = [];
  for (const iommu of [false, true]) {
    say(`\nA guest ${iommu ? 'with an IOMMU in front of the card' : 'without an IOMMU'}`);
    await using rig = await Rig.start({
      provisioned,
      iommu,
      cards: [card],
      artifactsDir: join(artifactsDir, iommu ? 'iommu' : 'no-iommu'),
      signal: stop,
      onNotice: (name, notice) => notices.add(name, notice),
      onProgress: ({ message, elapsedMs }) => say(`${(elapsedMs / 1000).toFixed(1).padStart(5)} s  ${message}`),
    });
    for (const mode of DRIVER_MODES.filter((each) => each.iommu === iommu)) {
      for await (const outcome of runMode({ rig, card: card.name, mode, artifactsDir, say })) outcomes.push(outcome);
    }
    await rig.settled();
    for (const { error } of rig.modelErrors) outcomes.push(modelErrorOf(card.name, error));
    findings.push(...rig.findings);
  }
  const failed = outcomes.filter(({ passed }) => !passed).length;
  const seen = { ...notices.member, ...(findings.length > 0 && { findings }) };
  if (options.json) print(JSON.stringify({ passed: failed === 0, outcomes, artifactsDir, ...seen }));
  say(`\n${formatTable(columns, outcomes.map(rowOf))}`);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  say(`${outcomes.length - failed} passed, ${failed} failed in ${seconds} s. Logs: ${artifactsDir}`);
  return failed === 0 ? EXIT.OK : EXIT.FAILED;
}

/** A model error fails the demo, even if the apps pass. */
const modelErrorOf = (card: string, error: unknown): Outcome => ({
  driver: '',
  command: card,
  shows: 'a model error',
  passed: false,
  error: String(error),
});

interface ModeRun {
  readonly rig: Rig;
  readonly card: string;
  readonly mode: DriverMode;
  readonly artifactsDir: string;
  readonly say: (text: string) => void;
}

async function* runMode(run: ModeRun): AsyncGenerator<Outcome> {
  const { rig, card, mode, say } = run;
  const { pciAddress, platformDevices, node } = await rig.bind(card, mode.driver);
  const name = platformDevices?.[0]?.name ?? pciAddress;
  say(`\n${mode.name}: ${card} is ${name}, ${node}`);
  for (const step of demoSteps(mode)) {
    const outcome = await runStep(run, step, name);
    say(`  ${outcome.passed ? 'pass' : 'FAIL'}  ${outcome.command.padEnd(28)} ${step.shows}`);
    if (outcome.error !== undefined) say(outcome.error.replace(/^/gm, '        '));
    yield outcome;
  }
}

async function runStep(
  { rig, mode, artifactsDir }: ModeRun,
  { argv, shows }: DemoStep,
  device: string,
): Promise<Outcome> {
  const command = argv.join(' ');
  const result = await rig.guest.run([...argv, '--device', device, '--json'], { timeoutMs: STEP_TIMEOUT_MS });
  const log = join(artifactsDir, `${[mode.name, ...argv].join('-').replaceAll(/[ ,-]+/g, '-')}.log`);
  writeFileSync(log, Buffer.concat([result.stdout, result.stderr]));
  const done = { driver: mode.name, command, shows };
  try {
    const report = appReport(argv, result);
    const passed = report.ok && result.exitCode === 0;
    const error = passed ? {} : { error: `${result.stderr.toString().trimEnd()}\n(${log})` };
    return { ...done, passed, report, ...error };
  } catch (error) {
    return { ...done, passed: false, error: (error as Error).message };
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

/** The coverage-guided fuzzer of the native part: fetches its compiler, builds it, and runs it for so long. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { terminalProgress } from '../../../qemu/provision';
import { provisionClang } from '../../support/packages/clang';
import { buildNativeFuzzer, SANITIZERS } from './build';

const CORPUS = join(__dirname, 'corpus');
/** Longer inputs find no more, and take longer. */
const LIMITS = ['-max_len=512', '-timeout=10', '-rss_limit_mb=2048'];
const SECONDS_TO_SHRINK = 30;

export interface NativeLimits {
  readonly seconds: number;
  readonly findings: string;
  readonly say: (text: string) => void;
}

/** Runs until time is over, or SIGINT. @returns what has been found, if anything */
export async function fuzzNative({ seconds, findings, say }: NativeLimits): Promise<string | undefined> {
  const fuzzer = await fetchAndBuild();
  // What a run has found new ways with is where the next one goes on.
  const grown = join(findings, 'native-corpus');
  mkdirSync(grown, { recursive: true });
  const limits = [...LIMITS, `-max_total_time=${seconds}`, `-artifact_prefix=${findings}/`];
  const { lines, failed } = await run(fuzzer, [...limits, grown, CORPUS], { seconds, say });
  if (!failed) {
    const reached = lines.flatMap((line) => /^#(\d+)\s.*cov: (\d+).*rss: (\d+)Mb/.exec(line)?.slice(1, 4) ?? []);
    const [inputs = '0', cov = '0', rss = '0'] = reached.slice(-3);
    say(`native: ${Number(inputs).toLocaleString('en')} inputs, ${cov} edges of the code reached`);
    say('native: after each of them, descriptors and mappings were as before');
    say(`native: resident memory: ${reached[2] ?? rss} MiB before, ${rss} MiB after`);
    return undefined;
  }
  const written = lines.flatMap((line) => /Test unit written to (\S+)/.exec(line)?.[1] ?? []).at(-1);
  const what = lines.find((line) =>
    /^(harness|node-api): |ERROR: \w+Sanitizer|runtime error|ERROR: libFuzzer/.test(line),
  );
  if (written === undefined) return `the fuzzer has ended by itself: ${lines.slice(-5).join(' | ')}`;
  const path = await shrink(fuzzer, written, findings);
  return `${what}; its input is ${path}; do it again with npm run fuzz -- --repeat ${path}`;
}

/** Runs one input. @throws Error when something is wrong with it */
export async function repeatNative(path: string): Promise<void> {
  const { lines, failed } = await run(await fetchAndBuild(), [path], {});
  if (failed) throw new Error(lines.join('\n'));
}

async function fetchAndBuild(): Promise<string> {
  return await buildNativeFuzzer('fuzzer', await provisionClang({ onProgress: terminalProgress() }));
}

/** The shortest input that libFuzzer finds in some time. */
async function shrink(fuzzer: string, path: string, findings: string): Promise<string> {
  const shrunk = join(findings, 'input');
  rmSync(shrunk, { force: true });
  const options = ['-minimize_crash=1', `-max_total_time=${SECONDS_TO_SHRINK}`, `-exact_artifact_path=${shrunk}`];
  await run(fuzzer, [...LIMITS, ...options, path], {});
  return readdirSync(findings).includes('input') ? shrunk : path;
}

async function run(
  fuzzer: string,
  args: readonly string[],
  { seconds, say }: { seconds?: number; say?: (text: string) => void },
): Promise<{ lines: string[]; failed: boolean }> {
  // For its sockets.
  const cwd = mkdtempSync(join(tmpdir(), 'ghostcard-fuzz-'));
  try {
    const child = execa(fuzzer, args, {
      cwd,
      env: SANITIZERS,
      reject: false,
      stdout: 'ignore',
      stdin: 'ignore',
      buffer: false,
    });
    const lines: string[] = [];
    let saidMs = performance.now();
    for await (const line of createInterface({ input: child.stderr })) {
      lines.push(line);
      const reached = /^#(\d+)\s.*cov: (\d+)/.exec(line);
      if (say === undefined || !reached || performance.now() - saidMs < 10_000) continue;
      saidMs = performance.now();
      say(`native: ${Number(reached[1]).toLocaleString('en')} inputs, ${reached[2]} edges, of ${seconds} s`);
    }
    const { exitCode, signal } = await child;
    // libFuzzer ends by itself at SIGINT, with 72.
    return { lines, failed: exitCode !== 0 && exitCode !== 72 && signal !== 'SIGINT' };
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

/** The inputs of the native part's corpus, under the sanitizers of the host's compiler: `npm run fuzz` goes on from them. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { buildNativeFuzzer, SANITIZERS } from './native/build';

const TIMEOUT_MS = 120_000;

test(
  'the native part gives all back after every input of the corpus, with no report of a sanitizer',
  async () => {
    const corpus = join(__dirname, 'native', 'corpus');
    const inputs = readdirSync(corpus).map((name) => join(corpus, name));
    const replay = await buildNativeFuzzer('replay');
    const cwd = mkdtempSync(join(tmpdir(), 'ghostcard-fuzz-'));
    onTestFinished(() => rmSync(cwd, { recursive: true }));
    const { stderr, exitCode } = await execa(replay, inputs, { cwd, env: SANITIZERS, reject: false });
    expect(stderr.split('\n')).toEqual(inputs);
    expect(exitCode).toBe(0);
  },
  TIMEOUT_MS,
);

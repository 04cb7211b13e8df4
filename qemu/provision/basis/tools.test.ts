import { expect, test } from 'vitest';
import { ProvisionError } from './errors';
import { findTool, missingTool, runPipeline, runTool } from './tools';

const attempted = 'testing';

test('a tool returns its standard output', async () => {
  expect(await runTool('sh', ['-c', 'echo out; echo noise >&2'], { attempted })).toBe('out');
});

test('status lines arrive from descriptor 3', async () => {
  const lines: string[] = [];
  await runTool('sh', ['-c', 'echo one >&3; echo two >&3'], { attempted, onStatusLine: (line) => lines.push(line) });
  expect(lines).toEqual(['one', 'two']);
});

test('the error for a failed tool says what was attempted, how the tool ended with its last output, and what to do', async () => {
  const run = runTool('sh', ['-c', 'echo no space left >&2; exit 7'], { attempted: 'unpacking x', cure: 'make room' });
  await expect(run).rejects.toThrow(
    'failed while unpacking x: sh exited with code 7\n  no space left\nWhat to do: make room',
  );
  await expect(run).rejects.toBeInstanceOf(ProvisionError);
});

test('the error for a full disk has its own advice, whatever the tool was doing', async () => {
  const script = 'echo "tar: x: Cannot write: No space left on device" >&2; exit 2';
  const full = runTool('sh', ['-c', script], { attempted: 'unpacking', cure: 'check the network' });
  await expect(full).rejects.toThrow(/No space left on device\nWhat to do: make room in the folder of the cache/);
});

test('a failure while status lines are read gives the same error', async () => {
  const run = runTool('sh', ['-c', 'echo dlstatus >&3; exit 100'], { attempted, onStatusLine: () => undefined });
  await expect(run).rejects.toThrow('sh exited with code 100');
});

test('the error for a missing tool names the package that has it', async () => {
  await expect(runTool('ghostcard-no-such-tool', [], { attempted })).rejects.toThrow(
    'failed while testing: this needs the program "ghostcard-no-such-tool", which is not on PATH\n' +
      'What to do: apt-get install ghostcard-no-such-tool',
  );
  expect(missingTool('make', attempted).cure).toBe('apt-get install build-essential');
  expect(missingTool('xz', attempted).cure).toBe('apt-get install xz-utils');
  expect(missingTool('xz', attempted, '/nowhere').cure).toMatch(
    /in Debian, the package xz-utils has it\); or take a pack/,
  );
});

test('the abort signal ends the tool, and the error is its reason', async () => {
  const abort = new AbortController();
  const run = runTool('sh', ['-c', 'echo ready >&3; exec sleep 600'], {
    attempted,
    signal: abort.signal,
    onStatusLine: () => abort.abort(new Error('Ctrl-C')),
  });
  await expect(run).rejects.toThrow('Ctrl-C');
});

test('programs are found on the search path, and folders of the same name are ignored', () => {
  expect(findTool('sh', '/nowhere:/bin')).toBe('/bin/sh');
  expect(findTool('usr', '/')).toBeUndefined();
});

test('a pipeline passes large outputs to the next tool', async () => {
  const check = 'test "$(wc -c)" -eq 300000';
  const commands = [['head', '-c', '300000', '/dev/zero'], ['cat'], ['sh', '-c', check]];
  await expect(runPipeline(commands, { attempted })).resolves.toBeUndefined();
});

test('a pipeline fails with the error of the tool that failed, not of those that lost their reader', async () => {
  const commands = [['yes'], ['sh', '-c', 'echo damaged >&2; exit 2'], ['cat']];
  await expect(runPipeline(commands, { attempted })).rejects.toThrow('sh exited with code 2\n  damaged');
});

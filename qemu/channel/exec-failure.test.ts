/** Error messages of the real agent for programs that cannot be run. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GuestChannel } from '.';
import { LocalAgent } from '../../test/support/local-agent';

let agent: LocalAgent;
let channel: GuestChannel;
beforeAll(async () => {
  agent = await LocalAgent.start();
  channel = await GuestChannel.connect(await agent.connect(), { timeoutMs: 5_000 });
}, 60_000);
afterAll(async () => {
  channel.close();
  await agent[Symbol.asyncDispose]();
});

/** Creates a file for the test. */
function file(name: string, content: string | Uint8Array, mode = 0o755): string {
  const path = join(agent.folder, name);
  writeFileSync(path, content, { mode });
  return path;
}

/** A dynamically linked program of this machine, with some bytes replaced. */
function program(change: (bytes: Buffer) => void): Buffer {
  const bytes = readFileSync('/bin/true');
  change(bytes);
  return bytes;
}

async function failure(argv: string[], env: Record<string, string> = {}): Promise<string> {
  return channel.exec(argv, { env }).then(
    () => 'it ran',
    (error: Error) => error.message.replaceAll(agent.folder, 'DIR'),
  );
}

test('the error for a program with a missing loader differs from that for a missing program and names the loader', async () => {
  const path = file(
    'dynamic',
    program((bytes) => bytes.write('/no', bytes.indexOf('/lib'))),
  );
  expect(await failure([path])).toMatch(
    /^DIR\/dynamic: it is dynamically linked and its loader \/no\S+ does not exist: link it statically, .* \(ENOENT\)$/,
  );
});

test('the error for a program of another architecture says so', async () => {
  const path = file(
    'foreign',
    program((bytes) => bytes.writeUInt16LE(0x1234, 18)),
  );
  expect(await failure([path])).toMatch(
    /^DIR\/foreign: it is built for another architecture \(ELF machine 4660\), but this guest is \w+: cross-compile programs for the guest and link them statically, or use a root file system .* \(ENOEXEC\)$/,
  );
});

test('a script whose interpreter is of another architecture gets an error, and is not run by the shell instead', async () => {
  const interpreter = file(
    'foreign-python',
    program((bytes) => bytes.writeUInt16LE(0x1234, 18)),
  );
  expect(await failure([file('script', `#!${interpreter}\necho no\n`)])).toMatch(
    /^DIR\/script: it is a script, and its interpreter DIR\/foreign-python is built for another architecture .* \(ENOEXEC\)$/,
  );
});

test('the error for a truncated ELF file says so', async () => {
  const path = file('cut', readFileSync('/bin/true').subarray(0, 100));
  expect(await failure([path])).toMatch(/^DIR\/cut: it is a damaged or incomplete ELF file/);
});

test.each([
  [
    'is missing',
    '#! /no/such/python3 -u\n',
    'it is a script, and its interpreter /no/such/python3 does not exist (ENOENT)',
  ],
  [
    'is not executable',
    '#!/etc/passwd\n',
    'it is a script, and its interpreter /etc/passwd is not executable (EACCES)',
  ],
])('the error for a script whose interpreter %s says so', async (_, text, why) => {
  expect(await failure([file('script', text)])).toBe(`DIR/script: ${why}`);
});

test('the error for a script with DOS line ends says so', async () => {
  expect(await failure([file('dos', '#!/bin/sh\r\ntrue\r\n')])).toMatch(/^DIR\/dos: .*carriage return.* \(ENOENT\)$/);
});

test('the errors for a file without execute permission and for a folder say so', async () => {
  expect(await failure([file('plain', '#!/bin/sh\n', 0o644)])).toBe(
    'DIR/plain: it is not executable (mode 0644); use chmod +x (EACCES)',
  );
  expect(await failure([agent.folder])).toBe('DIR: it is a folder (EACCES)');
});

test('the error for a program that is not in PATH shows PATH', async () => {
  expect(await failure(['no-such-program'], { PATH: '/bin:/sbin' })).toBe(
    "no-such-program: not found in the guest's PATH, which is /bin:/sbin (ENOENT)",
  );
});

test('a long PATH is shortened in the error, but no folder in it is cut', async () => {
  const folders = Array.from({ length: 100 }, (_, index) => `/folder-${index}`);
  const [, shown = ''] = /PATH, which is (\S+):\.\.\. \(ENOENT\)$/.exec(
    await failure(['no-such-program'], { PATH: folders.join(':') }),
  )!;
  expect(shown.length).toBeGreaterThan(780);
  expect(shown.split(':')).toEqual(folders.slice(0, shown.split(':').length));
});

test('the PATH search skips a file that is not executable, and stops at one whose interpreter is missing', async () => {
  for (const folder of ['one', 'two']) mkdirSync(join(agent.folder, folder));
  file('one/tool', '#!/bin/sh\n', 0o644);
  file('two/tool', '#!/bin/sh\n');
  const PATH = ['one', 'two'].map((folder) => join(agent.folder, folder)).join(':');
  expect(await failure(['tool'], { PATH })).toBe('it ran');
  file('one/other', '#!/no/such\n');
  file('two/other', '#!/bin/sh\n');
  expect(await failure(['other'], { PATH })).toBe(
    'other: it is a script, and its interpreter /no/such does not exist (ENOENT)',
  );
});

test('a text file without an interpreter line is run by the shell', async () => {
  const { stdout } = await channel.exec([file('text', 'echo $1\n'), 'by the shell']);
  expect(stdout.toString()).toBe('by the shell\n');
});

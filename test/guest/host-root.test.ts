/** The host's files in the guest: what commands see, what they may change, and when they see changes on the host. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Rig } from '../../qemu/rig';
import { startRig } from '../support/rig';

const folder = mkdtempSync(path.join(tmpdir(), 'ghostcard host-root é-'));
const shared = path.join(folder, 'shared');
/** In the guest only: the host has no such folder. */
const elsewhere = '/ghostcard-made/out put';
let rig: Rig;

beforeAll(async () => {
  mkdirSync(shared);
  const shares = [{ hostPath: shared }, { hostPath: shared, guestPath: elsewhere }];
  rig = await startRig({ cards: [], hostRoot: '/', shares });
});
afterAll(async () => {
  await rig?.close();
  rmSync(folder, { recursive: true });
});

/** A folder on the host for one test: a change in the guest hides all later changes of the host to the same file. */
function freshFolder(): string {
  return mkdtempSync(path.join(folder, 'test-'));
}

/** What a shell in the guest prints, both streams. */
async function sh(cwd: string, script: string): Promise<string> {
  const { stdout } = await rig.guest.run(['/bin/sh', '-c', `exec 2>&1; ${script}`], { cwd, timeoutMs: 120_000 });
  return stdout.toString();
}

/** Makes a program on the host, in `cwd`, that prints `text`. */
function compile(cwd: string, text: string): void {
  writeFileSync(path.join(cwd, 'main.c'), `#include <stdio.h>\nint main(void) { puts("${text}"); return 0; }\n`);
  execFileSync('gcc', ['-o', 'program', 'main.c'], { cwd });
}

describe('in a folder that the guest may write to', () => {
  it('makes no device nodes and no programs that set their user id on the host', async () => {
    const said = await sh(
      shared,
      'echo text > plain; mknod null c 1 3; cp plain program; chmod 4755 program; chmod 2755 program; mkfifo fifo; ls',
    );
    expect(said.match(/(null|program)(?='?: Operation not permitted)/g)).toEqual(['null', 'program', 'program']);
    expect(readdirSync(shared).sort()).toEqual(['fifo', 'plain', 'program']);
    expect(statSync(path.join(shared, 'program')).mode & 0o7777).toBe(0o644);
    for (const name of readdirSync(shared)) rmSync(path.join(shared, name));
  });
});

describe('a command on the host root', () => {
  it('runs the programs of the host, in the folder of the caller', async () => {
    const { stdout } = await rig.guest.run([process.execPath, '-p', 'process.version + process.cwd()']);
    expect(stdout.toString()).toBe(`${process.version}${process.cwd()}\n`);
  });

  it('compiles, runs and replaces programs without changes on the host', async () => {
    const cwd = freshFolder();
    compile(cwd, 'made outside');
    const rebuild = 'sed s/outside/inside/ main.c >new.c && mv new.c main.c && gcc -o program main.c';
    expect(await sh(cwd, `./program; ${rebuild} && ./program; rm program; ls`)).toBe(
      'made outside\nmade inside\nmain.c\n',
    );
    expect(readFileSync(path.join(cwd, 'main.c'), 'utf8')).toContain('outside');
    expect(readdirSync(cwd).sort()).toEqual(['main.c', 'program']);
    expect(await sh('/usr/bin', 'mv env env-moved && [ ! -e env ] && ls env-moved; mv env-moved env')).toBe(
      'env-moved\n',
    );
  });

  it('can use links, pipes, sockets, locks, renamed folders and executables as on any file system', async () => {
    const cwd = freshFolder();
    mkdirSync(path.join(cwd, 'tree/sub'), { recursive: true });
    writeFileSync(path.join(cwd, 'tree/sub/file'), 'moved');
    expect(await sh(cwd, 'mv tree wood && ln wood/sub/file hard && ln -s hard soft && cat soft')).toBe('moved');
    expect(await sh(cwd, 'mkfifo pipe && (echo through >pipe & cat pipe)')).toBe('through\n');
    expect(await sh(cwd, 'cp /bin/ls own && chmod 700 own && ./own -d own && flock own echo locked')).toBe(
      'own\nlocked\n',
    );
    const socket = `const net = require('net'), server = net.createServer((c) => c.end('heard')).listen('s', () =>
      net.connect('s').on('data', (data) => { console.log(String(data)); server.close(); }));`;
    const { stdout } = await rig.guest.run([process.execPath, '-e', socket], { cwd });
    expect(stdout.toString()).toBe('heard\n');
  });

  it('has devices, kernel file systems, a /run of its own and a /tmp for all', async () => {
    expect(await sh('/', 'cat /proc/1/comm; ls /run; stat -c %a /tmp')).toBe('init\nghostcard\nlock\n1777\n');
    expect(await sh('/dev', 'ls -d ptmx pts hugepages /sys/bus/pci')).toBe('/sys/bus/pci\nhugepages\nptmx\npts\n');
    expect(await sh('/dev/shm', 'echo kept >x && cat x')).toBe('kept\n');
  });

  it("sees the guest's host name", async () => {
    expect(await sh('/', 'getent hosts "$(cat /proc/sys/kernel/hostname)"')).toMatch(/^127\.0\.1\.1 /);
  });

  it('may trace another command, as gdb and strace do', async () => {
    const script = `import ctypes, os, signal
ptrace, TRACEME, CONT = ctypes.CDLL(None).ptrace, 0, 7
child = os.fork()
if child == 0:
    ptrace(TRACEME, 0, 0, 0)
    os.execv('/bin/true', ['true'])
status = os.waitpid(child, 0)[1]
print(os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTRAP)
ptrace(CONT, child, 0, 0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))`;
    const { stdout } = await rig.guest.run(['/usr/bin/python3', '-c', script]);
    expect(stdout.toString()).toBe('True\n0\n');
  });

  it("loads the guest's modules, and finds the guest's programs after those of the host", async () => {
    expect(await sh('/', 'modprobe uio_pci_generic && lsmod | grep -c ^uio_pci_generic')).toBe('1\n');
    expect(await sh('/', 'command -v gc-reg; command -v ls')).toMatch(
      /^\/run\/ghostcard\/usr\/bin\/gc-reg\n(\/usr)?\/bin\/ls\n$/,
    );
  });

  it('gets ENOSPC when the memory for changes is used up, and continues when there is room again', async () => {
    const cwd = freshFolder();
    expect(await sh(cwd, 'dd if=/dev/zero of=big bs=1M count=1000')).toContain('No space left on device');
    expect(await sh(cwd, 'rm big && echo room >small && cat small')).toBe('room\n');
  });

  it('is not started in a folder that does not exist, which the error names', async () => {
    await expect(rig.guest.run(['ls'], { cwd: '/no/such folder' })).rejects.toThrow('/no/such folder');
  });
});

describe('what changes on the host while the guest runs', () => {
  it('is visible to the next command: contents of the same size, modes, new, replaced and removed files', async () => {
    const cwd = freshFolder();
    const on = (name: string): string => path.join(cwd, name);
    const look = 'cat file; ./script; cat new; true';
    writeFileSync(on('file'), 'a\n');
    writeFileSync(on('script'), 'echo ran\n');
    expect(await sh(cwd, look)).toMatch(/^a\n.*denied\n.*No such file.*\n$/);
    writeFileSync(on('file'), 'b\n');
    chmodSync(on('script'), 0o755);
    writeFileSync(on('new'), 'new\n');
    expect(await sh(cwd, look)).toBe('b\nran\nnew\n');
    writeFileSync(on('other'), 'c\n');
    renameSync(on('other'), on('file'));
    rmSync(on('new'));
    expect(await sh(cwd, look)).toMatch(/^c\nran\n.*No such file.*\n$/);
  });

  it('is visible in a program that was built again', async () => {
    const cwd = freshFolder();
    for (const build of ['build 1', 'build 2', 'build 3']) {
      compile(cwd, build);
      expect(await sh(cwd, './program')).toBe(`${build}\n`);
    }
  });

  it('is visible to a running shell after it has asked for it', async () => {
    const cwd = freshFolder();
    compile(cwd, 'before');
    const wait = 'until [ -e go ]; do usleep 20000; ghostcard-host-root refresh; done';
    const running = sh(cwd, `./program; : >${shared.replaceAll(' ', '\\ ')}/ready; ${wait}; ./program`);
    await expect.poll(() => readdirSync(shared), { timeout: 30_000 }).toContain('ready');
    compile(cwd, 'after');
    writeFileSync(path.join(cwd, 'go'), '');
    expect(await running).toBe('before\nafter\n');
  });
});

describe('a folder that is shared for writing', () => {
  it("is at the host's path, and changes in it are changes on the host", async () => {
    writeFileSync(path.join(shared, 'seed'), 'grown');
    expect(await sh(shared, 'mkdir d && cat seed >d/plant && mv d e && chmod 750 e/plant && ln -s e/plant p')).toBe('');
    expect(readFileSync(path.join(shared, 'p'), 'utf8')).toBe('grown');
    expect(execFileSync('stat', ['-c', '%a', path.join(shared, 'e/plant')]).toString()).toBe('750\n');
  });

  it('is at another path if one is given, also where the host has no such folder', async () => {
    expect(await sh(elsewhere, 'echo artifact >result && ls')).toContain('result\n');
    expect(readFileSync(path.join(shared, 'result'), 'utf8')).toBe('artifact\n');
  });
});

describe('another root than the host’s', () => {
  const other = path.join(folder, 'root');
  let bare: Rig;
  beforeAll(async () => {
    mkdirSync(path.join(other, 'etc'), { recursive: true });
    writeFileSync(path.join(other, 'etc/motto'), 'small is enough\n');
    bare = await startRig({ cards: [], hostRoot: other });
  });
  afterAll(() => bare?.close());

  const run = (script: string) => bare.guest.run(['/run/ghostcard/bin/sh', '-c', script]);

  it('gets mount points that it lacks, and does not keep them', async () => {
    const { stdout } = await run('cat /etc/motto; ls -d /proc/1 /sys/bus /dev/null /tmp /run; lsmod | grep -c 9p');
    expect(stdout.toString()).toMatch(/^small is enough\n\/dev\/null\n\/proc\/1\n\/run\n\/sys\/bus\n\/tmp\n\d+\n$/);
    expect(readdirSync(other)).toEqual(['etc']);
  });

  it('does not have the folders of the host, which the error says', async () => {
    await expect(bare.guest.run(['/run/ghostcard/bin/ls'], { cwd: process.cwd() })).rejects.toThrow(process.cwd());
  });

  it('is mounted once in a guest', async () => {
    const { exitCode, stderr } = await bare.guest.run(['ghostcard-host-root', 'mount'], { host: false });
    expect([exitCode, stderr.toString()]).toEqual([1, 'ghostcard-host-root: the host root is already mounted\n']);
  });
});
